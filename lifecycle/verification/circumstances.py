"""What a server computes with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Circumstances:
    """What a server computes with, as far as it is known: causes depend on it.

    Args:
        model: as `MODEL=` names it.
        dtype: the numbers it computes in; "" or `auto` when vLLM chose.
        quantization: vLLM's word for how the weights are stored; "" for plain numbers.
        archs: architectures of its cards.
    """

    model: str = ""
    gpu: str = ""
    dtype: str = ""
    quantization: str = ""
    kv_cache_dtype: str = ""
    archs: tuple[str, ...] = ()
