"""A question to the planner and its answer, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lifecycle.model import Model
from lifecycle.planner.lora import Lora
from lifecycle.planner.overhead import Overhead

FITS = "fits"
FITS_IF = "fits, if"
FITS_WITH = "fits with these settings"
DOES_NOT_FIT = "does not fit"


@dataclass(frozen=True)
class Card:
    """What computes; bytes. Several cards are like this one.

    Args:
        gpu: `cuda`, `rocm` or `cpu`.
        total: of one card; of the RAM on the CPU.
        free: what nobody uses; None when unknown, and then a reserve is kept. On the CPU: RAM
            that can be had.
        arch: compute capability (`8.9`) or gfx name; "" when unknown: no limits are known then.
        count: cards there are.
        ours: what is not free is held by the server that the planned one replaces.
        ram: of the machine, as much as can be had; 0 when unknown.
    """

    gpu: str
    total: int
    free: int | None = None
    arch: str = ""
    name: str = ""
    count: int = 1
    wsl: bool = False
    ours: bool = False
    ram: int = 0


@dataclass(frozen=True)
class Wanted:
    """What the server should be; zeros and "" are for vLLM's or our own choice.

    Args:
        length: `MAX_MODEL_LEN`; 0: what the model allows.
        utilization: `GPU_MEMORY_UTILIZATION`.
        kv_gib: `KV_CACHE_GIB`, on the CPU.
        kv_bytes: `--kv-cache-memory-bytes` on a card, which replaces the utilization's sum.
        quantization: `QUANTIZATION`: what unquantized weights become at the start.
        version: of vLLM.
        eager: `--enforce-eager`: no graphs.
        speculated: tokens guessed ahead of each request.
        method: by what: `mtp` is the model's own layers for it; others hold nothing on a card,
            but for their `draft`.
        draft: the model that guesses; None without one, or where its figures are unknown.
        lora: adapters there must be room for; None without.
        offload: bytes of weights that go to RAM instead of each card (`--cpu-offload-gb`).
        blocks: `--num-gpu-blocks-override`; 0: as many as there is room for.
        block: `--block-size`; 0: vLLM's own.
        data: whole copies of the model, each on cards of its own (`--data-parallel-size`).
        overrides: `--hf-overrides`.
        unreckoned: flags that take or free memory, nobody knows how much.
        blind: `--language-model-only`: the part that sees is not loaded.
        overlap: False for `--no-async-scheduling`.
        prefixes: False for `--no-enable-prefix-caching`.
        state_dtype: `--mamba-ssm-cache-dtype`.
        deprecated: `--allow-deprecated-quantization`.
    """

    length: int = 0
    utilization: float = 0.0
    kv_dtype: str = ""
    dtype: str = ""
    quantization: str = ""
    requests: int = 0
    batched: int = 0
    tensor: int = 1
    pipeline: int = 1
    kv_gib: float = 0.0
    kv_bytes: int = 0
    version: str = ""
    eager: bool = False
    speculated: int = 0
    method: str = "mtp"
    draft: Model | None = None
    lora: Lora | None = None
    offload: int = 0
    blocks: int = 0
    block: int = 0
    data: int = 1
    overrides: Mapping[str, Any] = field(default_factory=dict)
    unreckoned: tuple[str, ...] = ()
    blind: bool = False
    overlap: bool = True
    prefixes: bool = True
    state_dtype: str = ""
    deprecated: bool = False

    @property
    def cards(self) -> int:
        """Cards it takes."""
        return self.tensor * self.pipeline * self.data


@dataclass(frozen=True)
class Line:
    """One line of the sum: bytes on one card; what is taken away is negative."""

    label: str
    bytes: int
    note: str = ""


@dataclass(frozen=True)
class Alternative:
    """What would fit instead: settings by their key, or another model.

    Args:
        model: its name; "" for the same one.
        settings: keys of the env file to set.
        length: the longest context that fits so.
    """

    says: str
    model: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    length: int = 0


@dataclass(frozen=True)
class Plan:
    """The answer.

    Args:
        verdict: `fits`, `fits, if`, `fits with these settings` or `does not fit`.
        conditions: what must hold for it to start, and nobody could look at; each a sentence after
            "if". None where it does not fit.
        derived: the longest context vLLM takes of this model; 0 when its files do not say.
        settings: what must be set for it to fit (`MAX_MODEL_LEN`, `MAX_NUM_SEQS`); empty when it
            fits as wanted.
        length: the context this plan starts with: the wanted one, or the longest that fits.
        longest: the longest context that surely fits, rounded down; 0 when none does.
        requests: of that length at once, at least.
        tokens: the KV cache's size as vLLM will print it; `tokens_range` is what it may be.
        missing: bytes that lack on each card for the wanted length, or, when none was wanted and
            nothing fits, for the shortest of use; 0 when it fits.
        token_bytes: of the KV cache, a token on one card.
        exact: bytes a token are exact; False for windows and states.
        blocked: why this card cannot run it at all; cautions are good to know.
        shortage: why vLLM would refuse before it loads anything; "" when it would not.
        notes: what is estimated, and why.
        unreckoned: flags whose part of the memory nobody reckoned.
    """

    model: str
    verdict: str
    lines: tuple[Line, ...]
    budget: int
    weights: int
    overhead: Overhead
    kv_bytes: int
    token_bytes: int
    tokens: int
    tokens_range: tuple[int, int]
    concurrency: float
    length: int
    longest: int
    requests: int
    missing: int
    exact: bool
    settings: dict[str, str] = field(default_factory=dict)
    blocked: tuple[str, ...] = ()
    shortage: str = ""
    cautions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    conditions: tuple[str, ...] = ()
    derived: int = 0
    unreckoned: tuple[str, ...] = ()

    @property
    def kv_available(self) -> int:
        """Bytes for the KV cache on a card: vLLM's own word for it."""
        return self.kv_bytes

    @property
    def kv_tokens(self) -> int:
        """Tokens it holds, likewise."""
        return self.tokens

    @property
    def fits(self) -> bool:
        """It starts as it was wanted, and nothing has to be taken on trust."""
        return self.verdict == FITS
