"""Evals, runs, graders, and honest statistics over them."""
