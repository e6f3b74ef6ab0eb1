"""The table at the end, and the same as JSON."""

import json
import statistics
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.bench.goals import GOALS, SCALES, Goal, added, alone
from tests.bench.results import Row, Rows

STYLES = {"met": "green", "missed": "bold red", "info": "dim"}


def show(console: Console, rows: Rows) -> None:
    table = Table(title="medians of interleaved rounds", title_justify="left")
    table.add_column("what", min_width=24)
    for name in ("ours", "reference", "ratio", "goal"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", min_width=7)
    table.add_column("min-max", style="dim", no_wrap=True)
    for name, row in rows.items():
        goal = GOALS[name]
        verdict = row.verdict(goal)
        table.add_row(
            goal.what, _median(row.ours, goal), _median(row.reference, goal), _number(row, goal),
            _goal(goal), Text(verdict, style=STYLES.get(verdict, "yellow")),
            f"{_spread(row.ours, goal)}\n{_spread(row.reference, goal)}",
        )  # fmt: skip
    console.print(table)


def write(file: Path, machine: dict[str, Any], rows: Rows) -> None:
    """The same for programs; times in seconds, memory in bytes."""
    document = {"machine": machine, "rows": [_as_data(name, row) for name, row in rows.items()]}
    file.write_text(json.dumps(document, indent=1) + "\n")


def _as_data(name: str, row: Row) -> dict[str, Any]:
    goal = GOALS[name]
    return {
        "name": name,
        "what": goal.what,
        "ours": row.ours,
        "reference": row.reference,
        "ratio": row.number(goal),
        "goal": f"{goal.sign} {goal.bound:g}" if goal.bound is not None else None,
        "verdict": row.verdict(goal),
    }


def _number(row: Row, goal: Goal) -> str:
    number = row.number(goal)
    if number is None:
        return "-"
    if goal.compare is added:
        return f"{number * SCALES[goal.unit]:+.0f} {goal.unit}"
    return _scaled(number, goal) if goal.compare is alone else f"{number:.2f}"


def _goal(goal: Goal) -> str:
    if goal.bound is None:
        return ""
    if goal.compare in {added, alone}:
        return f"{goal.sign} {goal.bound * SCALES[goal.unit]:g} {goal.unit}"
    return f"{goal.sign} {goal.bound:.2f}"


def _median(samples: list[float], goal: Goal) -> str:
    return _scaled(statistics.median(samples), goal) if samples else "-"


def _spread(samples: list[float], goal: Goal) -> str:
    if not samples:
        return "-"
    return f"{_bare(min(samples), goal)}-{_bare(max(samples), goal)}"


def _scaled(sample: float, goal: Goal) -> str:
    return f"{_bare(sample, goal)} {goal.unit}"


def _bare(sample: float, goal: Goal) -> str:
    scaled = sample * SCALES[goal.unit]
    return f"{scaled:.2f}" if goal.unit == "s" and scaled < 10 else f"{scaled:.{_digits(goal)}f}"


def _digits(goal: Goal) -> int:
    return 1 if goal.unit in {"s", "%"} else 0
