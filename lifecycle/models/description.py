"""What a model's own files say of it, as one config: `config.json` with `hf_quant_config.json`, or
Mistral's `params.json`.
"""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from typing import Any

from lifecycle.errors import ModelUnavailable
from lifecycle.models.folder import CONFIG, PARAMS
from lifecycle.planner import mistral

QUANTIZED = "hf_quant_config.json"
"""Where ModelOpt wrote it until 0.29; vLLM reads it where `config.json` says nothing."""
CONSOLIDATED = "consolidated*.safetensors"
"""Weights of Mistral's own format; vLLM takes them, and `params.json`, before all others."""
SAID_IN = ("quantization_config", "compression_config")

Object = Mapping[str, Any]


def source(names: Iterable[str]) -> str:
    """The file vLLM reads what a model is from, out of the names at its root.

    `config_format="auto"` of vLLM 0.32 (`transformers_utils/config.py`): `params.json` where
    Mistral's weights are there too, else `config.json`.
    """
    found = set(names)
    own = PARAMS in found and any(fnmatch(name, CONSOLIDATED) for name in found)
    return PARAMS if own else CONFIG


def config(names: Iterable[str], read: Callable[[str], Object]) -> Object:
    """What the planner reads of a model.

    Args:
        names: files at its root.
        read: the content of one of them.

    Raises:
        ModelUnavailable: none of them says what the model is, or what `read` raises.
    """
    found = set(names)
    if source(found) == PARAMS:
        return mistral.config(read(PARAMS), read(CONFIG) if CONFIG in found else {})
    if CONFIG not in found:
        raise ModelUnavailable(
            f"no file says what this model is: there is no {CONFIG}",
            fix="Fetch it again, or take another model: inv models",
        )
    said = read(CONFIG)
    return said if QUANTIZED not in found else _with_quantization(said, read(QUANTIZED))


def _with_quantization(said: Object, apart: Object) -> Object:
    """The config with what stands in the file apart; of a mixed one the list of layers only."""
    own = said.get("quantization_config")
    if not isinstance(own, Mapping):
        if any(isinstance(_text(said).get(key), Mapping) for key in SAID_IN):
            return said
        return {**said, "quantization_config": apart}
    inner = apart.get("quantization")
    layers = inner.get("quantized_layers") if isinstance(inner, Mapping) else None
    if "quantized_layers" in own or not layers:
        return said
    return {**said, "quantization_config": {**own, "quantized_layers": layers}}


def _text(said: Object) -> Object:
    inner = said.get("text_config")
    return inner if isinstance(inner, Mapping) else said
