"""Ways to ask models: the platform's own public API."""
