"""Which backend a command is about."""

import os

from lifecycle import backend as backends
from lifecycle import facts, tables
from lifecycle.backend import Backend
from lifecycle.errors import ConfigError, HostNotReady
from lifecycle.host import Server
from lifecycle.paths import ROOT, Paths, paths

FAMILIES = ("cpu", "cuda", "rocm")


def places() -> Paths:
    """The folders of this machine and checkout."""
    shared = backends.load_shared(ROOT, os.environ)
    return paths({key: setting.text for key, setting in shared.items()})


def load(name: str) -> Backend:
    """One backend by its name."""
    return backends.load(name, ROOT, os.environ)


def everyone() -> list[Backend]:
    """All backends of this checkout."""
    return [load(name) for name in backends.names(ROOT)]


def to_start(gpu: str) -> tuple[Backend, str]:
    """The backend `up` means, and why, when the user left the choice to us."""
    if gpu == "auto":
        return _automatic()
    if gpu in backends.names(ROOT) or gpu not in FAMILIES:
        return load(gpu), ""
    members = [one for one in everyone() if one.gpu == gpu]
    if len(members) == 1:
        return members[0], f"--gpu {gpu} is {members[0].name}, the only backend with GPU={gpu}"
    raise ConfigError(
        f"--gpu {gpu} could be any of: {', '.join(one.name for one in members)}"
        if members
        else f"no file in env/ has GPU={gpu}",
        fix="Name one: --gpu <name>" if members else f"Add env/<name>.env with GPU={gpu}.",
    )


def running(gpu: str, where: Paths) -> Backend:
    """The backend a command about a running server means.

    Raises:
        HostNotReady: `auto`, and no server or more than one runs.
    """
    if gpu != "auto":
        return to_start(gpu)[0]
    alive = [one for one, server in states(everyone(), where) if server.alive]
    if len(alive) == 1:
        return alive[0]
    if alive:
        raise HostNotReady(
            f"several servers run: {', '.join(one.name for one in alive)}", fix="Add --gpu <name>."
        )
    raise HostNotReady("no server runs", fix="Start one: inv up")


def with_log(gpu: str, where: Paths) -> Backend:
    """The backend whose log is wanted: the running one, else the one that ran last."""
    try:
        return running(gpu, where)
    except HostNotReady:
        logs = {one.name: where.run(one.name) / "server.log" for one in everyone()}
        there = {name: file for name, file in logs.items() if file.exists()}
        if gpu != "auto" or not there:
            raise
        return load(max(there, key=lambda name: there[name].stat().st_mtime))


def states(some: list[Backend], where: Paths) -> list[tuple[Backend, Server]]:
    """Backends with the state of their servers."""
    return [(one, facts.server.look(one, where)) for one in some]


def _automatic() -> tuple[Backend, str]:
    candidates = sorted(everyone(), key=lambda one: one.gpu == "cpu")
    chosen = next((one for one in candidates if tables.servable(one.gpu)), None)
    if chosen is None:
        raise ConfigError("no file in env/ can be started by this version", fix="Add env/cpu.env.")
    passed = [one.name for one in candidates if not tables.servable(one.gpu)]
    why = f"--gpu auto is {chosen.name}"
    if passed:
        why += f" ({', '.join(passed)} cannot be started by this version yet)"
    return chosen, why
