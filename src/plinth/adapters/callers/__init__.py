"""Callers: how background work asks models through the platform's own public port."""
