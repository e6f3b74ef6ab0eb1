"""How a model's weights are quantized, out of its `quantization_config`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lifecycle.model import Quantization
from lifecycle.planner.numbers import Config

BITSANDBYTES_GROUP = 64
"""https://huggingface.co/docs/bitsandbytes: the block of its 4-bit types."""
MXFP4_GROUP = 32
"""OCP Microscaling Formats 1.0, section 5.2."""
NVFP4_GROUP = 16
SKIPPING = ("modules_to_not_convert", "ignore", "exclude_modules", "llm_int8_skip_modules")
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
    if method == "mxfp4":
        return Quantization(format="mxfp4", group=MXFP4_GROUP)
    if method in {"fp8", "fbgemm_fp8"}:
        return Quantization(format="fp8", square=bool(config.raw("weight_block_size")))
    for beginning, read in _READERS.items():
        if method.startswith(beginning):
            return read(config)
    bits = config.count("bits", "w_bit", default=0)
    group = 0 if _whole_rows(config) else config.count("group_size", "q_group_size", default=GROUP)
    return Quantization(format=_integer(bits), group=group, zeros=method == "awq")


def _skipped(config: Config) -> tuple[str, ...]:
    """Modules left as they were; GPTQ's `dynamic` names them by patterns that begin with `-:`."""
    listed = (word for key in SKIPPING for word in config.words(key))
    negative = (str(key)[2:] for key in config.mapping("dynamic") if str(key).startswith("-:"))
    return (*listed, *negative)


def _method(config: Config) -> str:
    """The word vLLM knows it by (`_normalize_quantization_config` of its convertor)."""
    method = config.text("quant_method").lower().replace("_", "-")
    known = {"fbgemm-fp8": "fbgemm_fp8", "modelopt-fp4": "modelopt_fp4", "auto-gptq": "gptq"}
    if not method and Config(config.mapping("producer"), {}).text("name") == "modelopt":
        return "modelopt"
    return known.get(method, method)


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
    inner = Config(config.mapping("quantization"), {})
    algorithm = (config.text("quant_algo") or inner.text("quant_algo")).upper()
    if "FP4" in algorithm:
        return Quantization(format="nvfp4", group=NVFP4_GROUP)
    return Quantization(format="fp8" if "FP8" in algorithm else "")


def _compressed(config: Config) -> Quantization:
    """The first of its groups that names weights: the others are of the same kind in practice."""
    groups = [g for g in config.mapping("config_groups").values() if isinstance(g, Mapping)]
    found = [g["weights"] for g in groups if isinstance(g.get("weights"), Mapping)]
    inner = Config(found[0] if found else {}, {})
    bits, kind = inner.count("num_bits", default=0), inner.text("type")
    group = 0 if inner.raw("group_size") == -1 else inner.count("group_size", default=0)
    floats = {8: "fp8", 4: "mxfp4" if group == MXFP4_GROUP else "nvfp4"}
    format_ = floats.get(bits, "") if kind == "float" else _integer(bits)
    return Quantization(
        format=format_,
        group=group,
        zeros=inner.raw("symmetric") is False,
        square=inner.text("strategy") == "block",
    )


_READERS: dict[str, Callable[[Config], Quantization]] = {
    "compressed-tensors": _compressed,
    "bitsandbytes": _bitsandbytes,
    "modelopt": _modelopt,
}


def _kv_cache(config: Config) -> str:
    """A type for the KV cache that comes with the model."""
    scheme = Config(config.mapping("kv_cache_scheme"), {})
    algorithm = Config(config.mapping("quantization"), {}).text("kv_cache_quant_algo")
    fp8 = scheme.count("num_bits", default=0) == 8 and scheme.text("type") == "float"
    return "fp8" if fp8 or algorithm.upper() == "FP8" else ""
