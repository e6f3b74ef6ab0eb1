"""The keys of the gateway's clients: add, list, rotate, remove."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd.command import command, shell_for

if TYPE_CHECKING:
    from lifecycle.paths import Paths
    from lifecycle.shell import Shell

NAME_HELP = "who gets it: letters, digits, '-', '_' and '.'"


@command(help={
    "name": NAME_HELP,
    "rate": "requests a minute; 0 for no limit",
    "in_flight": "requests at once; 0 for no limit",
})  # fmt: skip
def add(context: Context, name: str, rate: int = 0, in_flight: int = 0) -> None:
    """Make a client's key for the gateway and show it, this once."""
    from lifecycle import clients, report
    from lifecycle.cmd import choose

    where, shell = choose.places(), shell_for(context)
    key = clients.new_key()
    fresh = clients.Client(name, clients.digest(key), _today(), rate, in_flight)
    clients.add(where.home, shell, fresh, report.note)
    _show(key, name, shell)
    _reload(where, shell)


@command(name="list", help={"json": "print JSON for programs"})
def list_(context: Context, *, json: bool = False) -> None:
    """Show who has a key, since when, and the limits; no key."""
    del context
    from lifecycle import clients, report
    from lifecycle.cmd import choose

    some = clients.read(choose.places().home)
    if json:
        shown = ("name", "made", "rate", "in_flight")
        report.document({"clients": [{k: getattr(one, k) for k in shown} for one in some]})
    elif some:
        report.clients(some)
    else:
        report.note("nobody has a key yet: inv key.add NAME")


@command(help={"name": "whose"})
def rotate(context: Context, name: str) -> None:
    """Make another key for a client and show it; the old one ends at once."""
    from lifecycle import clients, report
    from lifecycle.cmd import choose

    where, shell = choose.places(), shell_for(context)
    key = clients.new_key()
    fresh = clients.Client(name, clients.digest(key), _today())
    clients.rotate(where.home, shell, fresh, report.note)
    _show(key, name, shell)
    _reload(where, shell)


@command(help={"name": "whose"})
def remove(context: Context, name: str) -> None:
    """Take a client's key away; it ends at once."""
    from lifecycle import clients, report
    from lifecycle.cmd import choose

    where, shell = choose.places(), shell_for(context)
    clients.remove(where.home, shell, name, report.note)
    _reload(where, shell)
    if not shell.dry:
        report.note(f"{name} has no key any more")


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _reload(where: "Paths", shell: "Shell") -> None:
    from lifecycle.cmd.gateway import reload_if_running

    reload_if_running(where, shell)


def _show(key: str, name: str, shell: "Shell") -> None:
    """The key alone on stdout, so that it can be piped; the words beside it.

    Before the gateway is told: whatever goes wrong there, the person has the key that is kept.
    """
    from lifecycle import report
    from lifecycle.errors import OutputLost

    if shell.dry:
        return
    try:
        report.line(key)
    except OutputLost as lost:
        # It is in force, and nobody has it.
        raise OutputLost(lost.what, fix=f"Make a key that is seen: inv key.rotate {name}") from None
    report.note(f"This is the key of {name}. It is shown this once: only its digest is kept.")
