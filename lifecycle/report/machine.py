"""The doctor's table."""

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lifecycle.backend import Backend
from lifecycle.host import GIB, Host
from lifecycle.report.terminal import line, out
from lifecycle.steps import amd, findings
from lifecycle.steps import checkup as checkup_steps
from lifecycle.steps.findings import Finding

MARKS = {
    findings.OK: ("ok", "green"),
    findings.ADVICE: ("better", "yellow"),
    findings.WORK: ("to do", "cyan"),
    findings.PERSON: ("you", "red"),
    findings.UNREAD: ("?", "magenta"),
}
"""How the doctor shows a finding's state."""


def checkup(  # noqa: PLR0913 - three by name
    backend: Backend,
    host: Host,
    found: list[Finding],
    *,
    startable: bool,
    alone: bool = True,
    everything: bool = False,
) -> None:
    """The doctor's table: what needs a person first.

    Args:
        alone: nobody goes on from here but the person.
        everything: also what is as it should be; else that is counted.
    """
    kind = "" if backend.name == backend.gpu else f" ({backend.gpu})"
    line(f"{_machine(host)}; looked at for the backend {backend.name}{kind}\n")
    out.print(_table(found, everything=everything))
    for name, why in host.unread.items():
        out.print(f"\n[yellow]not read[/]  {name}: {escape(why)}")
    if not alone:
        return
    if not startable:
        line(f"\nThis version makes {backend.gpu} machines ready; inv up cannot start them yet.")
    todo = checkup_steps.commands(found, backend, host)
    if not findings.known(found):
        line(f"\nWhat is marked ? did not answer in time. {findings.AGAIN}")
    if todo:
        line(f"\nNext: {', then '.join(todo)}")
    elif startable and findings.ready(found):
        line(f"\nAll is ready: {backend.url}/v1")


def _table(found: list[Finding], *, everything: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("state", ratio=2, overflow="fold")
    table.add_column("found, and the next step (→)", ratio=3, overflow="fold")
    shown = [one for one in found if everything or one.state != findings.OK]
    for one in shown:
        mark, colour = MARKS[one.state]
        told = Text(one.detail)
        if one.fix:
            told.append(("\n" if one.detail else "") + f"→ {one.fix}", style=colour)
        table.add_row(f"[{colour}]{mark}[/]", escape(one.name), told)
    folded = len(found) - len(shown)
    if folded:
        mark, colour = MARKS[findings.OK]
        rest = "all else" if shown else "everything"
        many = "1 state" if folded == 1 else f"{folded} states"
        table.add_row(f"[{colour}]{mark}[/]", rest, f"{many} (inv doctor --all)")
    return table


def _machine(host: Host) -> str:
    cards = [gpu.name for gpu in (*host.nvidia.gpus, *amd.cards(host)) if not gpu.integrated]
    under = f" on WSL{host.wsl.generation or ''}" if host.os.wsl else ""
    # On Windows itself the RAM is Windows' own, and nobody counts cores for a server there.
    memory = host.memory.total or host.windows.memory
    size = [
        *([f"{len(host.cpu.allowed)} cores"] if host.cpu.allowed else []),
        *([f"{memory / GIB:.0f} GiB RAM"] if memory else []),
    ]
    return ", ".join(
        (f"{host.os.name}{under}", *size, *(cards or ["no graphics card to serve from"]))
    )
