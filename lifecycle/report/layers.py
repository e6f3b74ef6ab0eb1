"""An image on its way."""

import time

from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Live
from rich.text import Text

from lifecycle.layers import Layer, Pull
from lifecycle.report import terminal
from lifecycle.report.terminal import duration, megabytes, note

EVERY = 5.0
"""Seconds between the lines about a pull where there is no terminal."""


class Layers:
    """An image on its way: a bar a layer and one for all; in a log, a line every few seconds."""

    def __init__(self, *, live: bool) -> None:
        self._told = time.monotonic()
        self._pull = Pull("")
        self._note = ""
        self._tasks: dict[str, TaskID] = {}
        self._live = _layer_lines() if live else None
        if self._live:
            self._total = self._live.add_task("", name="total", detail="asking the registry")
            self._live.start()

    def show(self, pull: Pull) -> None:
        """How far it is now."""
        if pull.note and pull.note != self._note:
            terminal.err.print(Text(f"{'':>8}    {pull.note}", style="yellow"))
        self._pull, self._note = pull, pull.note
        now = time.monotonic()
        if self._live:
            self._draw(self._live, pull, now)
        elif now - self._told >= EVERY and pull.layers:
            self._told = now
            terminal.err.print(f"{'pull':>8}  {so_far(pull, now)}", soft_wrap=True)

    def stop(self) -> None:
        """Take the bars away, and say so when the image is not whole."""
        if self._live:
            self._live.stop()
        if self._pull.done and not self._pull.digest:
            note("Docker keeps whole images: what had arrived of this one may have to come again.")

    def _draw(self, live: Live, pull: Pull, now: float) -> None:
        for gone in self._tasks.keys() - pull.layers.keys():
            live.remove_task(self._tasks.pop(gone))
        # More lines than the terminal has cannot be drawn anew.
        all_fit = len(pull.layers) < terminal.err.height - 2
        for name, layer in pull.layers.items():
            if name not in self._tasks:
                self._tasks[name] = live.add_task("", name=name, detail="")
            live.update(
                self._tasks[name], completed=layer.shown, total=layer.total or None,
                visible=all_fit or layer.at_work, detail=_layer(layer),
            )  # fmt: skip
        if pull.layers:
            whole = pull.total if pull.sized else None
            live.update(self._total, completed=pull.done, total=whole, detail=so_far(pull, now))


def _layer(layer: Layer) -> str:
    return f"{layer.state}, {megabytes(layer.total)}" if layer.total else layer.state


def so_far(pull: Pull, now: float) -> str:
    """A pull in a line: layers, bytes, speed, time left, as far as they are known.

    Args:
        now: seconds of the clock that the pull was fed with.
    """
    told = [f"{pull.here} of {len(pull.layers)} layers"]
    least = "" if pull.sized else "at least "
    if pull.total:
        told.append(f"{megabytes(pull.done)} of {least}{megabytes(pull.total)}")
    if pull.done < pull.total or not pull.sized:
        told.append(f"{megabytes(pull.speed(now))}/s")
    left = pull.left(now)
    if left:
        told.append(f"{duration(left)} left")
    return ", ".join(told)


def _layer_lines() -> Live:
    return Live(
        TextColumn("{task.fields[name]:>14}", style="dim"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
        console=terminal.err,
        transient=True,
        refresh_per_second=4,
    )
