"""Durable job runners."""
