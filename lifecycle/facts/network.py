"""Ports: who holds the one a backend wants, which are ours, and who reaches them."""

import os
from contextlib import suppress

from lifecycle import backend as backends
from lifecycle import processes
from lifecycle.backend import Backend
from lifecycle.errors import ConfigError
from lifecycle.gateway import files, traefik
from lifecycle.host import Server
from lifecycle.keys import KEYS
from lifecycle.paths import Paths
from lifecycle.runtimes import launch


def other_listener(backend: Backend, server: Server) -> str:
    """Who else listens on the backend's port; "" when it is free or our own server has it."""
    if server.alive and server.launch.settings.get("PORT") == str(backend.port):
        return ""
    return processes.listener(backend.port)


def engines(paths: Paths) -> dict[int, str]:
    """Ports of ours that nobody outside may reach, and what listens there. Never raises.

    What was started counts beside what the files say by now: a slip in one hides no server.
    """
    _, looking, inside = traefik.ports(gateway(paths))
    own = {looking: "the gateway's figures", inside: "the gateway's inside"}
    return {**_by_the_files(paths), **started(paths), **own}


def started(paths: Paths) -> dict[int, str]:
    """Ports of the servers that were started and not stopped."""
    found = {}
    for file in sorted(paths.run("").glob(f"*/{launch.FILE}")):
        port = launch.read(file.parent).settings.get("PORT", "")
        if port.isdecimal():
            found[int(port)] = f"backend {file.parent.name}"
    return found


def gateway(paths: Paths) -> int:
    """The gateway's port: by its files, else as it is set. Never raises.

    Of a value that is wrong, the default counts.
    """
    written = gateway_listens(paths)[1]
    if written:
        return written
    given = None
    with suppress(ConfigError):
        given = backends.load_shared(paths.root, os.environ, ("GATEWAY_PORT",)).get("GATEWAY_PORT")
    return int(given.text if given else KEYS["GATEWAY_PORT"].default)


def gateway_listens(paths: Paths) -> tuple[str, int]:
    """Where clients come in by its files, whether it runs or not; "" and 0 when there are none.

    `.env` may say something else by now: that counts from the next `inv gateway.up` on.
    """
    for name in (files.FRONT, files.STATIC):
        with suppress(OSError, UnicodeDecodeError):
            return traefik.listens((files.folder(paths) / name).read_text(encoding="utf-8"))
    return "", 0


def _by_the_files(paths: Paths) -> dict[int, str]:
    found = {}
    for name in backends.names(paths.root):
        with suppress(ConfigError):
            one = backends.load(name, paths.root, os.environ)
            if not one.elsewhere:
                found[one.port] = f"backend {name}"
    return found
