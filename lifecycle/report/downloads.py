"""A model on its way: what would come, and how far it is."""

import time

from rich.markup import escape
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Live
from rich.table import Table
from rich.text import Text

from lifecycle.files import CHECKING, FETCHING, HERE, File, Files
from lifecycle.models.seed import Order
from lifecycle.report import terminal
from lifecycle.report.terminal import duration, line, megabytes, out

EVERY = 5.0
"""Seconds between the lines where there is no terminal."""
SOON = 1.0
"""The same, when there is a new reason why nothing comes."""


def order(wanted: Order) -> None:
    """What would be fetched, file by file, and where it goes."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("file", overflow="fold")
    table.add_column("size", justify="right")
    for item in wanted.items:
        table.add_row(escape(item.path), megabytes(item.size))
    out.print(table)
    spared = sum(one.size for one in wanted.selection.left_out)
    size, rest = megabytes(wanted.selection.size), megabytes(wanted.missing)
    line(f"\n{wanted.repo.id} at {wanted.repo.sha}")
    line(f"{len(wanted.items)} files, {size}; {rest} are still to come")
    if wanted.selection.left_out:
        line(f"left out: {len(wanted.selection.left_out)} files vLLM does not load, "
             f"{megabytes(spared)}")  # fmt: skip
    line(f"into {wanted.place.snapshot}")


class Downloads:
    """A model on its way: a bar a file and one for all; in a log, a line every few seconds.

    Args:
        live: draw bars where there is a terminal.
    """

    def __init__(self, *, live: bool) -> None:
        self._told = time.monotonic()
        self._events = 0
        self._note = ""
        self._tasks: dict[str, TaskID] = {}
        self._live = _file_lines() if live and terminal.err.is_terminal else None
        if self._live:
            self._total = self._live.add_task("", name="total", detail="")
            self._live.start()

    def show(self, files: Files) -> None:
        """How far it is now."""
        for event in files.events[self._events :]:
            terminal.err.print(Text(f"{'':>8}    {event}", style="yellow"))
        self._events = len(files.events)
        now = time.monotonic()
        if self._live:
            self._draw(self._live, files, now)
        elif now - self._told >= (SOON if files.note not in {"", self._note} else EVERY):
            self._told, self._note = now, files.note
            terminal.err.print(f"{'fetch':>8}  {fetched(files, now)}", soft_wrap=True)

    def stop(self) -> None:
        """Take the bars away."""
        if self._live:
            self._live.stop()

    def _draw(self, live: Live, files: Files, now: float) -> None:
        # More lines than the terminal has cannot be drawn anew.
        all_fit = len(files.files) < terminal.err.height - 2
        for path, file in files.files.items():
            if path not in self._tasks:
                self._tasks[path] = live.add_task("", name=path, detail="")
            live.update(
                self._tasks[path], completed=file.done, total=max(1, file.total),
                visible=all_fit or file.state in {FETCHING, CHECKING}, detail=_file(file),
            )  # fmt: skip
        live.update(
            self._total, completed=files.done, total=max(1, files.total), detail=fetched(files, now)
        )


def _file(file: File) -> str:
    if file.state == HERE:
        return f"here, {megabytes(file.total)}"
    return f"{file.state}, {megabytes(file.done)} of {megabytes(file.total)}"


def fetched(files: Files, now: float) -> str:
    """A model's files in a line: how many, bytes, speed, time left, and what holds it up.

    Args:
        now: seconds of the clock that the files were fed with.
    """
    told = [
        f"{files.here} of {len(files.files)} files",
        f"{megabytes(files.done)} of {megabytes(files.total)}",
    ]
    if files.done < files.total:
        told.append(f"{megabytes(files.speed(now))}/s")
    left = files.left(now)
    if left:
        told.append(f"{duration(left)} left")
    return ", ".join(told) + (f" ({files.note})" if files.note else "")


def _file_lines() -> Live:
    return Live(
        TextColumn("{task.fields[name]}", style="dim", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
        console=terminal.err,
        transient=True,
        refresh_per_second=4,
    )
