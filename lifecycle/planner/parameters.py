"""How many parameters a model has, reckoned from its `config.json` alone.

Only for when the headers of its files are not at hand. Own code: accelerate and transformers count
by building the model, which takes PyTorch and the model's class; hf-mem reads headers.
"""

from collections.abc import Mapping
from typing import Any

from lifecycle.model import Layer, Parameters, Vision
from lifecycle.planner.layers import FULL, head_dim, squeezed, unlike
from lifecycle.planner.numbers import Config

UNGATED = {"relu2", "relu_squared", "xielu"}
"""Activations of feed-forward layers without a gate: two matrices, not three."""
UNGATED_FAMILIES = {
    "gpt2", "opt", "falcon", "RefinedWeb", "RefinedWebModel", "phi", "phi-msft", "starcoder2",
    "gptj", "gpt_neox", "gpt_bigcode", "gpt_neo", "codegen", "bloom", "mpt", "xglm",
}  # fmt: skip


def count(
    family: str, config: Config, layers: tuple[Layer, ...], vision: Vision, *, tied: bool
) -> Parameters:
    """Parameters by what becomes of them.

    Raises:
        ModelUnavailable: a number is missing or broken.
    """
    hidden = config.count("hidden_size", "n_embd", "d_model")
    vocab = config.count("vocab_size")
    depth = len(layers) if family != "falcon_h1" else len(layers) // 2
    per_input = config.count("hidden_size_per_layer_input", default=0) * (
        config.count("vocab_size_per_layer_input", default=vocab) * depth + 2 * depth * hidden
    )
    moe = [index for index in range(depth) if _routed(index, family, config, layers)]
    fed = [index for index in range(depth) if _fed(index, config, layers)]
    dense = sum(_dense(index, family, config, hidden) for index in fed if index not in moe)
    dense += len(moe) * _shared(config, hidden)
    if family.startswith("gemma4") and moe:  # experts beside the dense layer, not instead of it
        dense += len(moe) * _dense(0, family, config, hidden)
    return Parameters(
        embedding=vocab * hidden + per_input,
        head=0 if tied else vocab * hidden,
        attention=sum(_mixer(layer, index, family, config, hidden)
                      for index, layer in enumerate(layers)),
        dense=dense,
        experts=len(moe) * experts(config) * 3 * hidden * expert_width(config)
        if not _ungated(family, config)
        else len(moe) * experts(config) * 2 * hidden * expert_width(config),
        rest=hidden * (4 * depth + 1) + len(moe) * hidden * experts(config),
        vision=_seen(vision, hidden),
    )  # fmt: skip


def ahead(family: str, config: Config, layers: tuple[Layer, ...]) -> int:
    """Parameters of the layers that guess tokens ahead (MTP): two widths joined, then a layer."""
    number = config.count("mtp_num_hidden_layers", "num_nextn_predict_layers", default=0)
    attending = [layer for layer in layers if layer.kind in {"full", "latent"}]
    if not number or not attending:
        return 0
    hidden = config.count("hidden_size", "n_embd", "d_model")
    routed = experts(config) * 3 * hidden * expert_width(config) + _shared(config, hidden)
    fed = routed if experts(config) else _dense(0, family, config, hidden)
    return number * (2 * hidden * hidden + _mixer(attending[0], 0, family, config, hidden) + fed)


def experts(config: Config) -> int:
    """Experts a router chooses from; 0 without any."""
    return config.count(
        "num_experts", "moe_num_experts", "n_routed_experts", "num_local_experts", default=0
    )


def expert_width(config: Config) -> int:
    """Elements between the two halves of one expert."""
    return config.count("moe_intermediate_size", "expert_ffn_hidden_size", "intermediate_size",
                        "ffn_hidden_size", default=0)  # fmt: skip


def dense_width(config: Config, hidden: int) -> int:
    """Elements between the two halves of a dense layer; the most where they differ."""
    blocks = unlike(config)
    if blocks:
        return max(_block_width(block["ffn"], hidden) for block in blocks)
    if config.has("block_auto_adjust_ff_dim") and config.raw("block_auto_adjust_ff_dim"):
        size = 2 * config.count("intermediate_size", "block_ff_dim") // 3  # LFM2
        every = config.count("block_multiple_of", default=256)
        return -(-size // every) * every
    return config.count(
        "intermediate_size_mlp", "intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size",
        default=4 * hidden,
    )  # fmt: skip


def _ungated(family: str, config: Config) -> bool:
    named = config.text("mlp_hidden_act") or config.text("hidden_act")
    return family in UNGATED_FAMILIES or named in UNGATED


def _dense(index: int, family: str, config: Config, hidden: int) -> int:
    width = config.raw("intermediate_size")
    blocks = unlike(config)
    size = dense_width(config, hidden) if not blocks else _block_width(blocks[index]["ffn"], hidden)
    if isinstance(width, list) and index < len(width) and isinstance(width[index], int):
        size = width[index]
    elif config.raw("use_double_wide_mlp") and index >= _own(config):
        size *= 2  # Gemma 4: layers that share another's keys and values are wider instead
    size //= max(1, config.count("intermediate_halves", default=1))
    return (2 if _ungated(family, config) else 3) * hidden * size


def _block_width(feed: Mapping[str, Any], hidden: int) -> int:
    """Of a layer of Nemotron NAS (vLLM: `_ffn_mult_to_intermediate_size` of `nemotron_nas.py`)."""
    factor = feed.get("ffn_mult")
    if feed.get("no_op") or not isinstance(factor, int | float):
        return 0
    return -(-int(2 * factor * hidden / 3) // 256) * 256


def _own(config: Config) -> int:
    """Layers with keys and values of their own; they come first."""
    return config.count("num_hidden_layers") - config.count("num_kv_shared_layers", default=0)


def _fed(index: int, config: Config, layers: tuple[Layer, ...]) -> bool:
    """Whether this layer has a feed-forward half: Nemotron-H's are layers of their own."""
    pattern = config.text("hybrid_override_pattern")
    if pattern:
        return pattern[index] in "-E"
    kinds = config.words("layers_block_type")
    if kinds and {"mlp", "moe"} & set(kinds):
        return kinds[index] in {"mlp", "moe"}
    return index < len(layers)


def _routed(index: int, family: str, config: Config, layers: tuple[Layer, ...]) -> bool:
    """Whether this layer's feed-forward half is experts."""
    pattern = config.text("hybrid_override_pattern")
    kinds = config.words("layers_block_type")
    if pattern or "moe" in kinds:
        return pattern[index] == "E" if pattern else kinds[index] == "moe"
    if not experts(config) or index >= len(layers):
        return False
    return _placed(index, family, config)


def _placed(index: int, family: str, config: Config) -> bool:
    """Which layers have experts, by period, by list, or from some layer on."""
    if config.has("expert_layer_period"):  # Jamba
        period = max(1, config.count("expert_layer_period"))
        return index % period == config.count("expert_layer_offset", default=0)
    plain = config.raw("mlp_only_layers")
    if isinstance(plain, list) and index in plain:
        return False
    first = config.count("first_k_dense_replace", default=0)
    if family == "kimi_linear" or first:
        return index >= first
    step = config.count(
        "decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq", default=1
    )
    return (index + 1) % max(1, step) == 0


def _shared(config: Config, hidden: int) -> int:
    """Experts that every token passes, of one layer."""
    width = config.count("shared_expert_intermediate_size", "shared_intermediate_size",
                         "moe_shared_expert_intermediate_size", default=0)  # fmt: skip
    number = config.count("n_shared_experts", "num_shared_experts", default=0)
    gates = 2 if config.text("mlp_hidden_act") in UNGATED else 3
    return gates * hidden * (width or number * expert_width(config))


def _mixer(layer: Layer, index: int, family: str, config: Config, hidden: int) -> int:
    if layer.kind == "state":
        return _recurrent(family, config, layer, hidden)
    heads = config.count("num_attention_heads", "n_head", default=0)
    if layer.kind in {"latent", "full"} and squeezed(config):
        return _latent(config, heads, hidden)
    if layer.kind == "none":
        # Gemma shares keys and values, not queries; a feed-forward layer has neither.
        mixes = bool(config.count("num_kv_shared_layers", default=0))
        return 2 * hidden * heads * head_dim(config, heads, hidden) if mixes else 0
    wide = layer.head_dim * heads
    queries = (
        2 * wide if config.raw("attn_output_gate") or family.startswith("qwen3_next") else wide
    )
    once = bool(config.raw("attention_k_eq_v")) and _full(index, config)
    values = 0 if once else layer.value_dim
    keys = layer.kv_heads * (layer.head_dim + values)
    return hidden * (queries + keys + layer.value_dim * heads)


def _full(index: int, config: Config) -> bool:
    kinds = config.words("layer_types")
    return bool(kinds) and index < len(kinds) and kinds[index] in FULL


def _latent(config: Config, heads: int, hidden: int) -> int:
    rank, rope = config.count("kv_lora_rank"), config.count("qk_rope_head_dim")
    plain, value = config.count("qk_nope_head_dim"), config.count("v_head_dim")
    wide = heads * (plain + rope)
    squeezed = config.count("q_lora_rank", default=0)
    queries = squeezed * (hidden + wide) if squeezed else hidden * wide
    return (
        queries + hidden * (rank + rope) + rank * heads * (plain + value) + heads * value * hidden
    )


def _recurrent(family: str, config: Config, layer: Layer, hidden: int) -> int:
    if config.has("linear_num_value_heads"):
        keys = config.count("linear_num_key_heads") * config.count("linear_key_head_dim")
        heads = config.count("linear_num_value_heads")
        values = heads * config.count("linear_value_head_dim")
        return hidden * (2 * keys + 2 * values + 2 * heads) + values * hidden
    if config.has("conv_L_cache"):
        return 4 * hidden * hidden
    if config.mapping("linear_attn_config"):
        kimi = Config(config.mapping("linear_attn_config"), {})
        return 5 * hidden * kimi.count("num_heads") * kimi.count("head_dim")
    inner = layer.state.recurrent // max(1, config.count("mamba_d_state", "ssm_state_size",
                                                         "state_size", default=1))  # fmt: skip
    size = config.count("mamba_d_state", "ssm_state_size", "state_size", default=0)
    heads = config.count("mamba_n_heads", "mamba_num_heads", default=0)
    groups = config.count("mamba_n_groups", "n_groups", default=1)
    if family in {"jamba", "mamba", "falcon_mamba"}:
        rank = config.count("mamba_dt_rank", "time_step_rank", default=hidden // 16)
        return 3 * inner * hidden + inner * (2 * rank + 2 * size) + inner * size
    return hidden * (2 * inner + 2 * groups * size + heads) + inner * hidden


def _seen(vision: Vision, hidden: int) -> int:
    """The tower, and what joins it to the language part."""
    if not vision.depth:
        return 0
    wide = vision.hidden
    matrices = 3 if vision.gated else 2
    layer = 4 * wide * wide + matrices * wide * vision.intermediate
    return (
        vision.depth * layer
        + wide * (vision.inputs + vision.positions)
        + (1 + vision.deep) * _joined(vision, vision.out or hidden)
    )


def _joined(vision: Vision, out: int) -> int:
    """Two matrices where patches are merged (Qwen), one where they are pooled (Gemma)."""
    wide = vision.merge**2 * vision.hidden
    return wide * wide + wide * out if vision.merge > 1 else wide * out
