"""Fine-tuning jobs: from rows and a base model to a registered version."""
