"""Everything a person sees: plans at work, tables, errors. Only this file imports rich."""

import io
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Live
from rich.table import Table
from rich.text import Text

from lifecycle.backend import PROCESS, Backend
from lifecycle.errors import LifecycleError
from lifecycle.files import CHECKING, FETCHING, HERE, File, Files
from lifecycle.host import GIB, Host, Server
from lifecycle.keys import KEYS
from lifecycle.layers import Layer, Pull
from lifecycle.measured import Measured, Planned
from lifecycle.models import fit
from lifecycle.models.seed import Order
from lifecycle.step import Step
from lifecycle.steps import amd, findings
from lifecycle.steps.findings import Finding
from lifecycle.tables.catalogue import CatalogueModel

# A pipe has no width: tables keep to one that fits a page.
for stream in (sys.stdout, sys.stderr):
    # Windows redirects in its old code page, which has no check mark.
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
WIDTH = None if sys.stdout.isatty() else 110
out = Console(highlight=False, width=WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)

MARKS = {
    findings.OK: ("ok", "green"),
    findings.ADVICE: ("better", "yellow"),
    findings.WORK: ("to do", "cyan"),
    findings.PERSON: ("you", "red"),
}
"""How the doctor shows a finding's state."""
EVERY = 5.0
"""Seconds between the lines about a pull where there is no terminal."""
SOON = 1.0
"""The same, when there is a new reason why nothing comes."""
COLOURS = {"ready": "green", "failed": "red", "unanswering": "red", "stopped": "dim"}


def line(text: str) -> None:
    """One line of plain output."""
    out.print(Text(text), soft_wrap=True)


def note(text: str) -> None:
    """One line about what is going on; not part of the output."""
    err.print(Text(text, style="dim"))


def document(data: dict[str, Any]) -> None:
    """Output for programs."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


def failure(error: LifecycleError) -> None:
    """What happened, why, and what to type next."""
    err.print(Text("✗ ", style="red"), Text(error.what, style="bold"), sep="")
    for text in error.why.splitlines():
        err.print(Text(f"  {text}", style="default"))
    for number, text in enumerate(error.fix.splitlines()):
        err.print(Text("→ " if number == 0 else "  ", style="green"), Text(text), sep="")


class Progress:
    """A plan at work: one line per state reached, a live one for the state in the making.

    Args:
        live: show the live line; without it, lines of text only, for logs and dry runs.
    """

    def __init__(self, *, live: bool) -> None:
        self._wanted = live and err.is_terminal
        self._live: Live | None = None
        self._layers: Layers | Downloads | None = None
        self._phase = ""
        self._since = time.monotonic()

    def begin(self, step: Step, why: str) -> None:
        """A state is not reached yet; work on it begins."""
        first, *more = why.splitlines()
        if more or not self._wanted:
            err.print(f"[dim]{step.phase:>8}[/]  {escape(step.name)}: {escape(first)}")
        for text in more:
            err.print(f"{'':>8}    {escape(text)}", style="yellow")
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
            self._live.update(task, phase=self._phase, detail=detail[: max(20, err.width - 24)])
        elif changed:
            err.print(f"{self._phase:>8}  after {self._seconds()}")

    def pulling(self, pull: Pull) -> None:
        """An image is on its way: bars on a terminal, a line now and then elsewhere."""
        if not isinstance(self._layers, Layers):
            self.stop()
            self._layers = Layers(live=self._wanted)
        self._layers.show(pull)

    def fetching(self, files: Files) -> None:
        """A model is on its way, shown as an image is."""
        if not isinstance(self._layers, Downloads):
            self.stop()
            self._layers = Downloads(live=self._wanted)
        self._layers.show(files)

    def tell(self, text: str) -> None:
        """Something a person should read before it is done."""
        err.print(Text(text, style="yellow"))

    def done(self, step: Step) -> None:
        """The state of a step that needed work is reached."""
        self.stop()
        phase = "ready" if step.phase == "start" else step.phase
        err.print(f"[green]{phase:>8}[/]  {escape(step.name)} [dim]({self._seconds()})[/]")

    def stop(self) -> None:
        """Take the live lines away."""
        for shown in (self._live, self._layers):
            if shown:
                shown.stop()
        self._live = self._layers = None

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._since:.0f} s"


def _live_line() -> Live:
    return Live(
        SpinnerColumn(),
        TextColumn("{task.fields[phase]:>6}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
        console=err,
        transient=True,
        # The server that is starting needs the cores itself.
        refresh_per_second=4,
    )


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
            err.print(Text(f"{'':>8}    {pull.note}", style="yellow"))
        self._pull, self._note = pull, pull.note
        now = time.monotonic()
        if self._live:
            self._draw(self._live, pull, now)
        elif now - self._told >= EVERY and pull.layers:
            self._told = now
            err.print(f"{'pull':>8}  {so_far(pull, now)}", soft_wrap=True)

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
        all_fit = len(pull.layers) < err.height - 2
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
        self._live = _file_lines() if live and err.is_terminal else None
        if self._live:
            self._total = self._live.add_task("", name="total", detail="")
            self._live.start()

    def show(self, files: Files) -> None:
        """How far it is now."""
        for event in files.events[self._events :]:
            err.print(Text(f"{'':>8}    {event}", style="yellow"))
        self._events = len(files.events)
        now = time.monotonic()
        if self._live:
            self._draw(self._live, files, now)
        elif now - self._told >= (SOON if files.note not in {"", self._note} else EVERY):
            self._told, self._note = now, files.note
            err.print(f"{'fetch':>8}  {fetched(files, now)}", soft_wrap=True)

    def stop(self) -> None:
        """Take the bars away."""
        if self._live:
            self._live.stop()

    def _draw(self, live: Live, files: Files, now: float) -> None:
        # More lines than the terminal has cannot be drawn anew.
        all_fit = len(files.files) < err.height - 2
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
        console=err,
        transient=True,
        refresh_per_second=4,
    )


def megabytes(size: float) -> str:
    """Bytes as Docker tells them: powers of ten."""
    if size >= 1e9:
        return f"{size / 1e9:.2f} GB"
    return f"{size / 1e6:.1f} MB" if size >= 1e5 or not size else f"{size / 1e3:.1f} kB"


def _layer_lines() -> Live:
    return Live(
        TextColumn("{task.fields[name]:>14}", style="dim"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
        console=err,
        transient=True,
        refresh_per_second=4,
    )


def endpoint(backend: Backend) -> None:
    """How to use a server that is ready; the key is named, never shown."""
    url, model = f"{backend.url}/v1", backend.served_name
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello!"}]})
    out.print(
        f"""
[bold]Endpoint[/]  {url}
[bold]Model[/]     {escape(model)}
[bold]Key[/]       VLLM_API_KEY in {_place_of_key(backend)}

[bold]Try it[/]    ./inv chat "What is the capital of France?"

[bold]curl[/]      {_export_key(backend)}curl {url}/chat/completions \\
            -H "Authorization: Bearer $VLLM_API_KEY" \\
            -H "Content-Type: application/json" -d '{escape(body)}'

[bold]Python[/]    from openai import OpenAI; import os
          client = OpenAI(base_url="{url}", api_key=os.environ["VLLM_API_KEY"])
          answer = client.chat.completions.create(model="{escape(model)}",
              messages=[{{"role": "user", "content": "Hello!"}}])
          print(answer.choices[0].message.content)
""",
        soft_wrap=True,
    )


def _place_of_key(backend: Backend) -> str:
    return "the environment" if backend.settings["VLLM_API_KEY"].source == PROCESS else ".env"


def _export_key(backend: Backend) -> str:
    if backend.settings["VLLM_API_KEY"].source == PROCESS:
        return ""
    return "export VLLM_API_KEY=$(sed -n 's/^VLLM_API_KEY=//p' .env)\n          "


def servers(
    rows: list[tuple[Backend, Server]], vram: Mapping[str, tuple[int, int]] | None = None
) -> None:
    """One line per backend.

    Args:
        vram: bytes in use and in all, of the cards of each kind of hardware.
    """
    shown = vram or {}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (
        "backend",
        "phase",
        "model",
        "endpoint",
        "runtime",
        "pid",
        "RAM",
        "up",
        *(["VRAM"] if shown else []),
    ):
        table.add_column(name, overflow="fold")
    for backend, server in rows:
        cells = _cells(backend, server)
        if shown:
            cells.append(_vram(shown.get(backend.gpu)) if server.alive else "")
        table.add_row(*cells)
    out.print(table)
    for backend, server in rows:
        if server.detail:
            out.print(f"\n{backend.name}: {escape(server.detail)}", soft_wrap=True)
            out.print(f"[dim]log: {escape(server.log)}[/]", soft_wrap=True)


def _vram(card: tuple[int, int] | None) -> str:
    return f"{card[0] / GIB:.1f} of {card[1] / GIB:.1f} GiB" if card else "unknown"


def _cells(backend: Backend, server: Server) -> list[str]:
    phase = f"[{COLOURS.get(server.phase, 'yellow')}]{server.phase}[/]"
    again = f" ({server.restarts}x)" if server.restarts else ""
    runtime = server.launch.runtime or backend.runtime
    known = [escape(", ".join(server.models) or backend.served_name), f"127.0.0.1:{backend.port}"]
    if not server.alive:
        return [backend.name, phase, *known, runtime, "", "", ""]
    memory = f"{server.memory / GIB:.1f} GiB" if server.memory else ""
    age = duration(time.time() - server.since)
    return [backend.name, phase + again, *known, runtime, str(server.pid or ""), memory, age]


def memory(found: Measured, planned: Planned | None = None) -> None:
    """What a start took, in vLLM's own figures, and how far an estimate was off."""
    sizes = []
    if found.weights is not None:
        told = f" (planned {_gib(planned.weights)})" if planned and planned.weights else ""
        sizes.append(f"weights {_gib(found.weights)} GiB{told}")
    if found.overhead is not None:
        sizes.append(f"everything else {_gib(found.overhead)} GiB")
    if found.budget is not None:
        sizes.append(f"of {_gib(found.budget)} GiB in all")
    each = f"on each of {found.cards} cards: " if found.cards > 1 else ""
    if sizes:
        line(f"memory    {each}{', '.join(sizes)}")
    if found.kv_tokens is not None:
        size = "" if found.kv_available is None else f"{_gib(found.kv_available)} GiB = "
        line(f"KV cache  {size}{found.kv_tokens:,} tokens{_off(found.kv_tokens, planned)}")
    if found.concurrency is not None and found.at_length is not None:
        line(
            f"          {found.concurrency:.1f} requests of full length "
            f"({found.at_length:,} tokens) at once"
        )


def _gib(size: int) -> str:
    return f"{size / GIB:.1f}"


def _off(tokens: int, planned: Planned | None) -> str:
    if planned is None or planned.kv_tokens is None:
        return ""
    off = f", {100 * (planned.kv_tokens - tokens) / tokens:+.1f} %" if tokens else ""
    return f" (planned {planned.kv_tokens:,}{off.replace('-', '−')})"  # noqa: RUF001


def models(rows: list[tuple[CatalogueModel, bool, fit.Plan]], on: fit.Card) -> None:
    """The catalogue, and what of it a card can run.

    Args:
        rows: a model, whether it is on this disk, and the plan for it.
    """
    free = "" if on.free is None else f", {_gib(on.free)} GiB of it free"
    line(f"For {on.name or on.gpu}: {_gib(on.total)} GiB{free}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for name in ("here", "licence", "longest context"):
        table.add_column(name, no_wrap=True)
    table.add_column("for")
    for row, here, plan in rows:
        cells = (f"{row.size / 1e9:.1f} GB", "yes" if here else "", row.license + "*" * row.gated)
        table.add_row(escape(row.name), *cells, _room(row, plan, on), escape(row.about))
    out.print(table)
    note("*: accept it on the model's page first, and set HF_TOKEN= in .env")


def plan(found: fit.Plan, on: fit.Card, backend: Backend) -> None:
    """The sum, the verdict, and what would fit instead."""
    named = f", backend {backend.name}" if on.gpu == backend.gpu else ""
    place = (on.name or f"a card of {_gib(on.total)} GiB") + named
    out.print(f"[bold]{escape(found.model)}[/] on {escape(place)}\n")
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_column(style="dim", overflow="fold")
    for one in found.lines:
        table.add_row(f"{one.bytes / GIB:.2f} GiB", one.label, escape(one.note))
    out.print(table)
    out.print(f"\n{_tokens(found)}")
    colour = {fit.FITS: "green", fit.FITS_WITH: "yellow"}.get(found.verdict, "red")
    out.print(f"\n[bold {colour}]{found.verdict}[/]{escape(_verdict(found))}", soft_wrap=True)
    for text in found.blocked:
        out.print(f"  [red]{escape(text)}[/]", soft_wrap=True)
    for other in found.alternatives:
        out.print(f"  [green]→[/] {escape(other.says)}", soft_wrap=True)
    for text in (*found.cautions, *found.notes):
        out.print(f"  [dim]{escape(text)}[/]", soft_wrap=True)


def _tokens(found: fit.Plan) -> str:
    """What a token takes, and how many fit: exactly, or from here to there."""
    low, high = found.tokens_range
    each = f"{found.token_bytes / 1024:.0f} KiB of KV cache a token"
    if not found.tokens:
        return f"{each}: none fit"
    range_ = f" ({low:,} to {high:,})" if low != high else ""
    return f"{each}: room for {found.tokens:,} tokens{range_}"


def _verdict(found: fit.Plan) -> str:
    if found.verdict == fit.DOES_NOT_FIT:
        return f": {_gib(found.missing)} GiB are missing" if found.missing else ""
    said = " ".join(f"{key}={value}" for key, value in found.settings.items())
    many = "request" if found.requests == 1 else "requests"
    how = f"{found.length:,} tokens a request, {found.requests} such {many} at once"
    longest = f"; the longest that fits: {found.longest:,}" if found.longest > found.length else ""
    short = f"; as wanted it lacks {_gib(found.missing)} GiB" if found.missing else ""
    return (f" ({said})" if said else "") + f": {how}{longest}{short}"


def _room(row: CatalogueModel, plan: fit.Plan, on: fit.Card) -> str:
    """The longest context of a model, or why there is none."""
    if plan.blocked or on.gpu not in row.gpus:
        return "[red]not on this hardware[/]"
    if plan.verdict == fit.DOES_NOT_FIT:
        return "[red]does not fit[/]"
    return f"[green]{'' if plan.exact else 'about '}{plan.longest:,}[/]"


def checkup(
    backend: Backend, host: Host, found: list[Finding], *, startable: bool, alone: bool = True
) -> None:
    """The doctor's table: what needs a person first.

    Args:
        alone: nobody goes on from here but the person.
    """
    kind = "" if backend.name == backend.gpu else f" ({backend.gpu})"
    line(f"{_machine(host)}; looked at for the backend {backend.name}{kind}\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("state", ratio=2, overflow="fold")
    table.add_column("found, and the next step (→)", ratio=3, overflow="fold")
    for one in found:
        mark, colour = MARKS[one.state]
        told = Text(one.detail)
        if one.fix:
            told.append(("\n" if one.detail else "") + f"→ {one.fix}", style=colour)
        table.add_row(f"[{colour}]{mark}[/]", escape(one.name), told)
    out.print(table)
    for name, why in host.unread.items():
        out.print(f"\n[yellow]not read[/]  {name}: {escape(why)}")
    if not alone:
        return
    if not startable:
        line(f"\nThis version makes {backend.gpu} machines ready; inv up cannot start them yet.")
    todo = list(dict.fromkeys(one.by for one in found if one.state == findings.WORK))
    if todo:
        line(f"\nNext: {', then '.join(todo)}")
    elif startable and findings.ready(found):
        line(f"\nAll is ready: {backend.url}/v1")


def _machine(host: Host) -> str:
    cards = [gpu.name for gpu in (*host.nvidia.gpus, *amd.cards(host)) if not gpu.integrated]
    under = f" on WSL{host.wsl.generation or ''}" if host.os.wsl else ""
    cores = f"{len(host.cpu.allowed)} cores, {host.memory.total / GIB:.0f} GiB RAM"
    return ", ".join(
        (f"{host.os.name}{under}", cores, *(cards or ["no graphics card to serve from"]))
    )


def settings(backend: Backend) -> None:
    """Every value and where it came from."""
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for name in ("key", "value", "from"):
        table.add_column(name, overflow="fold")
    for name, value in visible(backend).items():
        table.add_row(name, escape(value["value"]), value["source"])
    out.print(f"\n[bold]{backend.name}[/]")
    out.print(table)


def visible(backend: Backend) -> dict[str, dict[str, str]]:
    """A backend's settings with secrets hidden."""
    return {
        name: {
            "value": "(set, hidden)" if KEYS[name].secret else setting.text,
            "source": setting.source,
        }
        for name, setting in sorted(backend.settings.items())
    }


def duration(seconds: float) -> str:
    """Seconds, minutes, hours or days, in two figures at most."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
