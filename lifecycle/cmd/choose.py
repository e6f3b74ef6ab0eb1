"""Which backend a command is about."""

import os

from lifecycle import backend as backends
from lifecycle import facts, tables
from lifecycle.backend import Backend
from lifecycle.errors import ConfigError, HostNotReady, NotSupported, ServerUnhealthy
from lifecycle.host import Host, Server
from lifecycle.keys import GPUS, KEYS
from lifecycle.machine import Here, Machine
from lifecycle.paths import ROOT, Paths, paths
from lifecycle.shell import Shell
from lifecycle.steps import amd, nvidia, ownership


def places() -> Paths:
    """The folders of this machine and checkout."""
    return _places("LIFECYCLE_HOME", "MODELS_DIR")


def places_to_stop() -> Paths:
    """The same for whoever stops what runs: where models are does not matter to that."""
    try:
        return places()
    except ConfigError:
        return _places("LIFECYCLE_HOME")


def _places(*names: str) -> Paths:
    # Only these: a slip in any other line must not keep `down` from its work.
    shared = backends.load_only(names, ROOT, os.environ)
    return paths({key: setting.text for key, setting in shared.items()}, ROOT)


def setting(name: str) -> str:
    """A value that is for all backends: of `.env` or the environment, else the key's default."""
    given = backends.load_shared(ROOT, os.environ, (name,)).get(name)
    return given.text if given else KEYS[name].default


def load(name: str, chosen: str | None = None) -> Backend:
    """One backend by its name.

    Args:
        chosen: taken for the text of its override; unset: what the file says.
    """
    return backends.load(name, ROOT, os.environ, chosen)


def readable() -> list[Backend]:
    """All backends of this machine but those whose file is wrong, which is said.

    Raises:
        ConfigError: not one can be read (the slip is then in the root `.env` or the environment).
    """
    return [one for one in everywhere() if not one.elsewhere]


def everywhere() -> list[Backend]:
    """The same, and those of other machines.

    Raises:
        ConfigError: as `readable`.
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
    try:
        return [to_start(gpu)[0].name]
    except ConfigError:
        if gpu in backends.names(ROOT):
            return [gpu]
        kin = [name for name in backends.names(ROOT) if backends.gpu_of(name, ROOT) == gpu]
        started = [name for name in kin if where.run(name).is_dir()]
        if len(started) != 1:
            raise
        return started


def to_start(gpu: str, machine: Machine | None = None) -> tuple[Backend, str]:
    """The backend `up` means, and why, when the user left the choice to us.

    Args:
        machine: where `auto` looks for a card; whoever looks again afterwards passes his own, so
            that slow Windows programs are asked once.
    """
    if gpu == "auto":
        return _automatic(facts.hardware(machine or Here(Shell())))
    if gpu in backends.names(ROOT) or gpu not in GPUS:
        return _on_this_machine(load(gpu)), ""
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
    some = readable()
    return _suiting(some, host) or some[0]


def running(gpu: str, where: Paths) -> Backend:
    """The backend a command about a running server means.

    Raises:
        HostNotReady: `auto`, and no server or more than one runs.
    """
    if gpu != "auto":
        return to_start(gpu)[0]
    seen = states(readable(), where)
    alive = [one for one, server in seen if server.alive]
    if len(alive) == 1:
        return alive[0]
    if alive:
        raise HostNotReady(
            f"several servers run: {', '.join(one.name for one in alive)}", fix="Add --gpu <name>."
        )
    for one, server in seen:
        if server.phase == "unknown":
            raise HostNotReady(
                f"whether the server of {one.name} runs is unknown", why=server.detail,
                fix="inv doctor tells more.",
            )  # fmt: skip
    raise HostNotReady("no server runs", fix="Start one: inv up")


def ready(gpu: str, where: Paths) -> tuple[Backend, Server]:
    """The backend whose server is to be asked something.

    Raises:
        HostNotReady: as `running`; or the server is another checkout's and has a different key.
        ServerUnhealthy: its server is not ready.
    """
    backend = running(gpu, where)
    ((_, server),) = states([backend], where)
    if server.owner and not ownership.shared(backend, server):
        raise ownership.refusal(backend, server)
    if server.phase != "ready":
        raise ServerUnhealthy(
            f"the server of {backend.name} is not ready (phase: {server.phase})",
            why=server.detail,
            fix=f"inv up --gpu {backend.name}",
        )
    return backend, server


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


def _on_this_machine(backend: Backend) -> Backend:
    """Refuse a backend that is on another one.

    Raises:
        NotSupported: and says where to run the same.
    """
    if not backend.elsewhere:
        return backend
    where = backend.settings["ENDPOINT"]
    raise NotSupported(
        f"{backend.name} is on another machine: {where.text} ({where.source})",
        why="from here only the gateway has to do with it",
        fix="Run the same on that machine. What the gateway sees of it: inv gateway.status",
    )


def _automatic(host: Host) -> tuple[Backend, str]:
    some = readable()
    able = [one for one in some if tables.serving.served(one.gpu, one.runtime)]
    best, chosen = _suiting(some, host), _suiting(able, host)
    if chosen is None:
        raise ConfigError(
            f"no file in env/ suits this machine: there is {_card(host)[1]}",
            fix="Add env/cpu.env, or name a backend: --gpu <name>.",
        )
    why = f"--gpu auto is {chosen.name}: there is {_card(host)[1]}"
    if best and best.name != chosen.name:
        why += f" ({best.name} cannot be started by this version yet)"
    return chosen, why


def _suiting(some: list[Backend], host: Host) -> Backend | None:
    """A backend for the machine's own card, by its name where several are; else one for the CPU."""
    family, card = _card(host)
    plain = card.lower().replace(" ", "")
    members = [one for one in some if one.gpu == family]
    named = [one for one in members if one.name.lower() in plain]
    return next(iter([*named, *members, *(one for one in some if one.gpu == "cpu")]), None)


def _card(host: Host) -> tuple[str, str]:
    """Family and name of the card a server would use: one that answers before one that does not."""
    best = amd.best(host)
    # Of graphics in the processor only those somebody builds vLLM for (Strix Halo).
    served = best is not None and bool(best.images)
    radeons = [card for card in amd.cards(host) if served or not card.integrated]
    mute = [one for one in host.windows.adapters if "NVIDIA" in one.name]
    found = [
        *(("cuda", card.name) for card in sorted(host.nvidia.gpus, key=nvidia.rank, reverse=True)),
        *(("rocm", card.name) for card in radeons),
        *(("cuda", adapter.name) for adapter in mute),
        *([("cuda", "an NVIDIA card that does not answer")] if host.nvidia.problem else []),
    ]
    return found[0] if found else ("cpu", "no graphics card")
