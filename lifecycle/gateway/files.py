"""The gateway's folder: what is in it, and digests that tell one state of it from another."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from lifecycle.paths import Paths

STATIC = "traefik.yml"
FRONT = "front.json"
"""Where clients come in: the door opens it once Traefik has its routes."""
SUPERVISOR = "supervisord.conf"
ROUTES = "routes/gateway.yml"
"""What Traefik watches: alone in its folder, and the one file that changes while it runs."""
CANDIDATE = "candidate.yml"
"""The next one, until it is tried."""
CONTAINER = "container.json"
"""What a container of it is made with."""
ACCESS, ERRORS = "access.log", "log/gateway.log"
"""Of a container Docker keeps the first. The other is in a folder that Traefik may write to."""
PLUGIN = "plugins-local/src/lifecycle/door"
SOURCES = (
    ".traefik.yml", "go.mod", "backends.go", "bodies.go", "browsers.go", "door.go", "front.go",
    "keys.go", "models.go", "refusals.go", "replies.go",
)  # fmt: skip
COMMON = (STATIC, FRONT, "trial.py", *(f"{PLUGIN}/{name}" for name in SOURCES))
FIXED = {
    "venv": (*COMMON, SUPERVISOR, "guard.py"),
    "docker": (*COMMON, CONTAINER),
}
"""What takes a new start to change, by the runtime."""


def folder(paths: Paths) -> Path:
    """Where everything of the gateway is. What holds the backends' keys has mode 600."""
    return paths.home / "gateway"


def plugin(paths: Paths) -> dict[str, str]:
    """The door's sources of this checkout, by their place in the folder."""
    there = paths.root / "compose" / "config" / "gateway" / PLUGIN
    return {f"{PLUGIN}/{name}": (there / name).read_text(encoding="utf-8") for name in SOURCES}


def digest(texts: Mapping[str, str]) -> str:
    """One short text for many."""
    whole = "\0".join(f"{name}\0{text}" for name, text in sorted(texts.items()))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def found(where: Path, names: Iterable[str]) -> str:
    """The digest of what is on the disk; "" when something is missing."""
    try:
        return digest({name: (where / name).read_text(encoding="utf-8") for name in names})
    except (OSError, UnicodeDecodeError):
        return ""
