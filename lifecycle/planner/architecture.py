"""A model's `config.json`, read as vLLM reads it: what it keeps, how it is quantized, how long.

The reference is vLLM 0.32: `transformers_utils/model_arch_config_convertor.py` and
`_get_and_verify_max_len` in `config/model.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lifecycle import tables
from lifecycle.errors import ModelUnavailable
from lifecycle.model import Architecture, Layer, Quantization, Vision
from lifecycle.planner import layers, parameters, quantization
from lifecycle.planner.numbers import Config, broken, unknown
from lifecycle.planner.spelling import language_part, standard
from lifecycle.tables.families import Family

LENGTHS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_target_positions",
    "max_sequence_length", "max_seq_length", "seq_len",
)  # fmt: skip
ALREADY_SCALED = {
    "default", "su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling",
    "mrope", "proportional",
}  # fmt: skip
LONG = {"longrope", "su"}
DTYPES = {"bfloat16": "bfloat16", "float16": "float16", "half": "float16", "float32": "float32",
          "float": "float32"}  # fmt: skip
FIXED_PATCHES = 4096
DYNAMIC_PATCHES = 65536
"""Qwen-VL's largest picture: 16384 tokens of 2 x 2 patches (its `preprocessor_config.json`)."""
GATES = {"silu", "swish"}
GATED = ("qwen2_5_vl", "pixtral", "mistral3", "glm4v")
"""What sees in these has gates, though their files do not always say so (transformers 5.19)."""
TIED = "tie_word_embeddings"
VISION = ("vision_config", "vit_config", "visual")
MOST_LAYERS = 2048


def parse(config: Mapping[str, Any]) -> Architecture:
    """What a `config.json` says about memory.

    Raises:
        ModelUnavailable: it is broken, or of no language model.
        UnknownKind: it may be good, and misses a number under every name we know.
    """
    if not isinstance(config, Mapping):
        broken("it is no JSON object")
    text, known, family = language_part(config)
    if not family:
        broken("it has no model_type")
    # What the whole says holds for its language part, unless that or its class says otherwise.
    outer = {} if text is config else _whole(config, text, known)
    read = standard(text, replace(known, defaults={**outer, **known.defaults}))
    hidden = read.count("hidden_size", "n_embd", "d_model")
    heads = read.count("num_attention_heads", "n_head", "n_heads", default=0)
    vocab = read.count("vocab_size")
    if not hidden or not vocab:
        broken("its hidden_size or vocab_size is 0")
    _require_layers(read)
    made = layers.layers(family, read, heads, hidden)
    _require_attention(made, heads)
    vision, unseen = _sight(config)
    classes = _classes(config)
    tied = _tied(family, config, text, read)
    longest, furthest = _lengths(family, read)
    return Architecture(
        family=family,
        layers=made,
        hidden=hidden,
        heads=heads,
        vocab=vocab,
        intermediate=parameters.dense_width(read, hidden),
        experts=parameters.experts(read),
        experts_per_token=read.count("num_experts_per_tok", "num_experts_per_token",
                                     "top_k_experts", "moe_topk", default=0),
        expert_intermediate=parameters.expert_width(read),
        tied=tied,
        dtype=_dtype(config, text),
        longest=longest,
        furthest=furthest,
        quantization=_quantization(config, text),
        vision=vision,
        parameters=parameters.count(family, read, made, vision, tied=tied),
        ahead=parameters.ahead(family, read, made),
        unsure=(*_unsure(read, made), *unseen),
        classes=classes,
        unknown=_unknown(family, known, classes, read),
        says_dtype=bool(_said_dtype(config, text)),
    )  # fmt: skip


def _classes(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The model's classes; none where vLLM must choose one by the family."""
    said = config.get("architectures")
    if said is None:
        return ()
    classes = [said] if isinstance(said, str) else said
    if not isinstance(classes, list) or not all(isinstance(one, str) for one in classes):
        broken(f"architectures is {said!r}, which is no list of names")
    return tuple(classes)


def _whole(config: Mapping[str, Any], text: Mapping[str, Any], known: Family) -> dict[str, Any]:
    """What a config says outside of its language part; lengths only where that has none."""
    own = {**known.defaults, **text}
    lengths = {key for key in LENGTHS if any(own.get(one) is not None for one in LENGTHS)}
    return {k: v for k, v in config.items() if not isinstance(v, Mapping) and k not in lengths}


def _require_layers(read: Config) -> None:
    count = read.count("num_hidden_layers", "n_layer", "n_layers", "num_layers", default=0)
    listed = len(read.words("layer_types") or read.words("layers_block_type"))
    pattern = len(read.text("hybrid_override_pattern"))
    if not max(count, listed, pattern) and not read.has("num_hidden_layers"):
        unknown("it has no num_hidden_layers, nor another name of it that we know")
    if not 0 < max(count, listed, pattern) <= MOST_LAYERS:
        broken(f"it says {count} layers")
    if listed and count and listed != count:
        broken(f"it says {count} layers and lists {listed}")


def _require_attention(made: tuple[Layer, ...], heads: int) -> None:
    attending = [one for one in made if one.kind not in {"state", "none"}]
    if attending and not heads:
        unknown("it has no num_attention_heads, nor another name of it that we know")
    if any(not one.kv_heads or not one.head_dim for one in attending):
        broken("its heads have no size")


def _tied(family: str, config: Mapping[str, Any], text: Mapping[str, Any], read: Config) -> bool:
    """Whether outputs are the embedding: the language part says, the whole, or its class."""
    for place in (text, config):
        if isinstance(place.get(TIED), bool):
            return bool(place[TIED])
    assumed = read.raw(TIED)
    return assumed if isinstance(assumed, bool) else tables.families.tied(family)


def _dtype(config: Mapping[str, Any], text: Mapping[str, Any]) -> str:
    """What `--dtype auto` becomes: float32 checkpoints are computed in half of it."""
    found = _said_dtype(config, text)
    return found if found == "float16" else "bfloat16"


def _said_dtype(config: Mapping[str, Any], text: Mapping[str, Any]) -> str:
    """The type the file names; "" where it names none that weights are computed in."""
    for place in (config, text):
        for key in ("dtype", "torch_dtype"):
            said = place.get(key)
            if isinstance(said, str) and said.removeprefix("torch.") in DTYPES:
                return DTYPES[said.removeprefix("torch.")]
    return ""


def _quantization(config: Mapping[str, Any], text: Mapping[str, Any]) -> Quantization:
    for place in (config, text):
        for key in ("quantization_config", "compression_config"):
            found = Config(place, {}).mapping(key)
            if found:
                return quantization.parse(found)
    return Quantization()


def _lengths(family: str, read: Config) -> tuple[int, int]:
    """Tokens vLLM takes when nobody says, and at most; 0 when the file has none of the keys."""
    lengths = [read.count(key) for key in LENGTHS if read.has(key)]
    if read.has("model_max_length"):
        lengths = [read.count("model_max_length")]
    if not lengths:
        return 0, 0
    rope = _rope(read)
    factor = 1.0 if "gemma3" in family or _kind(rope) in ALREADY_SCALED else rope.get("factor")
    if not isinstance(factor, int | float) or isinstance(factor, bool) or not 0 < factor < 1e6:
        factor = 1.0
    most = int(min(lengths) * factor)
    if _kind(rope) in LONG and read.has("original_max_position_embeddings"):
        # It starts with the length it is best at, and takes the other when asked.
        return read.count("original_max_position_embeddings"), most
    return most, most


def _rope(read: Config) -> Mapping[str, Any]:
    for key in ("rope_parameters", "rope_scaling"):
        found = read.mapping(key)
        if found:
            # One set a kind of layer: full attention's is the one that reaches far.
            inner = found.get("full_attention")
            return inner if isinstance(inner, Mapping) else found
    return {}


def _kind(rope: Mapping[str, Any]) -> str:
    return str(rope.get("rope_type") or rope.get("type") or "default")


def _sight(config: Mapping[str, Any]) -> tuple[Vision, tuple[str, ...]]:
    """The part that sees; and what to say of one that is there and cannot be read."""
    read = Config(config, {})
    try:
        found = _vision(read)
    except ModelUnavailable:  # numbers in a form of its own: the rest can be reckoned all the same
        found = Vision()
    there = any(isinstance(read.raw(key), Mapping) and read.raw(key) for key in VISION)
    return found, ("a part that sees, which is not counted",) if there and not found.depth else ()


def _vision(config: Config) -> Vision:
    values = next((config.mapping(key) for key in VISION if config.mapping(key)), {})
    if not values:
        return Vision()
    whole = tables.families.family(config.text("model_type"))
    kind = Config(values, {}).text("model_type") or whole.vision
    read = standard(values, tables.families.family(kind))
    # Qwen 2's `hidden_size` is the width of what leaves the tower; inside it is `embed_dim`.
    hidden = read.count("embed_dim", "hidden_size", "width", default=0)
    size = read.count("image_size", default=0)
    patch = read.count("patch_size", "spatial_patch_size", default=14)
    fixed = (size // patch) ** 2 if size and patch else 0
    dynamic = read.has("spatial_merge_size") or read.has("window_size")
    colours = read.count("in_channels", "in_chans", "num_channels", default=3)
    kind = kind or config.text("model_type")
    return Vision(
        hidden=hidden,
        intermediate=read.count("intermediate_size", "mlp_dim", default=4 * hidden),
        depth=read.count("depth", "num_hidden_layers", "layers", default=0),
        patches=DYNAMIC_PATCHES if dynamic else fixed or FIXED_PATCHES,
        # Qwen 2's `hidden_size` is what leaves the tower; later ones say it by name.
        out=read.count("out_hidden_size", default=0),
        gated=read.text("hidden_act") in GATES or any(kind.startswith(one) for one in GATED),
        merge=read.count("spatial_merge_size", default=1),
        inputs=colours * patch**2 * read.count("temporal_patch_size", default=1),
        positions=read.count("num_position_embeddings", default=0 if dynamic else fixed),
        deep=len(read.words("deepstack_visual_indexes")),
    )


def _unsure(read: Config, made: tuple[Layer, ...]) -> tuple[str, ...]:
    """What of this model is estimated, in words."""
    kinds = {layer.kind for layer in made}
    said = []
    if "state" in kinds:
        said.append("layers with a state a request")
    if {"sliding", "chunked"} & kinds:
        said.append("layers that look back a window")
    if read.has("index_head_dim") or read.has("compress_ratios"):
        said.append("sparse attention, whose index is not counted")
    if read.has("block_configs"):
        said.append("layers that differ from each other")
    if read.raw("is_encoder_decoder") is True:
        said.append("an encoder, and what is kept of its answers")
    return tuple(said)


def _unknown(family: str, known: Family, classes: tuple[str, ...], read: Config) -> tuple[str, ...]:
    """Why nothing that is reckoned of this model is certain, in words."""
    kept = tables.families.latent(family) or tables.families.decompressed(family)
    told = known.known or kept or any(map(tables.families.serves, classes))
    said = (
        [] if told else [f"vLLM keeps what its config.json says: {family} is a kind we do not know"]
    )
    if layers.squeezed(read) and not kept:
        said.append(
            f"vLLM keeps full heads of its latent attention: how it does for {family} is not known"
        )
    return tuple(said)
