"""Plinth: a private Model-as-a-Service platform that runs on a company's own machines."""

__version__ = "0.1.0"
