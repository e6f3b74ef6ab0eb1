"""Measure, print one table. A benchmark reports and does not gate: only what could not be
measured makes it fail.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from lifecycle.errors import LifecycleError
from tests.bench import (
    cases,
    cpu_settings,
    gateway,
    listing,
    machine,
    planner,
    seeding,
    starts,
    table,
)
from tests.bench.goals import GOALS
from tests.bench.results import NotMeasured, Row, Rows, Skipped
from tests.bench.workplace import Workplace, workplace

INTERRUPTED = 130
WHOLE = {"gateway": gateway.NAMES, "planner": planner.NAMES}
"""Groups that `--only` takes by one name."""
WIDTH = 110
"""In a file or a pipe, whose width is unknown."""

GROUPS: tuple[tuple[tuple[str, ...], Callable[[Workplace, Rows], None]], ...] = (
    (("list",), listing.over_invoke),
    (("wrapper",), listing.through_script),
    (("seeding", "seeding-memory", "seeding-flat", "seeding-again"), seeding.measure),
    (("up-venv", "second-up-venv", "memory-venv"), starts.in_venv),
    (("up-docker", "second-up-docker", "memory-docker"), starts.in_docker),
    (
        ("tuned-start", "tuned-speed", "tuned-start-eager", "tuned-speed-eager"),
        cpu_settings.measure,
    ),
    (gateway.NAMES, gateway.measure),
)


def main() -> int:
    options = _options()
    # Without bytecode every `inv` would compile the package anew, which no user sees.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGTERM, _as_interrupt)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    here = machine.describe()
    machine.show(console, here)
    rows: Rows = {name: Row() for name in GOALS if name in options.only}
    code = 0
    try:
        if any(name in planner.NAMES for name in rows):
            planner.measure(console, rows, options.cases)
        # What only reckons needs no copy of the checkout.
        if not all(name in planner.NAMES for name in rows):
            with workplace(options.rounds, console) as place:
                for names, measure in GROUPS:
                    _group(place, {name: rows[name] for name in names if name in rows}, measure)
    except KeyboardInterrupt:
        code = INTERRUPTED
    table.show(console, rows)
    if options.json:
        table.write(options.json, here, rows)
    return code or int(any(row.failed for row in rows.values()))


def _group(place: Workplace, rows: Rows, measure: Callable[[Workplace, Rows], None]) -> None:
    if not rows:
        return
    try:
        measure(place, rows)
    except Skipped as reason:
        for row in rows.values():
            row.skipped = str(reason)
    except (NotMeasured, LifecycleError, AssertionError, subprocess.TimeoutExpired) as problem:
        for row in rows.values():
            row.failed = str(problem)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=_positive, default=3, help="interleaved rounds (3)")
    parser.add_argument(
        "--only", nargs="+", choices=(*GOALS, *WHOLE), default=tuple(GOALS), metavar="NAME",
        help=f"some rows: {', '.join(GOALS)}; {', '.join(WHOLE)}: all of its rows",
    )  # fmt: skip
    parser.add_argument(
        "--cases", type=Path, default=cases.CASES, metavar="FILE",
        help="real starts for the planner, one JSON a line (vram.jsonl)",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the samples there, too")
    options = parser.parse_args()
    groups = [WHOLE[name] for name in options.only if name in WHOLE]
    options.only = [*options.only, *(name for names in groups for name in names)]
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _as_interrupt(_signum: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
