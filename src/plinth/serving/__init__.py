"""Deployments, engine processes, and the reconciler that keeps them as desired."""
