"""Base models: where they come from, their licence, size, template, capabilities."""
