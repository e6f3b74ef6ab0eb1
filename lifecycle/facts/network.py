"""Ports: who holds the one a backend wants."""

from lifecycle import shell
from lifecycle.backend import Backend
from lifecycle.host import Server


def other_listener(backend: Backend, server: Server) -> str:
    """Who else listens on the backend's port; "" when it is free or our own server has it."""
    if server.alive and server.launch.settings.get("PORT") == str(backend.port):
        return ""
    return shell.listener(backend.port)
