"""What vLLM itself said about memory while it started: plain values, read off its log."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Measured:
    """One start. Bytes, tokens or seconds; None is what vLLM did not say.

    With several cards all figures are of the one with the least room for KV cache: vLLM gives
    every card as many blocks as that one holds.

    Args:
        weights: the loaded weights.
        kv_available: what is left for the KV cache, or was given to it.
        kv_given: whether somebody fixed that size; then vLLM measured nothing to find it.
        kv_tokens: tokens that fit into the KV cache.
        concurrency: how many requests of full length fit at once.
        at_length: that full length: the `max_model_len` of this start.
        activation: the peak of working space; since vLLM 0.21 with the estimate for CUDA graphs.
        non_torch: taken outside PyTorch: the driver's context, NCCL.
        graphs: CUDA graphs.
        total: memory of the card.
        utilization: the part of it that vLLM was to use.
        budget: that part in bytes.
        cards: how many processes told their figures, each with a card of its own.
        sized_by_length: an engine before V1, whose working space grows with `max_model_len`.
        load_seconds: from the start of loading to the weights in place.
        compile_seconds: torch.compile.
    """

    weights: int | None = None
    kv_available: int | None = None
    kv_given: bool = False
    kv_tokens: int | None = None
    concurrency: float | None = None
    at_length: int | None = None
    activation: int | None = None
    non_torch: int | None = None
    graphs: int | None = None
    total: int | None = None
    utilization: float | None = None
    budget: int | None = None
    cards: int = 1
    sized_by_length: bool = False
    load_seconds: float | None = None
    compile_seconds: float | None = None

    @property
    def overhead(self) -> int | None:
        """Bytes of the budget that went neither into weights nor into KV cache.

        None where one of the three was not said, or where the KV cache was given a size: what is
        left of the budget then is not taken by anything. Exact to 0.02 GiB, as vLLM rounds.
        """
        if self.kv_given or None in (self.budget, self.weights, self.kv_available):
            return None
        return (self.budget or 0) - (self.weights or 0) - (self.kv_available or 0)


class Planned(Protocol):
    """What an estimate of a start must tell to be compared with it. Bytes and tokens, per card."""

    @property
    def weights(self) -> int | None:
        """The loaded weights."""

    @property
    def kv_available(self) -> int | None:
        """What is left for the KV cache."""

    @property
    def kv_tokens(self) -> int | None:
        """Tokens that fit into it."""


@dataclass(frozen=True)
class Shortage:
    """Why a start failed for want of memory, in vLLM's own figures.

    Args:
        kind: a name of `[[shortage]]` in `data/memory_log.toml`.
        fix: what to change, with keys of the env files.
    """

    kind: str
    fix: str
