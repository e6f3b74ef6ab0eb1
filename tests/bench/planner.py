"""The planner against real starts of vLLM: the code of `inv plan`, row by row, hf-mem beside it."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lifecycle import tables
from lifecycle.host import GIB
from lifecycle.models import tensors
from lifecycle.planner import fit, kv, total, weights
from lifecycle.planner.fit import Card, Plan
from tests.bench import cases
from tests.bench.cases import Case
from tests.bench.goals import GOALS, SCALES
from tests.bench.results import Row, Rows

NAMES = (
    "planner-bytes",
    "planner-weights",
    "planner-tokens",
    "planner-worst",
    "planner-false-fits",
)
UNSAID_LENGTH = 32_768
ANY_CARD = Card("cuda", 24 * GIB)
CONTRADICTION = 0.05
"""A row whose memory divided by its tokens is so far from its own architecture says two things:
mostly the memory of one card and the tokens of another."""


@dataclass(frozen=True)
class Score:
    """One start, reckoned.

    Args:
        weights: bytes on one card; None when the row does not say enough.
        token_bytes: bytes a token on one card.
        divided: tokens out of the KV memory the log gave: the layout alone.
        plan: the whole sum; None when the size of the card is not given.
        theirs: bytes a token after hf-mem, or why it has no answer.
    """

    case: Case
    weights: int | None = None
    token_bytes: int | None = None
    divided: int | None = None
    plan: Plan | None = None
    theirs: int | str = ""

    @property
    def weights_error(self) -> float | None:
        found = self.case.found("weights_gib")
        return _error(self.weights, found * GIB if found else None)

    @property
    def divided_error(self) -> float | None:
        return _error(self.divided, self.case.found("kv_tokens"))

    @property
    def bytes_error(self) -> float | None:
        """Of bytes a token against the architecture and, where given, what a log shows."""
        expected = self.case.found("bytes_per_token_from_arch")
        pipeline = self.case.wanted.pipeline
        # The rows give the whole model's; on a stage of a pipeline there are fewer layers.
        return _error(self.token_bytes, expected) if pipeline == 1 and self.plain else None

    @property
    def tokens_error(self) -> float | None:
        return _error(self.plan.tokens if self.plan else None, self.case.found("kv_tokens"))

    @property
    def in_range(self) -> bool | None:
        """Whether the tokens that were found lie between the least and the most reckoned."""
        found = self.case.found("kv_tokens")
        if self.plan is None or not found:
            return None
        low, high = self.plan.tokens_range
        return bool(low <= found <= high)

    @property
    def plain(self) -> bool:
        """All layers keep the same."""
        return self.case.architecture is not None and self.case.architecture.uniform

    @property
    def given(self) -> bool:
        """The row has every memory figure, and they agree with each other."""
        figures = ("vram_gib", "util", "weights_gib", "kv_available_gib", "kv_tokens")
        if self.plan is None or any(self.case.found(name) is None for name in figures):
            return False
        off = _error(self.divided, self.case.found("kv_tokens"))
        return off is not None and abs(off) <= CONTRADICTION

    @property
    def false_fit(self) -> bool:
        """It failed, and nothing was left to be said: "fits, if" names what the row does not."""
        return self.case.failed and self.plan is not None and self.plan.fits

    @property
    def promised(self) -> bool:
        """As wanted, whatever the conditions."""
        return self.plan is not None and self.plan.verdict in {fit.FITS, fit.FITS_IF}


def score(case: Case) -> Score:
    """What the planner says of one start."""
    architecture = case.architecture
    if architecture is None:
        return Score(case)
    model = tensors.estimated(str(case.row["model"]), architecture, source="config.json")
    wanted, row = case.wanted, tables.fit.overhead(case.wanted.version)
    held = weights.on_card(model.held, len(architecture.layers), wanted.tensor, wanted.pipeline)
    step = total.batch(model, case.card or ANY_CARD, wanted)
    layout = total.layout(architecture, case.card or ANY_CARD, wanted, step)
    cache = kv.cache(total.loaded(architecture, wanted), layout)
    length = wanted.length or UNSAID_LENGTH
    memory = case.kv_available
    ready = case.card and case.complete and case.found("util")
    return Score(
        case,
        held if case.complete else None,
        cache.token_bytes,
        cache.tokens(memory, length, by_groups=row.by_groups) if memory else None,
        fit.plan(model, case.card, wanted) if ready and case.card else None,
        _theirs(case),
    )


def measure(console: Console, rows: Rows, file: Path) -> None:
    """Print every row and fill the summary."""
    scores = [score(case) for case in cases.load(file)]
    console.print(_table(scores), ranges(scores))
    if file == cases.CASES:
        more = [score(case) for case in cases.load(cases.MORE)]
        console.print(_table(more), ranges(more), beside(more), sep="\n")
    for name, numbers in summary(scores).items():
        if name in rows:
            rows[name] = Row(ours=numbers) if numbers else Row(skipped="no row says enough")


def summary(scores: list[Score]) -> dict[str, list[float]]:
    """The figures the goals are about; errors as fractions."""
    plain = [one for one in scores if one.plain]
    tokens = _all(one.tokens_error for one in plain if one.given)
    return {
        "planner-bytes": _worst(one.bytes_error for one in plain),
        "planner-weights": _worst(one.weights_error for one in scores),
        "planner-tokens": [statistics.median(tokens)] if tokens else [],
        "planner-worst": [max(tokens)] if tokens else [],
        "planner-false-fits": [float(sum(one.false_fit for one in scores))] if scores else [],
    }


def beside(scores: list[Score]) -> str:
    """The figures of starts that stand beside the goals, in a line."""
    told = (
        f"{GOALS[name].what.removeprefix('plan: ')}: {numbers[0] * SCALES[GOALS[name].unit]:.3g}"
        f" {GOALS[name].unit}".rstrip()
        for name, numbers in summary(scores).items()
        if numbers
    )
    return f"beside the goals: {'; '.join(told)}"


def ranges(scores: list[Score]) -> str:
    """How often what was found lies in the range the planner gave."""
    asked = [one for one in scores if one.in_range is not None]
    inside = sum(bool(one.in_range) for one in asked)
    dense = [one for one in asked if one.given]
    well = sum(bool(one.in_range) for one in dense)
    return f"in the range: {well} of {len(dense)} with all figures, {inside} of {len(asked)} in all"


def _table(scores: list[Score]) -> Table:
    table = Table(title="the planner: reckoned / found", title_justify="left")
    for name in ("start", "weights GiB", "B/token", "hf-mem", "tokens, KV memory given",
                 "tokens, all reckoned", "verdict"):  # fmt: skip
        table.add_column(name, overflow="fold")
    for one in scores:
        table.add_row(one.case.name, *(_cells(one)))
    return table


def _cells(one: Score) -> Iterable[str]:
    found = one.case.found
    gib = one.weights / GIB if one.weights else None
    yield _pair(gib, found("weights_gib"), one.weights_error, "{:.2f}")
    yield _pair(one.token_bytes, found("bytes_per_token_observed"), None, "{:.0f}")
    yield str(one.theirs)
    yield _pair(one.divided, found("kv_tokens"), one.divided_error, "{:.0f}")
    yield _reckoned(one)
    yield _verdict(one)


def _reckoned(one: Score) -> str:
    if one.plan is None:
        return "-"
    said = _pair(one.plan.tokens, one.case.found("kv_tokens"), one.tokens_error, "{:.0f}")
    low, high = one.plan.tokens_range
    estimate = "" if one.plan.exact else f" (an estimate: {low} to {high})"
    return said + estimate + ("" if one.given else " not scored")


def _verdict(one: Score) -> str:
    happened = "failed" if one.case.failed else "started"
    if one.plan is None:
        return f"- / {happened}"
    return f"{one.plan.verdict}, up to {one.plan.longest} / {happened}"


def _pair(reckoned: float | None, found: float | None, error: float | None, form: str) -> str:
    texts = ["-" if one is None else form.format(one) for one in (reckoned, found)]
    return " / ".join(texts) + (f" {error:+.1%}" if error is not None else "")


def _error(reckoned: float | None, found: float | None) -> float | None:
    return reckoned / found - 1 if reckoned is not None and found else None


def _all(errors: Iterable[float | None]) -> list[float]:
    return [abs(error) for error in errors if error is not None]


def _worst(errors: Iterable[float | None]) -> list[float]:
    found = _all(errors)
    return [max(found)] if found else []


def _theirs(case: Case) -> int | str:
    """hf-mem's bytes a token on the same config. Its weights need the files' headers."""
    compute = _hf_mem()
    if compute is None:
        return "not installed"
    dtype = "F8_E4M3" if case.wanted.kv_dtype.startswith("fp8") else "BF16"
    config = cases.config(case.row)
    try:
        # On one card: it knows nothing of cards that share a model.
        return (
            int(compute(config.get("text_config", config), dtype, UNSAID_LENGTH)) // UNSAID_LENGTH
        )
    except (KeyError, TypeError, RuntimeError, ZeroDivisionError) as problem:
        return f"no answer ({type(problem).__name__})"


def _hf_mem() -> Callable[..., Any] | None:
    """Its formula for the KV cache, which needs no hub."""
    try:
        module = import_module("hf_mem.safetensors.kv_cache")
    except ImportError:
        return None
    found: Callable[..., Any] = module.compute_safetensors_kv_cache_size
    return found
