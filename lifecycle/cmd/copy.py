"""A model out of another machine's cache, over ssh: for the second machine on a LAN."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.models.source import Source
    from lifecycle.paths import Paths


def over_ssh(address: str, source: "Source", where: "Paths", *, show: bool) -> None:
    """Copy a model and verify it; what is here already is not copied again.

    Args:
        address: `USER@HOST` or `USER@HOST:FOLDER`, the folder being the cache there.
        show: look at what is there and print the command, and change nothing.

    Raises:
        ConfigError: no address.
        HostNotReady: that machine cannot be reached or lets nobody in, or rsync is missing.
        ModelUnavailable: it has no such model, there is no room, or what came is wrong.
    """
    from lifecycle import report
    from lifecycle.cmd import arrival
    from lifecycle.models import copying, login, neighbour
    from lifecycle.shell import Shell

    with login.connected(Shell(), address) as other:
        order = neighbour.order(other, source, where)
        if show:
            report.order(order)
            report.line(f"with: {copying.command(other, order)}")
            return
        if order.complete:
            report.note(f"{source.repo} is here already, in {order.place.snapshot}; nothing to do")
            return
        with arrival.shown(order) as on_progress:
            copying.copy(other, order, on_progress)
