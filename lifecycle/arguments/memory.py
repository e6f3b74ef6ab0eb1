"""Which flags the planner has to do with (`data/vllm_arguments.toml`), and what they ask for."""

import tomllib
from functools import cache
from typing import Any

from lifecycle.arguments.flags import FILE
from lifecycle.arguments.parser import Arguments

SEEN = {"image", "video"}
SPEC = {
    "--spec-method": "method",
    "--spec-model": "model",
    "--spec-tokens": "num_speculative_tokens",
}
"""Short forms of keys of `--speculative-config`."""
OWN = "mtp"
"""Layers of the model itself guess; vLLM takes all names that end so for this one."""
WITHOUT_WEIGHTS = {"ngram", "ngram_gpu", "suffix", "custom_class"}
NO_GRAPHS = {"NONE", "0"}


def speculation(arguments: Arguments) -> dict[str, Any]:
    """`--speculative-config` with its short forms; an empty one without speculation."""
    held = {key.replace("-", "_"): v for key, v in arguments.held("--speculative-config").items()}
    short = {key: found for flag, key in SPEC.items() if (found := arguments.get(flag)) is not None}
    return {**held, **short}


def method(said: dict[str, Any]) -> str:
    """How tokens are guessed, as vLLM sees it; "" without speculation."""
    if not said:
        return ""
    model = str(said.get("model") or "")
    named = said.get("method")
    if not named:
        return model.strip("[]") if model.strip("[]") in WITHOUT_WEIGHTS else "draft_model"
    return OWN if str(named).endswith(OWN) else str(named)


def blind(arguments: Arguments) -> bool:
    """Whether the part that sees is not loaded: vLLM leaves it out where no input may be seen."""
    if arguments.get("--language-model-only"):
        return True
    limits = arguments.held("--limit-mm-per-prompt")
    # One limit may also be an object: {"video": {"count": 0}}.
    counts = {k: v.get("count") if isinstance(v, dict) else v for k, v in limits.items()}
    # vLLM allows what is not named; of what this program knows only pictures and films are towers.
    return bool(counts) and all(counts.get(kind) == 0 for kind in SEEN)


def eager(arguments: Arguments) -> bool:
    """Whether no graphs are captured."""
    mode = arguments.held("--compilation-config").get("cudagraph_mode")
    return (
        bool(arguments.get("--enforce-eager"))
        or str(arguments.get("--optimization-level")) == "0"
        or (mode is not None and str(mode).upper() in NO_GRAPHS)
    )


def unreckoned(arguments: Arguments) -> list[str]:
    """Flags that take or free memory of a card, nobody knows how much."""
    rows = _rows()
    return [flag for flag in arguments.flags if flag in rows or flag in _strange(arguments)]


@cache
def _rows() -> frozenset[str]:
    return frozenset(tomllib.loads(FILE.read_text(encoding="utf-8"))["memory"]["unreckoned"])


def _strange(arguments: Arguments) -> set[str]:
    return {word.partition("=")[0] for word in arguments.unknown if word.startswith("-")}
