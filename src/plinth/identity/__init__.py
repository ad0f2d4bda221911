"""Organizations, projects, people, service accounts, API keys, roles, audit."""

from plinth.identity.model import Actor, Role

__all__ = ["Actor", "Role"]
