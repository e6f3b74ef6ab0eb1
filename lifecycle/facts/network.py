"""Ports: who holds the one a backend wants, which are ours, and who reaches them."""

import os
from contextlib import suppress
from pathlib import Path

from lifecycle import backend as backends
from lifecycle import processes
from lifecycle.backend import Backend
from lifecycle.errors import ConfigError
from lifecycle.gateway import files, traefik
from lifecycle.host import DOCKER_SOCKET, Launch, Server
from lifecycle.keys import KEYS
from lifecycle.paths import Paths
from lifecycle.runtimes import launch


def other_listener(backend: Backend, server: Server, paths: Paths) -> str:
    """Who else listens on the backend's port; "" when it is free or our own server has it."""
    if server.alive and server.launch.settings.get("PORT", str(backend.port)) == str(backend.port):
        return ""
    pid = processes.listening(backend.port)
    if pid is None:
        return ""
    folder = Path(processes.folder(pid)) if pid else Path()
    if folder == Path(os.path.realpath(paths.run(backend.name))):
        return ""  # what is left of our own: a start ends it first
    return (
        _server_of_ours(pid, folder) or _container(backend.port) or processes.listener(backend.port)
    )


def _server_of_ours(pid: int, folder: Path) -> str:
    """A server that this program started, from whatever checkout and in whatever home."""
    started = launch.parse(processes.variable(pid, launch.VARIABLE)) if pid else Launch()
    if not started.runtime:
        return ""
    return f"the server of {folder.name} of the checkout {started.checkout} (state: {folder})"


def _container(port: int) -> str:
    """Docker's own program listens for a container, and is the wrong one to stop."""
    if not os.path.exists(DOCKER_SOCKET.removeprefix("unix://")):  # noqa: PTH110
        return ""
    from lifecycle import engine
    from lifecycle.runtimes import compose

    found = engine.publisher(port)
    if found is None:
        return ""
    checkout = found.labels.get(compose.CHECKOUT, "")
    return f"the container {found.name}" + (f" of the checkout {checkout}" if checkout else "")


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
