"""Which backend a command is about."""

import os

from lifecycle import backend as backends
from lifecycle import facts, tables
from lifecycle.backend import Backend
from lifecycle.errors import ConfigError, HostNotReady
from lifecycle.host import Host, Server
from lifecycle.paths import ROOT, Paths, paths
from lifecycle.steps import amd

FAMILIES = ("cpu", "cuda", "rocm")


def places() -> Paths:
    """The folders of this machine and checkout."""
    # Only these two: a wrong PORT in the environment must not keep `down` from its work.
    shared = backends.load_shared(ROOT, os.environ, ("LIFECYCLE_HOME", "MODELS_DIR"))
    return paths({key: setting.text for key, setting in shared.items()}, ROOT)


def load(name: str) -> Backend:
    """One backend by its name."""
    return backends.load(name, ROOT, os.environ)


def readable() -> list[Backend]:
    """All backends of this checkout but those whose file is wrong, which is said.

    Raises:
        ConfigError: not one can be read (the slip is then in the root `.env` or the environment).
    """
    from lifecycle import report

    found, errors = [], []
    for name in backends.names(ROOT):
        try:
            found.append(load(name))
        except ConfigError as error:
            errors.append(error)
    if errors and not found:
        raise errors[0]
    for slip in errors:
        report.note(f"left out: {slip.what}")
    return found


def to_stop(gpu: str, where: Paths) -> list[str]:
    """Names of the backends `down` means: of this checkout, or the one that was named.

    By file name and state folder, never by content: a slip in a file must not keep a server
    alive, and neither must a file that is gone.
    """
    if not gpu:
        return backends.names(ROOT)
    if where.run(gpu).is_dir():
        return [gpu]
    return [to_start(gpu)[0].name]


def to_start(gpu: str) -> tuple[Backend, str]:
    """The backend `up` means, and why, when the user left the choice to us."""
    if gpu == "auto":
        return _automatic()
    if gpu in backends.names(ROOT) or gpu not in FAMILIES:
        return load(gpu), ""
    members = [one for one in readable() if one.gpu == gpu]
    if len(members) == 1:
        return members[0], f"--gpu {gpu} is {members[0].name}, the only backend with GPU={gpu}"
    raise ConfigError(
        f"--gpu {gpu} could be any of: {', '.join(one.name for one in members)}"
        if members
        else f"no file in env/ has GPU={gpu}",
        fix="Name one: --gpu <name>" if members else f"Add env/<name>.env with GPU={gpu}.",
    )


def for_machine(gpu: str, host: Host) -> Backend:
    """The backend a look at the machine is about: the named one, else what suits it."""
    if gpu != "auto":
        return to_start(gpu)[0]
    radeon = any(not card.integrated for card in amd.cards(host))
    family = "cuda" if host.nvidia.gpus else "rocm" if radeon else "cpu"
    some = readable()
    return next((one for one in some if one.gpu == family), some[0])


def running(gpu: str, where: Paths) -> Backend:
    """The backend a command about a running server means.

    Raises:
        HostNotReady: `auto`, and no server or more than one runs.
    """
    if gpu != "auto":
        return to_start(gpu)[0]
    alive = [one for one, server in states(readable(), where) if server.alive]
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
        logs = {one.name: where.run(one.name) / "server.log" for one in readable()}
        there = {name: file for name, file in logs.items() if file.exists()}
        if gpu != "auto" or not there:
            raise
        return load(max(there, key=lambda name: there[name].stat().st_mtime))


def states(some: list[Backend], where: Paths) -> list[tuple[Backend, Server]]:
    """Backends with the state of their servers."""
    return [(one, facts.server.look(one, where)) for one in some]


def _automatic() -> tuple[Backend, str]:
    candidates = sorted(readable(), key=lambda one: one.gpu == "cpu")
    chosen = next((one for one in candidates if tables.serving.servable(one.gpu)), None)
    if chosen is None:
        raise ConfigError("no file in env/ can be started by this version", fix="Add env/cpu.env.")
    passed = [one.name for one in candidates if not tables.serving.servable(one.gpu)]
    why = f"--gpu auto is {chosen.name}"
    if passed:
        why += f" ({', '.join(passed)} cannot be started by this version yet)"
    return chosen, why
