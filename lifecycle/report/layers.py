"""An image on its way."""

import time

from rich.text import Text

from lifecycle.layers import Layer, Pull
from lifecycle.report import terminal
from lifecycle.report.bars import Bar, Bars
from lifecycle.report.terminal import duration, megabytes, note

WIDTH = 14
"""Columns for the name of a layer, which has 12 characters."""
ASKING = Bar("total", 0, None, "asking the registry")


class Layers:
    """An image on its way: a bar a layer and one for all; in a log, a line every few seconds."""

    def __init__(self, *, live: bool) -> None:
        self._pull = Pull("")
        self._note = ""
        self._bars = Bars("pull", live=live, width=WIDTH)
        self._bars.show((), ASKING)

    def show(self, pull: Pull) -> None:
        """How far it is now."""
        if pull.note and pull.note != self._note:
            terminal.err.print(Text(f"{'':>8}    {pull.note}", style="yellow"))
        self._pull, self._note = pull, pull.note
        parts = [_layer(name, layer) for name, layer in pull.layers.items()]
        whole = pull.total if pull.sized else None
        told = so_far(pull, time.monotonic())
        self._bars.show(parts, Bar("total", pull.done, whole, told) if parts else ASKING)

    def stop(self) -> None:
        """Take the bars away, and say so when the image is not whole."""
        self._bars.stop()
        if self._pull.done and not self._pull.digest:
            note("Docker keeps whole images: what had arrived of this one may have to come again.")


def _layer(name: str, layer: Layer) -> Bar:
    detail = f"{layer.state}, {megabytes(layer.total)}" if layer.total else layer.state
    return Bar(name, layer.shown, layer.total or None, detail, layer.at_work)


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
