"""The gateway on this machine: what is installed and written, what runs, what it answers."""

import json
from collections.abc import Iterable
from dataclasses import replace

from lifecycle import http, processes
from lifecycle.facts import bind, disk, docker, network, os
from lifecycle.gateway import files, routing, traefik
from lifecycle.host import Docker, Gateway, Host
from lifecycle.machine import Machine
from lifecycle.paths import Paths
from lifecycle.runtimes import gateway as process
from lifecycle.runtimes import venv
from lifecycle.tables import gateway as table

TAIL_BYTES = 20_000


def survey(machine: Machine, paths: Paths, port: int, runtime: str, *, outside: bool) -> Host:
    """A machine as far as the gateway matters. Never raises.

    Args:
        port, runtime: as for `look`.
        outside: it listens, or should, where others reach it: the firewall matters, too.
    """
    host = bind.survey(machine, paths) if outside else Host(os=os.look(machine))
    return replace(
        host,
        disks={"home": disk.look(paths.home)},
        docker=docker.look(machine) if runtime == "docker" else Docker(),
        gateway=look(paths, port, runtime),
    )


def look(paths: Paths, port: int, runtime: str) -> Gateway:
    """Its state now; never raises.

    Args:
        port: where clients should come in; those above it are its own. One that runs has the
            port of its files, whatever is wanted by now.
        runtime: where it should run; that says which files there should be.
    """
    where = files.folder(paths)
    running = process.ask(where, files.ACCESS)
    written = routing.revision(_text(paths, files.ROUTES))
    runs = bool(running.state)
    address, written_port = network.gateway_listens(paths)
    own = written_port or port
    inside = f"http://{traefik.LOOPBACK}:{own + 1}"
    outside = f"http://{address or traefik.LOOPBACK}:{own}"
    live = runs and written and http.status(f"{inside}/revision/{written}") == 200
    return Gateway(
        made_from=_made_from(paths),
        files=files.found(where, files.FIXED[runtime]),
        runtime=running.runtime,
        state=running.state,
        since=running.since,
        started=running.digest,
        written=written,
        live=written if live else "",
        unkeyed=http.status(f"{outside}/v1/models") if runs else 0,
        metrics=http.status(f"{outside}/metrics") if runs else 0,
        taken=_taken({*traefik.ports(port)} - ({*traefik.ports(own)} if runs else set())),
        detail=last_error(_text(paths, files.ERRORS)),
        address=address,
        port=written_port,
        log=running.log,
    )


def last_error(log: str) -> str:
    """The last thing Traefik complained of; a backend that is down is no complaint."""
    for line in reversed(log.splitlines()):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and entry.get("level") in {"error", "fatal"}:
            return f"{entry.get('message', '')} {entry.get('error', '')}".strip()
    return ""


def _made_from(paths: Paths) -> str:
    try:
        return (paths.engine(table.traefik().name) / venv.STAMP).read_text().strip()
    except OSError:
        return ""


def _taken(ports: Iterable[int]) -> dict[int, str]:
    owners = {one: processes.listener(one) for one in sorted(ports)}
    return {one: who for one, who in owners.items() if who}


def _text(paths: Paths, name: str) -> str:
    try:
        with (files.folder(paths) / name).open("rb") as stream:
            if name == files.ERRORS:
                stream.seek(max(0, stream.seek(0, 2) - TAIL_BYTES))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
