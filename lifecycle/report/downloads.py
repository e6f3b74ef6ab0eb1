"""A model on its way: what would come, and how far it is."""

import time

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lifecycle.files import HERE, File, Files
from lifecycle.models.seed import Order
from lifecycle.report import terminal
from lifecycle.report.bars import Bar, Bars
from lifecycle.report.terminal import duration, line, megabytes, out


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
        self._events = 0
        self._bars = Bars("fetch", live=live)

    def show(self, files: Files) -> None:
        """How far it is now."""
        for event in files.events[self._events :]:
            terminal.err.print(Text(f"{'':>8}    {event}", style="yellow"))
        self._events = len(files.events)
        parts = [_file(file) for file in files.files.values()]
        told = fetched(files, time.monotonic())
        self._bars.show(parts, Bar("total", files.done, max(1, files.total), told), files.note)

    def stop(self) -> None:
        """Take the bars away."""
        self._bars.stop()


def _file(file: File) -> Bar:
    here = file.state == HERE
    done = "" if here else f"{megabytes(file.done)} of "
    detail = f"{file.state}, {done}{megabytes(file.total)}"
    return Bar(file.path, file.done, max(1, file.total), detail, file.at_work)


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
