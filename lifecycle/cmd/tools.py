"""The programs an engine is installed with."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.host import Host
    from lifecycle.shell import Shell
    from lifecycle.steps.venv import Tools


def tools(shell: "Shell", backend: "Backend", host: "Host") -> "Tools":
    """Uv of our own environment, the Python below it, and this machine's wheels."""
    from uv import find_uv_bin

    from lifecycle.facts import wheels
    from lifecycle.steps.venv import Tools, installed

    python = str(Path(sys.executable).resolve())
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    # Asking pip costs half a second, which an `up` with nothing to do must not pay.
    there = installed(backend, host)
    return Tools(find_uv_bin(), python, version, None if there else wheels.look(shell, python))
