"""GGUF files: written with the official package, in the process that asks for them."""
