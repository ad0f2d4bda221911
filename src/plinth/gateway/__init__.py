"""The data plane: one public port, one name per model."""
