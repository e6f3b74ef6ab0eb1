"""What vLLM refuses of a model itself, in sentences: numbers that do not divide, types and
quantizations it does not take, classes it no longer has.

The rules are vLLM 0.32's: `verify_with_parallel_config` and `_verify_quantization` of
`config/model.py`, `_get_quantization_config` of `config/vllm.py`, and the layers' own checks.
"""

from typing import Protocol

from lifecycle import tables
from lifecycle.model import Architecture, Quantization
from lifecycle.tables.quantizations import Method
from lifecycle.tables.versions import between, numbers

VOCABULARY_STEP = 64
"""vLLM pads the vocabulary to a multiple of this (`vocab_parallel_embedding.py`)."""
INTEGERS = {"int4", "int8"}


class Card(Protocol):
    """What is asked of a card."""

    @property
    def gpu(self) -> str:
        """`cuda`, `rocm` or `cpu`."""

    @property
    def arch(self) -> str:
        """Compute capability or gfx name."""


class Wanted(Protocol):
    """What is asked of a server."""

    @property
    def dtype(self) -> str:
        """`DTYPE`."""

    @property
    def quantization(self) -> str:
        """`QUANTIZATION`."""

    @property
    def tensor(self) -> int:
        """`TENSOR_PARALLEL`."""

    @property
    def pipeline(self) -> int:
        """Cards that share the layers."""

    @property
    def version(self) -> str:
        """Of vLLM; "" when unknown."""

    @property
    def deprecated(self) -> bool:
        """`--allow-deprecated-quantization`."""


def of(architecture: Architecture, card: Card, wanted: Wanted) -> tuple[str, ...]:
    """Why vLLM would not start; nothing when no rule is broken."""
    said = [
        *_undivided(architecture, wanted),
        _stages(architecture, wanted.pipeline),
        _dropped(architecture, wanted.version),
        _dtype(architecture, computed(architecture, card, wanted)),
        *_quantized(architecture, card, wanted),
    ]
    return tuple(one for one in said if one)


def conditions(architecture: Architecture, wanted: Wanted) -> tuple[str, ...]:
    """What must hold for the model to start at all, and nobody here knows whether it does."""
    if _dropped(architecture, wanted.version):
        return architecture.unknown
    return tuple(filter(None, (*architecture.unknown, _by_transformers(architecture, wanted))))


def cautions(architecture: Architecture) -> list[str]:
    """What the model is not for."""
    pooled = [name for name in architecture.classes if tables.families.pools(name)]
    return [
        f"it does not chat: vLLM serves {name} for embeddings, scores or labels"
        for name in pooled[:1]
    ]


def _by_transformers(architecture: Architecture, wanted: Wanted) -> str:
    """The class that vLLM has no model for, and may run as transformers wrote it; "" for none."""
    for name in architecture.classes:
        last = tables.families.dropped(name)
        if _gone(name, wanted.version):
            return f"transformers' own code serves {name}: vLLM has no model for it since {last}"
        served = any(map(tables.families.serves, architecture.classes)) or last
        if not served and tables.families.family(architecture.family).written:
            return f"transformers' own code serves {name}: vLLM has no model for it"
    return ""


def computed(architecture: Architecture, card: Card, wanted: Wanted) -> str:
    """The type vLLM computes with: on cards without bfloat16 `auto` falls back to float16."""
    if wanted.dtype not in {"", "auto"}:
        return wanted.dtype
    old = card.gpu == "cuda" and bool(card.arch) and not between(card.arch, "8.0", "")
    may = not tables.families.refuses_float16(architecture.family)
    return "float16" if architecture.dtype == "bfloat16" and old and may else architecture.dtype


def _undivided(architecture: Architecture, wanted: Wanted) -> list[str]:
    """Sizes that cannot be shared evenly among the cards of tensor parallelism."""
    cards = wanted.tensor
    if cards < 2:
        return []
    heads = max((one.kv_heads for one in architecture.layers if one.kind != "latent"), default=0)
    parameters = architecture.parameters
    padded = -(-architecture.vocab // VOCABULARY_STEP) * VOCABULARY_STEP
    sizes = {
        "attention heads": architecture.heads,
        "key and value heads": heads if heads >= cards else 0,
        "elements of a feed-forward layer": architecture.intermediate if parameters.dense else 0,
        "elements of an expert": architecture.expert_intermediate if parameters.experts else 0,
        "rows of its vocabulary, padded": padded,
    }
    what = f"TENSOR_PARALLEL={cards}: "
    said = [f"{what}vLLM refuses to divide {size} {name} among {cards} cards"
            for name, size in sizes.items() if size % cards]  # fmt: skip
    if heads and heads < cards and cards % heads:
        said.append(f"{what}{heads} key and value heads cannot be repeated evenly on {cards} cards")
    return said or _ungrouped(architecture, cards)


def _ungrouped(architecture: Architecture, cards: int) -> list[str]:
    """Quantized weights whose groups or blocks would be cut in two."""
    kind = architecture.quantization
    dense = architecture.intermediate if architecture.parameters.dense else 0
    expert = architecture.expert_intermediate if architecture.parameters.experts else 0
    step = kind.group if kind.format in INTEGERS else kind.block
    # Of experts in integer groups vLLM makes the groups smaller; nothing else can be cut.
    sizes = (dense,) if kind.format in INTEGERS else (dense, expert)
    return [
        f"TENSOR_PARALLEL={cards}: each card would get {size // cards} elements of a feed-forward"
        f" layer, which are no whole groups of {step} {kind.method} weights: vLLM refuses that"
        for size in sizes
        if step and size // cards % step
    ]


def _stages(architecture: Architecture, stages: int) -> str:
    layers = len(architecture.layers)
    return f"{layers} layers cannot be shared by {stages} cards" if stages > layers else ""


def _gone(name: str, version: str) -> bool:
    last = tables.families.dropped(name)
    return bool(last) and (not version or numbers(version)[:2] > numbers(last)[:2])


def _dropped(architecture: Architecture, version: str) -> str:
    """A class that neither vLLM nor transformers has."""
    for name in architecture.classes:
        if any(map(tables.families.serves, architecture.classes)):
            return ""
        plugin = tables.families.plugin(name)
        if plugin:
            return f"vLLM serves {name} with a plugin only: {plugin}"
        if _gone(name, version) and not tables.families.family(architecture.family).written:
            last = tables.families.dropped(name)
            return f"vLLM has no model for {name} since {last}: take another model"
    return ""


def _dtype(architecture: Architecture, dtype: str) -> str:
    family = architecture.family
    if dtype == "float16" and tables.families.refuses_float16(family):
        return f"vLLM refuses float16 for {family} (its numbers overflow): set DTYPE=auto"
    return ""


def _quantized(architecture: Architecture, card: Card, wanted: Wanted) -> list[str]:
    kind, asked = architecture.quantization, wanted.quantization
    word = kind.method or asked
    if not word or not tables.quantizations.covers(word, wanted.version):
        return []
    row = tables.quantizations.method(word)
    if row is None:
        whose = "the model is quantized with" if kind.method else "QUANTIZATION names"
        return [f"{whose} {word}, which vLLM does not have: take an AWQ, GPTQ or FP8 copy"]
    return [
        *_asked(kind, row, asked),
        *_demands(row, architecture, card, wanted),
        *_numbers(row, kind, card),
    ]


def _asked(kind: Quantization, row: Method, asked: str) -> list[str]:
    """`QUANTIZATION` against what the model is."""
    if not asked:
        return []
    if kind.method and not row.means(asked):
        return [f"QUANTIZATION={asked}: the model comes quantized with {kind.method}; leave it out"]
    if not kind.method and not kind.formats and not row.online:
        return [f"QUANTIZATION={asked}: the model's weights are not quantized so; leave it out"]
    return []


def _demands(row: Method, architecture: Architecture, card: Card, wanted: Wanted) -> list[str]:
    """What the method asks of the card and of the type."""
    said = []
    dtype = computed(architecture, card, wanted)
    if dtype not in row.dtypes:
        known, other = " or ".join(row.dtypes), row.dtypes[-1]
        said.append(
            f"{row.name} weights are computed in {known}, not in {dtype}: set DTYPE={other}"
        )
    if card.gpu == "cuda" and card.arch and not between(card.arch, row.capability, ""):
        said.append(f"{row.name} weights need compute capability {row.capability}")
    if card.gpu == "rocm" and not row.rocm:
        said.append(f"vLLM takes no {row.name} weights on AMD cards: take an AWQ or GPTQ model")
    if row.deprecated and not wanted.deprecated:
        said.append(f"vLLM takes {row.name} weights only with --allow-deprecated-quantization")
    return said


def _numbers(row: Method, kind: Quantization, card: Card) -> list[str]:
    """Widths, groups and zero points that the method has no kernel for."""
    said = []
    if row.bits and kind.width and kind.width not in row.bits:
        known = " or ".join(map(str, row.bits))
        said.append(f"vLLM takes {row.name} weights of {known} bits, these have {kind.width}")
    if row.symmetric and kind.zeros:
        said.append(f"vLLM takes {row.name} weights only without zero points (sym: true)")
    if row.groups and kind.group not in {0, *row.groups} and card.gpu == "cuda":
        known = ", ".join(map(str, row.groups))
        said.append(
            f"vLLM takes {row.name} groups of {known} or whole rows, these are of {kind.group}"
        )
    return said
