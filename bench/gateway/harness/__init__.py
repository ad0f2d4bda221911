"""The parts of the gateway benchmark. Standard library only, Linux only."""
