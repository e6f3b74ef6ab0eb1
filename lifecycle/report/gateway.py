"""The gateway: how to use it, and how it and the backends behind it are."""

import time
from collections.abc import Iterable
from typing import Any

from rich.markup import escape
from rich.table import Table

from lifecycle.gateway.members import Member
from lifecycle.host import Gateway, Standing
from lifecycle.report.terminal import duration, line, note, out

HEALTH = {True: "[green]up[/]", False: "[red]down[/]", None: "[dim]not checked yet[/]"}
NOT_STARTED = "[dim]not started[/]"
"""The gateway knows nothing of it: nobody is sent there."""
Rows = Iterable[tuple[Member, Standing]]
SHOWN = 8
"""Names of models on screen; a backend elsewhere may list hundreds."""


def gateway_address(url: str, members: Iterable[Member], *, clients: int) -> None:
    """How to use a gateway that runs."""
    names = sorted({name for one in members if one.expected for name in one.models})
    out.print(f"\n[bold]Gateway[/]  {url}/v1", soft_wrap=True)
    out.print(f"[bold]Models[/]   {escape(shortened(names) or 'none yet')}", soft_wrap=True)
    if not clients:
        note("nobody has a key yet: inv key.add NAME")


def shortened(names: Iterable[str]) -> str:
    """The first of them, and how many more there are."""
    known = list(names)
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return ", ".join(known[:SHOWN]) + more


def gateway(now: Gateway, port: int, rows: Rows) -> None:
    """The gateway in a line, then a line for each backend."""
    if now.state == "RUNNING":
        known = "" if now.live else ", but it does not work by the configuration on the disk"
        line(f"gateway   {_url(now, port)}   up {_age(now.since)}{known}")
    else:
        line(f"gateway   {now.state.lower() or 'stopped'}")
    if now.detail and (now.state != "RUNNING" or not now.live):
        line(f"          {now.detail}")
    if now.state and now.log:
        line(f"          its log of requests: {now.log}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("backend", "tier", "models", "health", "in flight", "up", "address"):
        table.add_column(name, overflow="fold")
    for one, standing in rows:
        untold = "[dim]not told[/]" if one.elsewhere and standing.up else ""
        load = untold if standing.in_flight is None else f"{standing.in_flight} of {one.cap}"
        models = escape(shortened(one.models)) + ("" if one.asked else " [dim](by its file)[/]")
        age = _age(standing.since) if standing.since else ""
        health = (HEALTH[standing.up] if one.expected else NOT_STARTED) if now.state else ""
        table.add_row(one.name, one.tier, models, health, load, age, one.url)
    out.print()
    out.print(table)


def gateway_data(now: Gateway, port: int, rows: Rows) -> dict[str, Any]:
    """The same for programs."""
    return {
        "gateway": {
            "url": _url(now, port),
            "state": now.state.lower() or "stopped",
            "uptime_seconds": round(time.time() - now.since) if now.state else None,
            "configuration_live": bool(now.live),
            "runtime": now.runtime or None,
            "access_log": now.log or None,
            "detail": now.detail,
        },
        "backends": [
            {
                "name": one.name,
                "tier": one.tier,
                "url": one.url,
                "models": list(one.models),
                "models_from": "server" if one.asked else "env file",
                "listed": one.expected,
                "up": standing.up,
                "in_flight": standing.in_flight,
                "max_in_flight": one.cap,
                "since": standing.since or None,
            }
            for one, standing in rows
        ],
    }


def _url(now: Gateway, port: int) -> str:
    return f"http://{now.address or '127.0.0.1'}:{port}/v1"


def _age(since: float) -> str:
    return duration(time.time() - since)
