"""The data plane: the public port's process, from a client's bytes to an answer's bytes.

The application is `asgi`, its process `run`. It reads a snapshot of what the rest of the platform
decided and journals what happened; no database is on a request's way.
"""
