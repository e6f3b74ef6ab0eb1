"""What flags in `EXTRA_ARGS` mean for memory."""

import json
import re
import shlex
from collections.abc import Mapping

SIZES = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
         "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}  # fmt: skip
"""vLLM's letters (0.32, `human_readable_int`): small ones are decimal, capitals binary."""
SEEN = {"image", "video"}


def values(text: str) -> dict[str, str]:
    """Flags and their values; "" for a flag without one."""
    found: dict[str, str] = {}
    flag = ""
    for word in shlex.split(text):
        if word.startswith("-"):
            flag, _, value = word.partition("=")
            flag = flag.replace("_", "-")
            found[flag] = value
        elif flag:
            found[flag], flag = word, ""
    return found


def number(text: str) -> int:
    """A count as vLLM takes it: `8192`, `8k`, `4G`; 0 where vLLM will not understand it either."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgGtT]?)", text.strip())
    return int(float(found[1]) * SIZES.get(found[2], 1)) if found else 0


def blind(flags: Mapping[str, str]) -> bool:
    """Whether the part that sees is not loaded: vLLM leaves it out where no input may be seen."""
    if "--language-model-only" in flags:
        return True
    limits = _object(flags.get("--limit-mm-per-prompt", ""))
    # One limit may also be an object: {"video": {"count": 0}}.
    counts = {k: v.get("count") if isinstance(v, dict) else v for k, v in limits.items()}
    # vLLM allows what is not named; of what this program knows only pictures and films are towers.
    return bool(counts) and all(counts.get(kind) == 0 for kind in SEEN)


def speculated(flags: Mapping[str, str]) -> int:
    """Tokens guessed ahead of each request."""
    said = _object(flags.get("--speculative-config", flags.get("-sc", "")))
    found = said.get("num_speculative_tokens", 0)
    return found if isinstance(found, int) else 0


def _object(text: str) -> dict[str, object]:
    """JSON, or `image=0,video=0`, as older versions took it; nothing where it is neither."""
    try:
        read = json.loads(text)
    except ValueError:
        pairs = re.findall(r"(\w+)=(\d+)", text)
        return {key: int(value) for key, value in pairs}
    return read if isinstance(read, dict) else {}
