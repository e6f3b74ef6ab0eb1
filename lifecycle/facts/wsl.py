"""Wsl."""

from lifecycle.host import Os, Windows, Wsl
from lifecycle.machine import Machine


def look(machine: Machine, here: Os, windows: Windows) -> Wsl:
    """Never raises."""
    del machine, here, windows
    return Wsl()
