"""The pages about models: the catalogue, and what of it 24 GB hold, by the planner's figures."""

from collections.abc import Callable
from pathlib import Path

from docs.markdown import HEADER, between, table
from lifecycle.host import GIB
from lifecycle.models import known
from lifecycle.planner import fit
from lifecycle.planner.fit import Card, Plan, Wanted
from lifecycle.tables.catalogue import CatalogueModel, alternatives, catalogue, find

FITS = Path(__file__).parent / "explanation" / "what-fits-in-24-gb.md"
DESKTOP = 0.85
HEADLESS = 0.92
MEMORY = 24 * GIB
CARDS = (Card("cuda", MEMORY, arch="8.9", name="RTX 4090", wsl=True),
         Card("rocm", MEMORY, arch="gfx1100", name="RX 7900 XTX", wsl=True))  # fmt: skip
MOST = 3

OWNERS = (
    ("Llama-3.1-8B-Instruct", "~8 GB", "llama-3.1-8b"),
    ("Llama-3.1-70B-Instruct, 4-bit", "~20 GB", "llama-3.1-70b-awq"),
    ("Qwen2.5-72B-Instruct, 4-bit", "~22 GB", "qwen2.5-72b-awq"),
    ("DeepSeek-Coder-33B", "~18 GB", "deepseek-coder-33b"),
    ("the same in 4 bits, which the row does not say", "~18 GB", "deepseek-coder-33b-awq"),
    ("TheBloke/Llama-2-70B-Chat-AWQ", "on a 4090", "llama-2-70b-awq"),
)
"""Rows of the design document of 2026-01-22: model, the memory it says, our name for it."""

MODELS = """\
# Models

What `inv models` lists and `inv plan` reckons with (`lifecycle/data/models.toml`, with the source
and the date of each row). `MODEL=` takes any other model, too.

Size is what its weight files take. "accept first" behind a licence: on the model's page, with an
account, and `HF_TOKEN` in `.env`. Parsers are the values of `TOOL_PARSER` and `REASONING_PARSER`.

Verified says who stands behind the size: `hardware` (we ran it), `documented` (a catalogue made
from the hub has it), `reported` (others name exactly these bytes), `reckoned` (from its shape).
Only what says `hardware` has been run by this project.
"""


def models_reference() -> str:
    """Every model of the catalogue."""
    head = ("Name", "Model", "Size", "Licence", "Hardware", "Tools, reasoning", "For", "Verified")
    rows = map(_model_row, catalogue())
    careful = [f"- `{row.name}`, {gpu}: {said}." for row in catalogue()
               for gpu, said in row.cautions.items()]  # fmt: skip
    templates = [f"- `{row.name}`: {row.chat_template}." for row in catalogue()
                 if row.chat_template not in {"", "none"}]  # fmt: skip
    return "\n".join([
        HEADER, MODELS, *table(head, rows),
        "\n## With care\n", *careful,
        "\n## Chat templates\n",
        "All others bring what they need.\n", *templates, "",
    ])  # fmt: skip


def what_fits(page: str) -> str:
    """The page about 24 GB, with the planner's figures of today."""
    for name, lines in TABLES.items():
        page = between(page, name, lines())
    return page


def _owners() -> list[str]:
    """The owner's rows, each with the sum and what fits instead."""
    head = ("Row", "It says", "Weights", "KV cache a token", "Working memory", "Left for KV",
            "Longest context", "Instead")  # fmt: skip
    return table(head, [_owner_row(*row) for row in OWNERS])


def _all() -> list[str]:
    """Every recommended model: the longest context on a card with and without a screen."""
    head = ("Model", "Weights", "KV cache a token", "4090 with a desktop", "4090 without",
            "7900 XTX with a desktop")  # fmt: skip
    return table(head, [_fit_row(row) for row in catalogue() if row.recommended])


TABLES: dict[str, Callable[[], list[str]]] = {"the owner's rows": _owners, "the catalogue": _all}
"""Parts of docs/explanation/what-fits-in-24-gb.md, by their marks."""


def plan(row: CatalogueModel, card: Card, share: float) -> Plan:
    """The planner's answer for a card that nothing else uses but a desktop."""
    return fit.plan(known.model(row), card, Wanted(utilization=share))


def _owner_row(row: str, says: str, name: str) -> tuple[str, ...]:
    model = find(name)
    if model is None:
        raise ValueError(f"{name} is not in the catalogue")
    answer = plan(model, CARDS[0], DESKTOP)
    left = answer.budget - answer.weights - answer.overhead.total
    others = [other for other in alternatives(model) if _fits(other)][:MOST]
    return (row, says, _gib(answer.weights), _kib(answer), _gib(answer.overhead.total),
            _gib(left) if left > 0 else f"nothing: {_gib(-left)} too much", _length(answer),
            ", ".join(f"`{other.name}`" for other in others))  # fmt: skip


def _fits(row: CatalogueModel) -> bool:
    return plan(row, CARDS[0], DESKTOP).verdict != fit.DOES_NOT_FIT


def _fit_row(row: CatalogueModel) -> tuple[str, ...]:
    desktop, headless = plan(row, CARDS[0], DESKTOP), plan(row, CARDS[0], HEADLESS)
    other = plan(row, CARDS[1], DESKTOP)
    radeon = _length(other) if other.blocked or CARDS[1].gpu in row.gpus else "-"
    return (f"`{row.name}`", _gib(desktop.weights), _kib(desktop),
            _length(desktop), _length(headless), radeon)  # fmt: skip


def _model_row(row: CatalogueModel) -> tuple[str, ...]:
    gate = " (accept first)" if row.gated else ""
    parsers = ", ".join(f"`{one}`" for one in (row.tool_parser, row.reasoning_parser) if one)
    model = f"`{row.model}`" if row.repo else "in a Python package"
    return (f"`{row.name}`", model, f"{row.size / 1e9:.1f} GB", f"{row.license}{gate}",
            ", ".join(row.gpus), parsers or "-", row.about, row.verified)  # fmt: skip


def _length(answer: Plan) -> str:
    if answer.blocked:
        return "cannot run"
    if answer.verdict == fit.DOES_NOT_FIT:
        return "does not fit"
    return f"{'' if answer.exact else 'about '}{answer.longest}"


def _kib(answer: Plan) -> str:
    return f"{'' if answer.exact else 'up to '}{answer.token_bytes / 1024:g} KiB"


def _gib(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
