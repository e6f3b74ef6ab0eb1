"""What a server was started with, kept beside it: `up` compares, `down` knows the runtime."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from lifecycle.backend import Backend
from lifecycle.env_file import Setting
from lifecycle.host import Launch
from lifecycle.keys import SHAPING

FILE = "launch.json"


def read(run: Path) -> Launch:
    """The last launch; an empty one when there is none that can be read."""
    try:
        kept = json.loads((run / FILE).read_text())
        return Launch(runtime=str(kept["runtime"]), settings=_texts(kept["settings"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Launch()


def _texts(settings: dict[str, object]) -> dict[str, str]:
    return {str(key): str(value) for key, value in settings.items()}


def text(launch: Launch) -> str:
    """The file's content."""
    return json.dumps(asdict(launch), indent=1) + "\n"


def as_started(backend: Backend, was: Launch) -> Backend:
    """The backend as its server was started, whatever its files say by now.

    The key is that of now: only its fingerprint was kept.
    """
    source = "what the server was started with"
    others = {key: one for key, one in backend.settings.items() if key not in SHAPING}
    then = {key: Setting(text, source) for key, text in was.settings.items() if key in SHAPING}
    return Backend(backend.name, {**others, **then, "RUNTIME": Setting(was.runtime, source)})


def fingerprint(secret: str) -> str:
    """Tells two secrets apart without holding either (they are long and random)."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()[:12]


def differences(was: Launch, now: Launch) -> list[str]:
    """What changed, one line a value, e.g. `MAX_MODEL_LEN: 2048 → 4096`."""
    lines = [] if was.runtime == now.runtime else [f"RUNTIME: {was.runtime} → {now.runtime}"]
    for key in sorted(was.settings.keys() | now.settings.keys()):
        old, new = was.settings.get(key, ""), now.settings.get(key, "")
        if old != new:
            lines.append(f"{key}: {old or 'unset'} → {new or 'unset'}")
    return lines
