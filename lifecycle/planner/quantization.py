"""How a model's weights are quantized, out of its `quantization_config`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from lifecycle.model import Quantization
from lifecycle.planner.numbers import Config

BITSANDBYTES_GROUP = 64
"""https://huggingface.co/docs/bitsandbytes: the block of its 4-bit types."""
MXFP4_GROUP = 32
"""OCP Microscaling Formats 1.0, section 5.2."""
NVFP4_GROUP = 16
BLOCK = 128
"""Rows and columns that share a scale in FP8 blocks, where the file does not say."""
MODELOPT = {"FP8": "modelopt", "FP8_PER_CHANNEL_PER_TOKEN": "modelopt", "FP8_PB_WO": "modelopt",
            "NVFP4": "modelopt_fp4", "MXFP8": "modelopt_mxfp8",
            "MIXED_PRECISION": "modelopt_mixed"}  # fmt: skip
"""vLLM's words for ModelOpt's algorithms (`modelopt.py`, override_quantization_method)."""
TORCHAO = (
    ("float8", "fp8"),
    ("mxfp4", "mxfp4"),
    ("nvfp4", "nvfp4"),
    ("int4", "int4"),
    ("int8", "int8"),
)
"""Parts of torchao's class names, and what the weights become."""
SKIPPING = ("modules_to_not_convert", "ignore", "exclude_modules", "exclude", "ignored_layers",
            "llm_int8_skip_modules")  # fmt: skip
GROUP = 128
"""What AWQ and GPTQ take when the file does not say."""


def parse(values: Mapping[str, Any]) -> Quantization:
    """The quantization of a model.

    Args:
        values: `quantization_config`; an empty mapping for a model without one.

    Raises:
        ModelUnavailable: a number in it is none.
    """
    if not values:
        return Quantization()
    config = Config(values, {})
    method = _method(config)
    numbers = _numbers(method, config)
    return replace(numbers, method=method, skipped=_skipped(config), kv_cache=_kv_cache(config))


def _numbers(method: str, config: Config) -> Quantization:
    """Format, group and zero points, after the word of each method."""
    if method in {"mxfp4", "gpt-oss-mxfp4"}:
        return Quantization(format="mxfp4", group=MXFP4_GROUP)
    if method in {"fp8", "fbgemm_fp8", "mxfp8", "deepseek-v4-fp8"}:
        return _fp8(config)
    for beginning, read in _READERS.items():
        if method.startswith(beginning):
            return read(config)
    bits = config.count("bits", "w_bit", "weight_bits", default=0)
    group = 0 if _whole_rows(config) else config.count("group_size", "q_group_size", default=GROUP)
    zeros = method == "awq" or config.raw("sym") is False
    return Quantization(format=_integer(bits), group=group, zeros=zeros, width=bits)


def _fp8(config: Config) -> Quantization:
    size = config.raw("weight_block_size")
    block = size[0] if isinstance(size, list) and size and isinstance(size[0], int) else BLOCK
    return Quantization(format="fp8", block=block if size else 0)


def _skipped(config: Config) -> tuple[str, ...]:
    """Modules left as they were; GPTQ's `dynamic` names them by patterns that begin with `-:`."""
    listed = (word for key in SKIPPING for word in config.words(key))
    negative = (str(key)[2:] for key in config.mapping("dynamic") if str(key).startswith("-:"))
    return (*listed, *negative)


def _method(config: Config) -> str:
    """The word vLLM knows it by (`_normalize_quantization_config` of its convertor)."""
    method = config.text("quant_method").lower().replace("_", "-")
    known = {"fbgemm-fp8": "fbgemm_fp8", "auto-gptq": "gptq", "gptqmodel": "gptq"}
    legacy = Config(config.mapping("producer"), {}).text("name") == "modelopt"
    if legacy or method.startswith("modelopt"):
        algorithm = _algorithm(config)
        # What vLLM has no word for keeps its own: nothing loads it.
        return MODELOPT.get(algorithm) or (
            "modelopt_fp4" if "FP4" in algorithm else f"modelopt {algorithm}".strip()
        )
    if not method and config.has("bits") and config.has("group_size"):
        return "mlx"  # its exports name no method
    return known.get(method, method)


def _algorithm(config: Config) -> str:
    """ModelOpt's, in `config.json` or nested as in `hf_quant_config.json`."""
    inner = Config(config.mapping("quantization"), {})
    return (config.text("quant_algo") or inner.text("quant_algo")).upper()


def _whole_rows(config: Config) -> bool:
    return any(config.raw(key) == -1 for key in ("group_size", "q_group_size"))


def _integer(bits: int) -> str:
    return f"int{bits}" if bits in {4, 8} else ""


def _bitsandbytes(config: Config) -> Quantization:
    if config.raw("load_in_8bit") or config.raw("_load_in_8bit"):
        return Quantization(format="int8")
    nested = bool(config.raw("bnb_4bit_use_double_quant"))
    return Quantization(format="int4", group=BITSANDBYTES_GROUP, nested=nested)


def _modelopt(config: Config) -> Quantization:
    algorithm = _algorithm(config)
    if algorithm == "MIXED_PRECISION":
        inner = config.mapping("quantized_layers") or Config(
            config.mapping("quantization"), {}
        ).mapping("quantized_layers")
        named = {str(one.get("quant_algo", "")).upper() for one in inner.values()
                 if isinstance(one, Mapping)}  # fmt: skip
        return _several([_modelopt_format(one) for one in sorted(named)])
    return _modelopt_format(algorithm)


def _modelopt_format(algorithm: str) -> Quantization:
    if "FP4" in algorithm:
        return Quantization(format="nvfp4", group=NVFP4_GROUP)
    block = BLOCK if algorithm == "FP8_PB_WO" else 0
    return Quantization(format="fp8" if "FP8" in algorithm else "", block=block)


def _compressed(config: Config) -> Quantization:
    """Every group that names weights; the first gives the sizes."""
    groups = [g for g in config.mapping("config_groups").values() if isinstance(g, Mapping)]
    return _several([_group(Config(g["weights"], {})) for g in groups
                     if isinstance(g.get("weights"), Mapping)])  # fmt: skip


def _group(weights: Config) -> Quantization:
    bits, kind = weights.count("num_bits", default=0), weights.text("type")
    group = 0 if weights.raw("group_size") == -1 else weights.count("group_size", default=0)
    floats = {8: "fp8", 4: "mxfp4" if group == MXFP4_GROUP else "nvfp4"}
    shape = weights.raw("block_structure")
    block = shape[0] if isinstance(shape, list) and shape and isinstance(shape[0], int) else BLOCK
    return Quantization(
        format=floats.get(bits, "") if kind == "float" else _integer(bits),
        group=group,
        zeros=weights.raw("symmetric") is False,
        block=block if weights.text("strategy") == "block" else 0,
        width=bits,
    )


def _several(kinds: list[Quantization]) -> Quantization:
    """Weights of several formats: the first decides sizes, a card must be able to do all."""
    if not kinds:
        return Quantization()
    formats = dict.fromkeys(one.format for one in kinds[1:] if one.format != kinds[0].format)
    return replace(kinds[0], others=tuple(filter(None, formats)))


def _quark(config: Config) -> Quantization:
    """AMD's Quark: one rule for all layers, others by their names."""
    named = [rule for key in ("layer_quant_config", "layer_type_quant_config")
             for rule in config.mapping(key).values()]  # fmt: skip
    rules = [config.raw("global_quant_config"), *named]
    weights = [rule["weight"] for rule in rules if isinstance(rule, Mapping) and rule.get("weight")]
    # Two steps in a row (FP8 of INT4) are a list: what is stored comes last.
    flat = [one[-1] if isinstance(one, list) else one for one in weights]
    return _several([_quark_weight(Config(one, {})) for one in flat if isinstance(one, Mapping)])


def _quark_weight(weight: Config) -> Quantization:
    dtype = weight.text("dtype")
    group = weight.count("group_size", default=0) if weight.raw("group_size") != -1 else 0
    if dtype.startswith("fp8"):
        return Quantization(
            format="fp8", block=BLOCK if weight.text("qscheme") == "per_block" else 0
        )
    if dtype.startswith(("fp4", "mxfp4")):
        nvidia = group == NVFP4_GROUP
        return Quantization(format="nvfp4" if nvidia else "mxfp4", group=group or MXFP4_GROUP)
    bits = next((n for n in (4, 8) if dtype.endswith(f"int{n}")), 0)
    return Quantization(
        format=_integer(bits), group=group, zeros=weight.raw("symmetric") is False, width=bits
    )


def _torchao(config: Config) -> Quantization:
    """The names of torchao's classes: of all layers, or of each by its name."""
    words = [name.lower() for name in _classes(config.raw("quant_type"))]
    formats = [
        format_
        for name in words
        for part, format_ in TORCHAO
        if part in name.split("activation")[-1]
    ]
    return _several(
        [Quantization(format=one, group=GROUP if one == "int4" else 0) for one in formats]
    )


def _classes(value: object) -> list[str]:
    """The values of `_type`, however deep."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, Mapping):
        return []
    own = value.get("_type")
    nested = (one for key, one in value.items() if key != "_type" and isinstance(one, Mapping))
    return [
        *([own] if isinstance(own, str) else []),
        *(name for one in nested for name in _classes(one)),
    ]


_READERS: dict[str, Callable[[Config], Quantization]] = {
    "compressed-tensors": _compressed,
    "bitsandbytes": _bitsandbytes,
    "modelopt": _modelopt,
    "quark": _quark,
    "torchao": _torchao,
}


def _kv_cache(config: Config) -> str:
    """A type for the KV cache that comes with the model."""
    scheme = Config(config.mapping("kv_cache_scheme"), {})
    inner = Config(config.mapping("quantization"), {})
    algorithm = config.text("kv_cache_quant_algo") or inner.text("kv_cache_quant_algo")
    fp8 = scheme.count("num_bits", default=0) == 8 and scheme.text("type") == "float"
    return "fp8" if fp8 or algorithm.upper() == "FP8" or _quark_cache(config) else ""


def _quark_cache(config: Config) -> bool:
    """Whether Quark's rules for the layers it names as the cache's write FP8."""
    patterns = Config(config.mapping("export"), {}).words("kv_cache_group")
    rules = config.mapping("layer_quant_config")
    named = [rule for name, rule in rules.items() if any(fnmatchcase(name, p) for p in patterns)]
    outputs = [rule.get("output_tensors") for rule in named if isinstance(rule, Mapping)]
    return any(
        isinstance(one, Mapping) and str(one.get("dtype")).startswith("fp8") for one in outputs
    )
