"""What a start takes besides weights and KV cache, and what cards can (`data/fit.toml`)."""

from dataclasses import dataclass, field

from lifecycle.tables.rows import load_file, load_rows
from lifecycle.tables.versions import between, numbers


@dataclass(frozen=True)
class Overhead:
    """Working memory of one generation of vLLM; sizes in GiB.

    Args:
        since: the first version this holds for.
        base_gib: CUDA's context, libraries and buffers: what is there before anything runs.
        shared_gib: what each doubling of the cards adds on each, to talk to each other.
        sampler_bytes: bytes of one logit while tokens are chosen, with all its copies.
        graph_mib: of one layer in one captured graph; 0 when graphs are not in the budget.
        chunked_above: without chunked prefill a prompt up to this length is computed at once;
            0: always chunked.
        by_groups: tokens are printed as blocks over groups of layers, not as concurrency x length.
        hybrid: layers with a window free what is behind it; before, they kept all tokens.
        error: the part of the sum it may be wrong by.
        error_gib: and what it may always be wrong by.
    """

    since: str
    base_gib: float
    shared_gib: float
    sampler_bytes: float
    graph_mib: float
    chunked_above: int
    by_groups: bool
    hybrid: bool
    error: float
    error_gib: float


@dataclass(frozen=True)
class Batch:
    """Requests and tokens a step that vLLM chooses by the card's size.

    Args:
        shared_gib: what several such cards add on each at least, however many.
        without: cards it is not for, by a word of their name.
    """

    gpu: str
    since: str
    from_gib: float
    tokens: int
    requests: int
    shared_gib: float = 0.0
    without: str = ""


@dataclass(frozen=True)
class Admission:
    """What vLLM demands of the KV cache before it starts, by version.

    Args:
        since: the first version this holds for.
        settled: layers with a window keep the tokens of all steps that are under way, until each
            is settled; before, of one step.
        seats: every request of `MAX_NUM_SEQS` needs a block of its own where layers keep states.
    """

    since: str
    settled: bool
    seats: bool


@dataclass(frozen=True)
class Limit:
    """What a card, or the CPU, cannot do, or not well.

    Args:
        what: of the model or the settings: `weights:fp8`, `kv:fp8`, `dtype:bfloat16`,
            `method:awq`, `experts`; `experts:int4` for mixtures in such numbers, `blocks:fp8` for
            numbers whose scales belong to square blocks.
        gpu: `cuda`, `rocm` or `cpu`.
        below: the first compute capability that can; "" where `arches` says it.
        arches: AMD cards, or kinds of CPU (`steps/fit.py` names them), it holds for; none: all.
        since: the first version of vLLM it holds for; "" for all.
        wsl: it holds under WSL2 only.
        blocks: nothing starts; otherwise a caution.
    """

    what: str
    gpu: str
    says: str
    below: str = ""
    arches: list[str] = field(default_factory=list)
    since: str = ""
    wsl: bool = False
    blocks: bool = True


def overhead(version: str) -> Overhead:
    """The row for a version of vLLM; the newest when the version is unknown."""
    rows = load_rows(Overhead, "fit.toml", "overhead")
    fitting = [row for row in rows if not version or numbers(row.since) <= numbers(version)]
    return (fitting or rows[:1])[-1]


def batch(gpu: str, version: str, gib: float, name: str = "") -> Batch:
    """Requests and tokens a step when nobody says.

    Args:
        name: of the card; "" when unknown.
    """
    rows = [row for row in load_rows(Batch, "fit.toml", "batch") if row.gpu == gpu]
    fitting = [row for row in rows if gib >= row.from_gib
               and not (row.without and row.without in name.lower())
               and (not version or numbers(row.since) <= numbers(version))]  # fmt: skip
    return max(fitting or rows[:1], key=lambda row: (row.from_gib, numbers(row.since)))


def admission(version: str) -> Admission:
    """The row for a version of vLLM; the newest when the version is unknown."""
    rows = load_rows(Admission, "fit.toml", "admission")
    fitting = [row for row in rows if not version or numbers(row.since) <= numbers(version)]
    return (fitting or rows[:1])[-1]


def limits(gpu: str, arch: str, version: str = "", *, wsl: bool) -> list[Limit]:
    """What does not go on a card; what depends on an architecture only where that is known."""
    return [
        row
        for row in load_rows(Limit, "fit.toml", "limit")
        if row.gpu == gpu and (wsl or not row.wsl) and _holds(row, version) and _applies(row, arch)
    ]


def reserve(*, wsl: bool) -> int:
    """Bytes of a card to leave to the desktop when the free memory is unknown."""
    return int(load_file("fit.toml")["reserve"]["wsl_gib" if wsl else "gib"] * 1024**3)


def utilization(*, wsl: bool) -> float:
    """`GPU_MEMORY_UTILIZATION` when nobody says."""
    return float(load_file("fit.toml")["utilization"]["wsl" if wsl else "default"])


def process_gib() -> float:
    """RAM of a server's processes on the CPU, without weights and KV cache."""
    return float(load_file("fit.toml")["cpu"]["process_gib"])


def _holds(row: Limit, version: str) -> bool:
    return not row.since or not version or numbers(row.since) <= numbers(version)


def _applies(row: Limit, arch: str) -> bool:
    if row.below:
        return bool(arch) and not between(arch, row.below, "")
    return not row.arches or arch in row.arches
