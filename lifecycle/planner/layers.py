"""What each layer of a model keeps of a request: attention of some kind, or a state.

The rules are vLLM 0.32's: `model_executor/layers/mamba/mamba_utils.py`, the models themselves, and
where a file leaves the order of its layers out, the order its class has.
"""

from collections.abc import Mapping
from typing import Any

from lifecycle import tables
from lifecycle.model import Layer, State
from lifecycle.planner.numbers import Config

FULL = {"full_attention", "attention", "global_attention", "full"}
SLIDING = {"sliding_attention", "sliding", "local_attention", "sliding_window_attention"}
STATE = {"linear_attention", "mamba", "mamba2", "mamba1", "gated_delta_net", "recurrent", "conv"}
NOTHING = {"mlp", "moe", "dense"}
LATENT = ("kv_lora_rank", "qk_rope_head_dim")
"""Keys of latent attention (MLA); whether vLLM keeps it compressed depends on the family."""
NEMOTRON = {"M": "mamba", "*": "full_attention", "-": "mlp", "E": "moe"}
MAMBA_ONLY = {"mamba", "mamba2", "falcon_mamba"}
"""Families that never attend."""
ALTERNATING = {"gemma2", "gpt_oss"}


def layers(family: str, config: Config, heads: int, hidden: int) -> tuple[Layer, ...]:
    """One entry a layer, two where attention and a state stand side by side.

    Raises:
        ModelUnavailable: the numbers do not say what a layer keeps.
    """
    kinds = _kinds(family, config)
    attention = _attention(family, config, heads, hidden)
    blocks = unlike(config)
    if blocks:
        return tuple(_block(block, heads, attention) for block in blocks)
    made = [_layer(kind, family, config, attention, hidden) for kind in kinds]
    shared = config.count("num_kv_shared_layers", default=0)
    if shared:
        made[len(made) - shared :] = [Layer("none")] * shared
    if family == "falcon_h1":
        state = Layer("state", state=_state(family, config, hidden))
        return tuple(one for layer in made for one in (layer, state))
    return tuple(made)


def longest_window(config: Config) -> int:
    """Tokens a sliding layer looks back; 0 when none slides."""
    if config.has("use_sliding_window") and not config.raw("use_sliding_window"):
        return 0
    return config.count("sliding_window", default=0)


def _kinds(family: str, config: Config) -> list[str]:
    """The kind of each layer, in the model's order."""
    pattern = config.text("hybrid_override_pattern")
    if pattern:
        return [NEMOTRON.get(letter, "full_attention") for letter in pattern]
    said = config.words("layer_types") or config.words("layers_block_type")
    if said:
        return list(said)
    count = config.count("num_hidden_layers", "n_layer", "n_layers", "num_layers")
    return [_unsaid(index, family, config) for index in range(count)]


def _unsaid(index: int, family: str, config: Config) -> str:
    """The kind of a layer whose file gives no list."""
    if family in MAMBA_ONLY:
        return "mamba"
    if config.has("attention_chunk_size"):  # Llama 4
        every = max(1, config.count("no_rope_layer_interval", default=4))
        return "full_attention" if (index + 1) % every == 0 else "chunked_attention"
    full = _among_states(index, family, config)
    if full is None:
        return _window_or_not(index, family, config)
    return "full_attention" if full else "mamba"


def _among_states(index: int, family: str, config: Config) -> bool | None:
    """Whether this layer of a hybrid attends; None for a model without states."""
    if config.has("full_attention_interval"):  # Qwen 3.5 and later
        return (index + 1) % max(1, config.count("full_attention_interval")) == 0
    if config.has("attn_layer_period"):  # Jamba
        period = max(1, config.count("attn_layer_period"))
        return index % period == config.count("attn_layer_offset", default=0)
    listed = config.raw("attn_layer_indices")  # Bamba
    if isinstance(listed, list):
        return index in listed
    if family == "bamba":
        return False
    kimi = config.mapping("linear_attn_config").get("full_attn_layers")
    return index + 1 in kimi if isinstance(kimi, list) else None  # it counts from 1


def _window_or_not(index: int, family: str, config: Config) -> str:
    if not longest_window(config):
        return "full_attention"
    if family in ALTERNATING:
        return "sliding_attention" if index % 2 == 0 else "full_attention"
    for key in ("sliding_window_pattern", "_sliding_window_pattern"):
        if config.has(key) and not isinstance(config.raw(key), str):
            every = max(1, config.count(key))
            return "full_attention" if (index + 1) % every == 0 else "sliding_attention"
    full_below = config.count("max_window_layers", default=0)
    return "full_attention" if index < full_below else "sliding_attention"


def unlike(config: Config) -> list[Mapping[str, Mapping[str, Any]]]:
    """Layers that differ from each other (Nemotron NAS), as `block_configs` describes them."""
    blocks = config.raw("block_configs")
    if not isinstance(blocks, list) or not all(_halves(one) for one in blocks):
        return []
    return blocks


def _halves(block: object) -> bool:
    return isinstance(block, Mapping) and all(
        isinstance(block.get(half), Mapping) for half in ("attention", "ffn")
    )


def _block(block: Mapping[str, Mapping[str, Any]], heads: int, attention: Layer) -> Layer:
    """What one of such layers keeps: nothing without attention, else heads in groups of its own."""
    own = Config(block["attention"], {})
    if own.raw("no_op") or own.raw("replace_with_linear"):
        return Layer("none")
    size = attention.head_dim
    return Layer("full", heads // max(1, own.count("n_heads_in_group")), size, size)


def squeezed(config: Config) -> bool:
    """Whether attention is latent by its keys."""
    return all(config.has(key) for key in LATENT)


def _attention(family: str, config: Config, heads: int, hidden: int) -> Layer:
    """What a layer of plain attention keeps."""
    if squeezed(config):
        rank, rope = (config.count(key) for key in LATENT)
        if tables.families.latent(family):
            return Layer("latent", kv_heads=1, head_dim=rank + rope)
        whole = config.count("qk_nope_head_dim", default=0) + rope
        return Layer("full", heads, whole, whole)  # values are padded to the size of keys
    kv_heads = config.count(
        "n_head_kv", "num_kv_heads", "num_key_value_heads", "multi_query_group_num",
        "num_attention_groups", default=heads,
    )  # fmt: skip
    if config.raw("multi_query") and not config.raw("new_decoder_architecture"):
        kv_heads = 1
    if config.has("multi_query_attention") and not config.raw("multi_query_attention"):
        kv_heads = heads
    size = head_dim(config, heads, hidden)
    return Layer("full", kv_heads, size, config.count("v_head_dim", default=size) or size)


def head_dim(config: Config, heads: int, hidden: int) -> int:
    """Elements of one key; not always hidden / heads (Qwen 3, Mistral NeMo)."""
    default = hidden // heads if heads else 0
    return config.count("head_dim", "attention_head_dim", default=default) or default


def _layer(kind: str, family: str, config: Config, attention: Layer, hidden: int) -> Layer:
    if kind in NOTHING:
        return Layer("none")
    if kind in STATE:
        return Layer("state", state=_state(family, config, hidden))
    if kind in SLIDING and attention.kind != "latent":
        window = longest_window(config)
        heads = config.count("swa_num_key_value_heads", default=attention.kv_heads)
        size = config.count("swa_head_dim", default=attention.head_dim)
        value = config.count("swa_v_head_dim", default=0) or (
            size if config.has("swa_head_dim") else attention.value_dim
        )
        return Layer("sliding" if window else "full", heads, size, value, window)
    if kind == "chunked_attention":
        window = config.count("attention_chunk_size")
        return Layer("chunked", attention.kv_heads, attention.head_dim, attention.value_dim, window)
    return _global(config, attention)


def _global(config: Config, attention: Layer) -> Layer:
    """A full layer; Gemma 4's are wider than its sliding ones, with heads of their own."""
    size = config.count("global_head_dim", default=0)
    if not size or attention.kind == "latent":
        return attention
    heads = config.count("num_global_key_value_heads", default=0) or attention.kv_heads
    return Layer("full", heads, size, size)


def _state(family: str, config: Config, hidden: int) -> State:
    """The fixed state of a recurrent layer (vLLM's `MambaStateShapeCalculator`)."""
    dtype = config.text("mamba_ssm_dtype") or config.text("mamba_ssm_cache_dtype")
    if config.has("linear_num_value_heads"):
        keys = config.count("linear_num_key_heads") * config.count("linear_key_head_dim")
        values = config.count("linear_num_value_heads") * config.count("linear_value_head_dim")
        kernel = config.count("linear_conv_kernel_dim")
        recurrent = values * config.count("linear_key_head_dim")
        return State((2 * keys + values) * (kernel - 1), recurrent, dtype)
    if config.mapping("linear_attn_config"):
        inner = Config(config.mapping("linear_attn_config"), {})
        heads, size = inner.count("num_heads"), inner.count("head_dim")
        kernel = inner.count("short_conv_kernel_size", default=4)
        return State(3 * heads * size * (kernel - 1), heads * size * size, dtype or "float32")
    if config.has("conv_L_cache"):  # LFM2: a short convolution only
        return State(config.count("conv_dim", default=hidden) * (config.count("conv_L_cache") - 1))
    return _mamba(family, config, hidden, dtype)


def _mamba(family: str, config: Config, hidden: int, dtype: str) -> State:
    kernel = config.count("mamba_d_conv", "conv_kernel", default=4)
    size = config.count("mamba_d_state", "ssm_state_size", "state_size")
    expanded = config.count("mamba_expand", "expand", default=2) * hidden
    heads = config.count("mamba_n_heads", "mamba_num_heads", "num_heads", default=0)
    if not heads or family in {"jamba", "mamba", "falcon_mamba"}:  # Mamba 1
        inner = (
            config.count("intermediate_size", default=expanded) if family != "jamba" else expanded
        )
        return State(inner * (kernel - 1), inner * size, dtype)
    width = (
        config.count("mamba_d_head", "mamba_head_dim", "head_dim", default=0) or expanded // heads
    )
    inner = config.count("mamba_d_ssm", default=heads * width)
    groups = config.count("mamba_n_groups", "n_groups", default=1)
    return State((inner + 2 * groups * size) * (kernel - 1), heads * width * size, dtype)
