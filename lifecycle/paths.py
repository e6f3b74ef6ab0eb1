"""Where things live: the checkout, and one folder of the user's for all that is made."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lifecycle.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: env files, compose files and the root `.env` are read from here."""

DATA = Path(__file__).resolve().parent / "data"


@dataclass(frozen=True)
class Paths:
    """Every folder the program writes to. Nothing is made by merely asking for a path."""

    root: Path
    home: Path
    models: Path

    @property
    def secrets(self) -> Path:
        """The root `.env`: keys, tokens and local overrides; git-ignored, mode 600."""
        return self.root / ".env"

    @property
    def exposed(self) -> Path:
        """The list of what `inv expose` added to a tailnet, there or not."""
        return self.home / "gateway" / "exposed.json"

    def engine(self, name: str) -> Path:
        """The virtual environment of one engine, e.g. `cpu-0.32.0`."""
        return self.home / "engines" / name

    def run(self, backend: str) -> Path:
        """State and logs of one backend's server."""
        return self.home / "run" / backend


def paths(values: Mapping[str, str], root: Path = ROOT) -> Paths:
    """Paths from `LIFECYCLE_HOME` and `MODELS_DIR` (see the keys in `backend.py`).

    Raises:
        ConfigError: one of them cannot be a path.
    """
    data_home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    chosen = values.get("LIFECYCLE_HOME")
    home = expanded(chosen, "LIFECYCLE_HOME") if chosen else _usual(f"{data_home}/vllm-lifecycle")
    other = values.get("MODELS_DIR")
    models = expanded(other, "MODELS_DIR") if other else home / "models"
    return Paths(root=root, home=root / home, models=root / models)


def expanded(text: str, key: str) -> Path:
    """A path as a person writes it; `~` is a home folder.

    Raises:
        ConfigError: it cannot be the name of anything here.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = text.encode("utf-8", "backslashreplace").decode()
        raise ConfigError(
            f"{key}={shown}: its bytes are not UTF-8", fix="Give the folder a name that is."
        ) from None
    if "\0" in text:
        raise ConfigError(f"{key}= holds a zero byte, which no path can", fix="Remove it.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"{key}={text}: nobody has that home folder on this machine",
            fix="Write the whole path, from / on.",
        ) from None


def _usual(text: str) -> Path:
    """Where everything goes when nobody chose.

    Raises:
        ConfigError: this user has no home folder.
    """
    try:
        return expanded(text, "XDG_DATA_HOME")
    except ConfigError:
        if not text.startswith("~/"):
            raise
        raise ConfigError(
            "this user has no home folder", why="HOME is unset, and no account has this number",
            fix="Set HOME=, or LIFECYCLE_HOME= in .env to a folder of yours.",
        ) from None  # fmt: skip
