"""What is on its way, part by part: bars on a terminal, lines in a log."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Live

from lifecycle.report import terminal

EVERY = 5.0
"""Seconds between the lines where there is no terminal."""
SOON = 1.0
"""The same, when there is a new reason why nothing comes."""


@dataclass(frozen=True)
class Bar:
    """One part, or all of it.

    Args:
        size: bytes of all of it; None while unknown.
        at_work: whether something happens to it just now.
    """

    name: str
    done: int
    size: int | None
    detail: str
    at_work: bool = True


class Bars:
    """A bar a part and one for all; in a log, a line every few seconds.

    Args:
        phase: what a line in a log begins with.
        live: draw bars where there is a terminal.
        width: columns that a name takes at least.
    """

    def __init__(self, phase: str, *, live: bool, width: int = 0) -> None:
        self._phase = phase
        self._told = time.monotonic()
        self._note = ""
        self._tasks: dict[str, TaskID] = {}
        self._live = _lines(width) if live and terminal.err.is_terminal else None
        if self._live:
            self._total = self._live.add_task("", name="total", detail="")
            self._live.start()

    def show(self, parts: Sequence[Bar], total: Bar, note: str = "") -> None:
        """How far it is now.

        Args:
            total: its detail is the line in a log, where there are parts.
            note: what holds it up, a part of that detail; "" when nothing does.
        """
        now = time.monotonic()
        if self._live:
            self._draw(self._live, parts, total)
        elif parts and now - self._told >= (SOON if note not in {"", self._note} else EVERY):
            self._told, self._note = now, note
            terminal.err.print(f"{self._phase:>8}  {total.detail}", soft_wrap=True)

    def stop(self) -> None:
        """Take the bars away."""
        if self._live:
            self._live.stop()

    def _draw(self, live: Live, parts: Sequence[Bar], total: Bar) -> None:
        for gone in self._tasks.keys() - {part.name for part in parts}:
            live.remove_task(self._tasks.pop(gone))
        # More lines than the terminal has cannot be drawn anew.
        all_fit = len(parts) < terminal.err.height - 2
        for part in parts:
            if part.name not in self._tasks:
                self._tasks[part.name] = live.add_task("", name=part.name, detail="")
            live.update(
                self._tasks[part.name], completed=part.done, total=part.size,
                visible=all_fit or part.at_work, detail=part.detail,
            )  # fmt: skip
        live.update(self._total, completed=total.done, total=total.size, detail=total.detail)


def _lines(width: int) -> Live:
    return Live(
        TextColumn(f"{{task.fields[name]:>{width}}}", style="dim", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
        console=terminal.err,
        transient=True,
        refresh_per_second=4,
    )
