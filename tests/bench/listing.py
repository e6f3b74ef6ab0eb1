"""What `inv --list` costs: over Invoke itself, and through the script `./inv`."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.results import NotMeasured, Row, Rows, Skipped
from tests.bench.workplace import Workplace, tail
from tests.integration.checkout import ROOT

ROUNDS = 15
"""At least: each takes a fraction of a second, and noise is large in comparison."""
NO_TASKS = "No tasks found"


def over_invoke(place: Workplace, rows: Rows) -> None:
    empty = place.folder / "empty"
    empty.mkdir()
    (empty / "tasks.py").touch()
    invoke = (sys.executable, "-m", "invoke", "--search-root")
    ours = (*invoke, str(place.checkout.root), "--list")
    reference = (*invoke, str(empty), "--list")
    _interleaved(
        place,
        rows["list"],
        "inv --list, Invoke with an empty tasks file",
        (ours, ""),
        (reference, NO_TASKS),
    )


def through_script(place: Workplace, rows: Rows) -> None:
    script, direct = ROOT / "inv", ROOT / ".venv" / "bin" / "inv"
    if not direct.exists():
        raise Skipped("there is no .venv: ./inv makes it on first use")
    if not _same(ROOT / "requirements" / "inv.txt", ROOT / ".venv" / ".made-from.txt"):
        raise Skipped("the .venv is out of date: ./inv would make it anew")
    ours = (str(script), "--list")
    reference = (str(direct), "--search-root", str(ROOT), "--list")
    _interleaved(
        place, rows["wrapper"], "./inv --list, .venv/bin/inv --list", (ours, ""), (reference, "")
    )


def _interleaved(
    place: Workplace,
    row: Row,
    what: str,
    ours: tuple[Sequence[str], str],
    reference: tuple[Sequence[str], str],
) -> None:
    rounds = max(ROUNDS, place.rounds)
    place.say(f"{rounds} rounds: {what}")
    # Not measured: bytecode is written, files come into the cache.
    _seconds(*ours)
    _seconds(*reference)
    for _ in range(rounds):
        row.ours.append(_seconds(*ours))
        row.reference.append(_seconds(*reference))


def _seconds(argv: Sequence[str], expected_failure: str) -> float:
    started = time.perf_counter()
    done = subprocess.run(
        argv, cwd=ROOT, env=os.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if done.returncode and not (expected_failure and expected_failure in done.stderr):
        raise NotMeasured(f"{argv[0]} failed: {tail(done.stderr)}")
    return seconds


def _same(one: Path, other: Path) -> bool:
    try:
        return one.read_bytes() == other.read_bytes()
    except OSError:
        return False
