"""Does a model fit: the sum, line by line, and one verdict. Pure arithmetic; looks at nothing."""

from collections.abc import Sequence
from dataclasses import replace

from lifecycle import tables
from lifecycle.host import GIB
from lifecycle.model import Model
from lifecycle.planner import advice, limits, refusals
from lifecycle.planner import length as lengths
from lifecycle.planner.advice import SHORTEST, rounded
from lifecycle.planner.plan import (
    DOES_NOT_FIT,
    FITS,
    FITS_IF,
    FITS_WITH,
    Alternative,
    Card,
    Line,
    Plan,
    Wanted,
)
from lifecycle.planner.total import Total, total

__all__ = [
    "DOES_NOT_FIT",
    "FITS",
    "FITS_IF",
    "FITS_WITH",
    "Alternative",
    "Card",
    "Line",
    "Plan",
    "Wanted",
    "plan",
]

MONITORS = {"cuda": "nvidia-smi", "rocm": "amd-smi monitor"}
UNNAMED = (
    f"the model's files name no length: vLLM assumes {SHORTEST} tokens; set MAX_MODEL_LEN to what "
    "it was made for"
)


def plan(
    model: Model,
    card: Card,
    wanted: Wanted,
    *,
    measured: int | None = None,
    candidates: Sequence[Model] = (),
) -> Plan:
    """Whether a model starts on a card as wanted, and what would instead.

    "fits" means: also when overhead takes the most it may by the stated error, and nothing is left
    that nobody could look at; otherwise it "fits, if".

    Args:
        measured: bytes of overhead a start of this model on this card really took.
        candidates: other models to offer when this one does not fit, best first.
    """
    model = lengths.overridden(model, wanted.overrides, wanted.version)
    whole = total(model, card, wanted, measured)
    blocked, cautions = limits.of(model.architecture, card, wanted)
    most = model.architecture.longest or max(wanted.length, SHORTEST)
    asked = wanted.length or most
    beyond = _beyond(model, wanted)
    reached = 0 if blocked or beyond else rounded(whole.longest(asked), asked)
    verdict = _verdict(reached, asked, full=whole.seats == whole.requests)
    length = reached if verdict == FITS_WITH else asked
    low, middle, high = _tokens(whole, wanted, length)
    starts = verdict != DOES_NOT_FIT
    few = _few_blocks(whole, wanted, asked if starts or wanted.length else SHORTEST)
    unseen = _conditions(model, whole, card, wanted) if starts else ()
    return Plan(
        model=model.name,
        verdict=FITS_IF if verdict == FITS and unseen else verdict,
        lines=whole.lines,
        budget=whole.budget,
        weights=whole.held,
        overhead=whole.overhead,
        kv_bytes=max(0, whole.available),
        token_bytes=whole.cache.token_bytes,
        tokens=middle,
        tokens_range=(low, high),
        concurrency=whole.cache.concurrency(whole.available, length),
        length=length,
        longest=0 if blocked else rounded(whole.longest(most), most),
        requests=_at_once(whole, length) if starts else 0,
        missing=0
        if few
        else _missing(whole, asked if starts or wanted.length else SHORTEST, verdict),
        exact=whole.cache.plain and not model.architecture.unknown and not wanted.unreckoned,
        settings=whole.settings(asked, length) if verdict == FITS_WITH else {},
        blocked=blocked,
        cautions=cautions,
        shortage=beyond or whole.shortage or few,
        notes=_notes(model, whole, wanted),
        alternatives=()
        if verdict == FITS
        else _shorter(model, card, wanted, measured)
        if beyond
        else _instead(model, card, wanted, measured, candidates),
        unreckoned=wanted.unreckoned,
        conditions=unseen,
        derived=model.architecture.longest,
    )


def _beyond(model: Model, wanted: Wanted) -> str:
    """Why vLLM refuses a length that the model cannot do; "" when it can, or nobody knows."""
    most = model.architecture.furthest
    if not most or wanted.length <= most:
        return ""
    said = f"the model can do {most} tokens, not {wanted.length}: MAX_MODEL_LEN={most}"
    if lengths.yarn_needs_length(wanted.overrides, wanted.version):
        return (
            f"{said}, or add max_position_embeddings to --hf-overrides: vLLM 0.30 and newer take "
            "the length from there, yarn's factor no longer counts"
        )
    return f"{said}, or lengthen it with --hf-overrides (max_position_embeddings, rope_parameters)"


def _few_blocks(whole: Total, wanted: Wanted, length: int) -> str:
    """Why a KV cache of a given number of blocks is too small; "" when that is not the reason."""
    needed = whole.cache.needs(length)
    if not wanted.blocks or whole.shortage or needed <= whole.sure:
        return ""
    return (
        f"--num-gpu-blocks-override {wanted.blocks} is too small: one request of {length} tokens "
        f"needs {needed // whole.cache.block_bytes} blocks"
    )


def _shorter(
    model: Model, card: Card, wanted: Wanted, measured: int | None
) -> tuple[Alternative, ...]:
    """The longest context that the model can do and that fits."""
    most = model.architecture.longest
    whole = total(model, card, replace(wanted, length=most), measured)
    length = rounded(whole.longest(most), most)
    if length < min(SHORTEST, most):
        return ()
    change = {"MAX_MODEL_LEN": str(length), **whole.settings(most, length)}
    said = " ".join(f"{key}={value}" for key, value in change.items())
    return (Alternative(f"{said}: up to {length} tokens", settings=change, length=length),)


def _verdict(reached: int, asked: int, *, full: bool) -> str:
    if reached >= asked and full:
        return FITS
    return FITS_WITH if reached >= min(SHORTEST, asked) else DOES_NOT_FIT


def _conditions(model: Model, whole: Total, card: Card, wanted: Wanted) -> tuple[str, ...]:
    """What nobody could look at: what others use of the card, how vLLM takes an unknown kind."""
    return (*_unread(whole, card), *refusals.conditions(model.architecture, wanted))


def _unread(whole: Total, card: Card) -> tuple[str, ...]:
    if card.free is not None or card.ours:
        return ()
    seen = "Windows Task Manager shows it: Performance, GPU, dedicated memory"
    if not card.wsl:
        seen = f"{MONITORS.get(card.gpu, 'its driver')} shows it"
    need, all_ = (f"{one / GIB:.1f}" for one in (whole.needed, card.total))
    room = f"at least {need} of its {all_} GiB are free when it starts ({seen})"
    return (f"{room}; if less is free, lower GPU_MEMORY_UTILIZATION",)


def _at_once(whole: Total, length: int) -> int:
    """Requests of this length, as many as the cache surely holds and vLLM takes."""
    return min(int(whole.cache.concurrency(whole.sure, length)), whole.seats)


def _tokens(whole: Total, wanted: Wanted, length: int) -> tuple[int, int, int]:
    """The KV cache's tokens as vLLM prints them: at least, as reckoned, at most."""
    by_groups = tables.fit.overhead(wanted.version).by_groups
    memory = (whole.sure, whole.available, whole.hopeful)
    low, middle, high = (whole.cache.tokens(one, length, by_groups=by_groups) for one in memory)
    return low, middle, high


def _missing(whole: Total, length: int, verdict: str) -> int:
    """Bytes that lack on each card for one request of this length."""
    return 0 if verdict == FITS else max(0, whole.lack, whole.cache.needs(length) - whole.sure)


def _instead(
    model: Model, card: Card, wanted: Wanted, measured: int | None, candidates: Sequence[Model]
) -> tuple[Alternative, ...]:
    same = advice.settings(model, card, wanted, measured)
    different = [one for one in candidates if one.name != model.name]
    return (*same, *advice.others(card, wanted, different, advice.MOST - len(same)))


def _seats(whole: Total) -> str:
    if whole.shortage or whole.seats in {0, whole.requests}:
        return ""
    return (
        f"vLLM wants a block of the KV cache for each of {whole.requests} requests"
        f" (MAX_NUM_SEQS) and surely has {whole.seats}"
    )


def _notes(model: Model, whole: Total, wanted: Wanted) -> tuple[str, ...]:
    architecture, kind = model.architecture, model.architecture.quantization
    said = [
        _seats(whole),
        "" if model.exact else "weights are reckoned from config.json, not read from the files",
        ""
        if not architecture.unsure
        else "tokens are an estimate: " + ", ".join(architecture.unsure),
        "" if architecture.longest or wanted.length else UNNAMED,
    ]
    if kind.method and not kind.bits and not model.exact:
        said.append(f"the size of {kind.method} weights is not known: counted as 16 bits")
    if wanted.unreckoned:
        said.append(f"not reckoned: {', '.join(wanted.unreckoned)}")
    return tuple(one for one in said if one)
