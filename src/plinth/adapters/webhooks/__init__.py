"""How a webhook reaches its receiver."""
