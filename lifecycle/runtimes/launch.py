"""What a server was started with. It carries that itself, in its environment or its container's
label; a copy lies beside it: `up` compares, `down` knows the runtime. No secret is in it.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from lifecycle.backend import Backend
from lifecycle.env_file import Setting
from lifecycle.host import Launch
from lifecycle.keys import SHAPING

FILE = "launch.json"
STOPPED = "it was stopped meanwhile (inv down)"
"""Why a start ended of which the copy is gone."""
RUNTIMES = ("venv", "docker")
VARIABLE = "LIFECYCLE_LAUNCH"
"""What a process carries it in. (vLLM warns of unknown variables that begin with VLLM_.)"""


def read(run: Path) -> Launch:
    """The last launch by the copy; an empty one when there is none that can be read."""
    try:
        return parse((run / FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return Launch()


def unreadable(run: Path) -> str:
    """Why the copy cannot be read although it is there; "" when it can, or is not there."""
    try:
        told = parse((run / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        return f"{run / FILE} cannot be read: {error}"
    return "" if told.runtime else f"{run / FILE} is damaged"


def parse(text: str) -> Launch:
    """A launch from its text; an empty one when that is none."""
    try:
        kept = json.loads(text)
        settings = {str(key): str(value) for key, value in kept["settings"].items()}
        if kept["runtime"] not in RUNTIMES:
            return Launch()
        return Launch(kept["runtime"], settings, str(kept.get("checkout", "")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Launch()


def text(launch: Launch) -> str:
    """The copy's content."""
    return json.dumps(asdict(launch), indent=1) + "\n"


def carried(launch: Launch) -> str:
    """What the server itself carries: the same in one line."""
    return json.dumps(asdict(launch), separators=(",", ":"))


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
