"""The gateway on this machine: what is installed and written, what runs, what it answers."""

import json

from lifecycle import http, shell, supervisord
from lifecycle.gateway import files, routing, traefik
from lifecycle.host import Gateway
from lifecycle.paths import Paths
from lifecycle.runtimes import venv
from lifecycle.tables import gateway as table

PROGRAM = "gateway"
"""What it is called in its supervisord."""
TAIL_BYTES = 20_000


def look(paths: Paths, port: int) -> Gateway:
    """Its state now; never raises.

    Args:
        port: where clients come in; the one above it is for looking.
    """
    where = files.folder(paths)
    supervised = supervisord.ask(venv.socket(where), PROGRAM)
    written = routing.revision(_text(paths, files.ROUTES))
    runs = bool(supervised.state)
    listens = address(paths)
    inside = f"http://{traefik.LOOPBACK}:{port + 1}"
    outside = f"http://{listens or traefik.LOOPBACK}:{port}"
    live = runs and written and http.status(f"{inside}/revision/{written}") == 200
    return Gateway(
        made_from=_made_from(paths),
        files=files.found(where),
        state=supervised.state,
        since=supervised.since,
        started=_text(paths, files.STARTED).strip(),
        written=written,
        live=written if live else "",
        unkeyed=http.status(f"{outside}/v1/models") if runs else 0,
        metrics=http.status(f"{outside}/metrics") if runs else 0,
        taken={} if runs else _taken(port),
        detail=last_error(_text(paths, files.ERRORS)),
        address=listens,
    )


def address(paths: Paths) -> str:
    """Where clients come in by its files, whether it runs or not; "" when there are none."""
    return traefik.listens(_text(paths, files.STATIC))


def last_error(log: str) -> str:
    """The last thing Traefik complained of; a backend that is down is no complaint."""
    for line in reversed(log.splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("level") in {"error", "fatal"}:
            return f"{entry.get('message', '')} {entry.get('error', '')}".strip()
    return ""


def _made_from(paths: Paths) -> str:
    try:
        return (paths.engine(table.traefik().name) / venv.STAMP).read_text().strip()
    except OSError:
        return ""


def _taken(port: int) -> dict[int, str]:
    owners = {one: shell.listener(one) for one in (port, port + 1)}
    return {one: who for one, who in owners.items() if who}


def _text(paths: Paths, name: str) -> str:
    try:
        with (files.folder(paths) / name).open("rb") as stream:
            if name == files.ERRORS:
                stream.seek(max(0, stream.seek(0, 2) - TAIL_BYTES))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
