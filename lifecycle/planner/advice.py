"""What would fit instead: other settings of the same model first, then other models."""

from collections.abc import Sequence
from dataclasses import replace

from lifecycle import tables
from lifecycle.host import GIB
from lifecycle.model import Model
from lifecycle.planner import limits, weights
from lifecycle.planner.plan import Alternative, Card, Wanted
from lifecycle.planner.total import total

MOST = 3
"""Alternatives a person can weigh."""
HIGHEST = 0.95
"""Of a card; what is left is for what vLLM does not foresee."""
FREE_MARGIN = GIB // 10
LEAST_RISE = 0.005
SHORTEST = 2048
"""A server with less than this is of no use for chats; it is not offered."""
FEW = 16
"""Requests at once; a household's server has no more."""
STEP, COARSE_STEP, COARSE_FROM = 256, 1024, 8192
PLAIN = {"", "auto", "bfloat16", "float16"}
BLIND = "--language-model-only"

Change = dict[str, str]
"""Keys of the env file, and what to set them to."""


def rounded(length: int, whole: int) -> int:
    """A length down to a round number; the model's own as it is."""
    if length >= whole:
        return length
    step = COARSE_STEP if length >= COARSE_FROM else STEP
    return length // step * step if length >= step else length


def settings(
    model: Model, card: Card, wanted: Wanted, measured: int | None = None
) -> list[Alternative]:
    """The same model with settings that make more room, the least costly first."""
    if card.gpu == "cpu":
        return []
    asked = wanted.length or model.architecture.longest or SHORTEST
    now = total(model, card, wanted, measured).longest(asked)
    found = [
        _with(model, card, wanted, change, measured) for change in _changes(model, card, wanted)
    ]
    # Enough is enough: a costlier setting that reaches no further is no alternative.
    better: list[Alternative] = []
    for one in found:
        reached = max([now, *(each.length for each in better)])
        if one.length >= min(SHORTEST, asked) and one.length > reached:
            better.append(one)
    return better[:MOST]


def others(card: Card, wanted: Wanted, candidates: Sequence[Model], room: int) -> list[Alternative]:
    """Other models that fit, as many as there is room for; in the order they come."""
    found: list[Alternative] = []
    for other in candidates:
        if len(found) >= room:
            break
        answer = _other(other, card, replace(wanted, length=0, quantization=""))
        found += [answer] if answer else []
    return found


def _other(other: Model, card: Card, wanted: Wanted) -> Alternative | None:
    if limits.of(other.architecture, card, wanted)[0]:
        return None
    most = other.architecture.longest or SHORTEST
    whole = total(other, card, wanted)
    length = rounded(whole.longest(most), most)
    if length < min(SHORTEST, most):
        return None
    change = whole.settings(most, length)
    says = f"{other.name}: {other.weights / GIB:.1f} GiB of weights, up to {length} tokens"
    return Alternative(says, model=other.name, settings=change, length=length)


def _changes(model: Model, card: Card, wanted: Wanted) -> list[Change]:
    rise, fewer = _rise(card, wanted), _fewer(card, wanted)
    eight = _eight_bit_cache(card, wanted)
    free = {key: value for change in (*rise, *fewer) for key, value in change.items()}
    costly = [*eight, *_blind(model, wanted)]
    together = [free, *({**free, **one} for one in costly)] if free else []
    more, online = _more_cards(model, card, wanted), _online(model, card, wanted)
    return [*rise, *fewer, *costly, *together, *more, *({**free, **one} for one in more), *online]


def _rise(card: Card, wanted: Wanted) -> list[Change]:
    """A utilization that takes what is free; also a lower one where that is too little."""
    if card.free is None or not card.total or wanted.kv_bytes:
        return []
    now = wanted.utilization or tables.fit.utilization(wsl=card.wsl)
    most = int(min(HIGHEST, (card.free - FREE_MARGIN) / card.total) * 100) / 100
    useful = most > now + LEAST_RISE or card.free < now * card.total
    return [{"GPU_MEMORY_UTILIZATION": f"{most:.2f}"}] if useful and most > 0 else []


def _fewer(card: Card, wanted: Wanted) -> list[Change]:
    """Fewer requests at once: smaller steps and fewer graphs."""
    row = tables.fit.batch(card.gpu, wanted.version, card.total / GIB)
    now = wanted.requests or row.requests
    return [{"MAX_NUM_SEQS": str(FEW)}] if now > FEW else []


def _eight_bit_cache(card: Card, wanted: Wanted) -> list[Change]:
    able = wanted.kv_dtype in PLAIN and limits.allows_fp8_cache(card)
    return [{"KV_CACHE_DTYPE": "fp8"}] if able else []


def _blind(model: Model, wanted: Wanted) -> list[Change]:
    """Without the part that sees, and without the memory of its largest picture."""
    sees = model.architecture.vision.depth and not wanted.blind
    return [{"EXTRA_ARGS": BLIND}] if sees else []


def _online(model: Model, card: Card, wanted: Wanted) -> list[Change]:
    """Quantize at the start; only where the card computes with it."""
    quantized = model.architecture.quantization.method or wanted.quantization
    return [{"QUANTIZATION": "fp8"}] if not quantized and limits.computes_fp8(card) else []


def _more_cards(model: Model, card: Card, wanted: Wanted) -> list[Change]:
    twice = wanted.tensor * 2
    able = twice * wanted.pipeline <= card.count and model.architecture.heads % twice == 0
    return [{"TENSOR_PARALLEL": str(twice)}] if able else []


def _with(
    model: Model, card: Card, wanted: Wanted, change: Change, measured: int | None
) -> Alternative:
    """The same model with other settings, and how long it gets."""
    changed = replace(
        wanted,
        utilization=float(change.get("GPU_MEMORY_UTILIZATION", wanted.utilization)),
        kv_dtype=change.get("KV_CACHE_DTYPE", wanted.kv_dtype),
        quantization=change.get("QUANTIZATION", wanted.quantization),
        tensor=int(change.get("TENSOR_PARALLEL", wanted.tensor)),
        requests=int(change.get("MAX_NUM_SEQS", wanted.requests)),
        blind=wanted.blind or BLIND in change.get("EXTRA_ARGS", ""),
    )
    other = _requantized(model, changed) if "QUANTIZATION" in change else model
    asked = wanted.length or model.architecture.longest or SHORTEST
    blocked = limits.of(other.architecture, card, changed)[0]
    whole = total(other, card, changed, measured)
    length = 0 if blocked else rounded(whole.longest(asked), asked)
    told = {**change, **whole.settings(asked, length)}
    said = " ".join(f"{key}={value}" for key, value in told.items())
    return Alternative(f"{said}: up to {length} tokens", settings=told, length=length)


def _requantized(model: Model, wanted: Wanted) -> Model:
    """The model with its weights made smaller at the start; an estimate."""
    before = weights.estimate(model.architecture, wanted.dtype)
    after = weights.estimate(model.architecture, wanted.dtype, wanted.quantization)
    share = after.layers / before.layers if before.layers else 1.0
    held = replace(model.held, layers=round(model.held.layers * share))
    return replace(model, held=held, exact=False)
