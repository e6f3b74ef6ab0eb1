"""Where things live: the checkout, and one folder of the user's for all that is made."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
    """Paths from `LIFECYCLE_HOME` and `MODELS_DIR` (see the keys in `backend.py`)."""
    data_home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    home = Path(values.get("LIFECYCLE_HOME") or f"{data_home}/vllm-lifecycle").expanduser()
    models = Path(values.get("MODELS_DIR") or home / "models").expanduser()
    return Paths(root=root, home=root / home, models=root / models)
