"""Trainers, each run in a child process."""
