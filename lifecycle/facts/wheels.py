"""A folder of wheels that this machine's pip is configured with."""

import os
from pathlib import Path

from lifecycle.shell import Shell


def look(shell: Shell, python: str) -> Path | None:
    """`PIP_FIND_LINKS` or pip's configuration, when it names a folder that exists."""
    text = os.environ.get("PIP_FIND_LINKS") or _configured(shell, python)
    folder = Path(text.strip().strip("'\""))
    return folder if text.strip() and folder.is_dir() else None


def _configured(shell: Shell, python: str) -> str:
    output = shell.read(python, "-m", "pip", "config", "get", "global.find-links")
    return output.text if output.code == 0 else ""
