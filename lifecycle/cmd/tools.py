"""The programs an engine is installed with."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.host import Host
    from lifecycle.shell import Shell
    from lifecycle.steps.venv import Tools


def own() -> "Tools":
    """Uv of our own environment, and the Python below it.

    Raises:
        HostNotReady: that environment is not whole.
    """
    from uv import find_uv_bin

    from lifecycle.errors import HostNotReady
    from lifecycle.steps.venv import Tools

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        uv = find_uv_bin()
    except FileNotFoundError as error:
        raise HostNotReady(
            "uv is missing from our own .venv", why=str(error),
            fix="Remove .venv and run the same command again: ./inv makes it anew.",
        ) from None  # fmt: skip
    return Tools(uv, str(Path(sys.executable).resolve()), version)


def tools(shell: "Shell", backend: "Backend", host: "Host") -> "Tools":
    """The same with this machine's wheels."""
    from lifecycle.facts import wheels
    from lifecycle.steps.venv import installed

    made = own()
    # Asking pip costs half a second, which an `up` with nothing to do must not pay.
    if installed(backend, host):
        return made
    return replace(made, wheels=wheels.look(shell, made.python))
