"""A plan at work: a line for each state reached, a live one for the one in the making."""

import time

from rich.markup import escape
from rich.progress import Progress as Live
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from lifecycle.files import Files
from lifecycle.layers import Pull
from lifecycle.report import terminal
from lifecycle.report.downloads import Downloads
from lifecycle.report.layers import Layers
from lifecycle.step import Step


class Progress:
    """A plan at work: one line per state reached, a live one for the state in the making.

    Args:
        live: show the live line; without it, lines of text only, for logs and dry runs.
    """

    def __init__(self, *, live: bool) -> None:
        self._wanted = live and terminal.err.is_terminal
        self._live: Live | None = None
        self._bars: Layers | Downloads | None = None
        self._phase = ""
        self._since = time.monotonic()

    def begin(self, step: Step, why: str) -> None:
        """A state is not reached yet; work on it begins."""
        first, *more = why.splitlines()
        if more or not self._wanted:
            terminal.err.print(f"[dim]{step.phase:>8}[/]  {escape(step.name)}: {escape(first)}")
        for text in more:
            terminal.err.print(f"{'':>8}    {escape(text)}", style="yellow")
        self._phase, self._since = step.phase, time.monotonic()
        if self._wanted:
            self._live = _live_line()
            self._live.add_task("", total=None, phase=step.phase, detail=first)
            self._live.start()

    def progress(self, phase: str, detail: str) -> None:
        """Work goes on; both texts may be as before."""
        changed = bool(phase) and phase != self._phase
        self._phase = phase or self._phase
        if self._live:
            (task,) = self._live.task_ids
            room = max(20, terminal.err.width - 24)
            self._live.update(task, phase=self._phase, detail=detail[:room])
        elif changed:
            terminal.err.print(f"{self._phase:>8}  after {self._seconds()}")

    def pulling(self, pull: Pull) -> None:
        """An image is on its way: bars on a terminal, a line now and then elsewhere."""
        if not isinstance(self._bars, Layers):
            self.stop()
            self._bars = Layers(live=self._wanted)
        self._bars.show(pull)

    def fetching(self, files: Files) -> None:
        """A model is on its way, shown as an image is."""
        if not isinstance(self._bars, Downloads):
            self.stop()
            self._bars = Downloads(live=self._wanted)
        self._bars.show(files)

    def tell(self, text: str) -> None:
        """Something a person should read before it is done."""
        terminal.err.print(Text(text, style="yellow"))

    def done(self, step: Step) -> None:
        """The state of a step that needed work is reached."""
        self.stop()
        phase = "ready" if step.phase == "start" else step.phase
        terminal.err.print(f"[green]{phase:>8}[/]  {escape(step.name)} [dim]({self._seconds()})[/]")

    def stop(self) -> None:
        """Take the live lines away."""
        for shown in (self._live, self._bars):
            if shown:
                shown.stop()
        self._live = self._bars = None

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._since:.0f} s"


def _live_line() -> Live:
    return Live(
        SpinnerColumn(),
        TextColumn("{task.fields[phase]:>6}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
        console=terminal.err,
        transient=True,
        # The server that is starting needs the cores itself.
        refresh_per_second=4,
    )
