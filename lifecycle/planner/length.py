"""The longest request a model allows, with what `--hf-overrides` makes of it.

vLLM reads it so in `config/model.py` (`_get_and_verify_max_len`) and
`transformers_utils/model_arch_config_convertor.py` (`derive_max_model_len_and_key`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from lifecycle.model import Model
from lifecycle.tables.versions import numbers

KEYS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_target_positions",
    "max_sequence_length", "max_seq_length", "seq_len",
)  # fmt: skip
"""The smallest of these is the length; `model_max_length` comes before them all."""
MOST_FACTOR = 1e6
SCALED = {"su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"}
"""Kinds of rope scaling whose factor is in `max_position_embeddings` already."""
YARN_SCALED_SINCE = (0, 30)
"""Before, vLLM took yarn's original length times its factor. Wheels 0.29.0 and 0.30.0:
config/model.py; tried with 0.32.0: it refuses 131072 tokens of Qwen3-8B with yarn alone."""


def overridden(model: Model, overrides: Mapping[str, Any], version: str) -> Model:
    """The model as `--hf-overrides` leaves it, as far as its length goes.

    Args:
        version: of vLLM; "" for the newest.
    """
    known = model.architecture
    longest = known.longest
    if not (overrides and longest):
        return model
    text = overrides.get("text_config")
    said = {**overrides, **text} if isinstance(text, Mapping) else dict(overrides)
    longest = _length(said, longest)
    for rope in _ropes(said):
        longest = _scaled(longest, rope, version)
    if longest == known.longest:
        return model
    return replace(model, architecture=replace(known, longest=longest, furthest=longest))


def touches(overrides: Mapping[str, Any]) -> bool:
    """Whether all that is overridden is about the length."""
    about = {*KEYS, "model_max_length", "rope_parameters", "rope_scaling", "rope_theta"}
    text = overrides.get("text_config")
    inside = set(text) if isinstance(text, Mapping) else set()
    return (set(overrides) - {"text_config"}) | inside <= about


def yarn_needs_length(overrides: Mapping[str, Any], version: str) -> bool:
    """Whether somebody wrote yarn as vLLM took it before 0.30, without the length it now needs."""
    new = not version or numbers(version)[:2] >= YARN_SCALED_SINCE
    yarn = any(_kind(rope) in {"yarn", "deepseek_yarn"} for rope in _ropes(overrides))
    return new and yarn and not any(key in overrides for key in (*KEYS, "model_max_length"))


def _length(said: Mapping[str, Any], longest: int) -> int:
    own = said.get("model_max_length")
    if isinstance(own, int) and own:
        return own
    given = [found for key in KEYS if isinstance(found := said.get(key), int) and found]
    return min(given) if given else longest


def _ropes(said: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Rope scaling as it is written, or one for each kind of layer."""
    found = said.get("rope_parameters") or said.get("rope_scaling")
    if not isinstance(found, Mapping):
        return []
    nested = [one for one in found.values() if isinstance(one, Mapping)]
    return nested or [found]


def _kind(rope: Mapping[str, Any]) -> str:
    return str(rope.get("rope_type") or rope.get("type") or "default")


def _scaled(longest: int, rope: Mapping[str, Any], version: str) -> int:
    kind, factor = _kind(rope), rope.get("factor") or 1.0
    if not isinstance(factor, int | float) or not 0 < factor < MOST_FACTOR:
        return longest  # JSON may hold Infinity, and Python reads it
    if kind == "yarn" and version and numbers(version)[:2] < YARN_SCALED_SINCE:
        original = rope.get("original_max_position_embeddings")
        return int((original if isinstance(original, int) else longest) * factor)
    return longest if kind in SCALED else int(longest * factor)
