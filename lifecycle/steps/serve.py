"""The plan behind `inv up`: from a bare machine to a server that answered."""

from dataclasses import replace

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.errors import NotSupported
from lifecycle.host import Host, Launch
from lifecycle.keys import SHAPING
from lifecycle.paths import Paths
from lifecycle.planner.fit import Plan
from lifecycle.runtimes import drain, launch
from lifecycle.step import Action, AwaitReady, Step, StopServer, not_read
from lifecycle.steps import (
    cards,
    cpu,
    docker,
    extra_arguments,
    fit,
    libraries,
    serve_arguments,
    venv,
    weights,
)
from lifecycle.steps.venv import Tools

COMPARED = SHAPING
"""Keys that a running server cannot take on without a restart."""


def prepare(  # noqa: PLR0913 - the two by name are about the plan
    backend: Backend,
    paths: Paths,
    host: Host,
    tools: Tools,
    *,
    measured: int | None = None,
    force: bool = False,
) -> list[Step]:
    """Everything but the start itself.

    Args:
        measured: bytes of overhead an earlier start like this one took.
        force: also what does not fit.

    Raises:
        NotSupported: no row of `support.toml` covers this hardware and runtime, or no Linux.
        ConfigError: DEVICES names a card that is not there.
    """
    tables.serving.require_served(backend.gpu, backend.runtime)
    require_linux(host)
    cards.require(backend, host)
    # What only a person can mend comes before anything that takes minutes, and the machine before
    # the model: nobody should fetch 16 GB for a card that is not there.
    version = serve_arguments.version(backend, host)
    plan = [
        *_machine(backend, paths, host, tools),
        *extra_arguments.steps(backend, host, version),
        *weights.known(backend, host),
        *weights.companions_known(backend, host),
    ]
    if not (force or unchanged(backend, host)):
        plan += fit.steps(backend, measured=measured)
    plan += [*weights.present(backend, host), *weights.companions_present(backend)]
    if backend.runtime == "docker":
        plan += docker.fetch(backend, host)
    if backend.runtime == "venv" or weights.needs_engine(backend, host):
        engine = tables.serving.engine_for(backend.gpu, backend.runtime)
        plan += libraries.steps(engine.gpu, host)
        plan += venv.install(backend, paths, host, tools)
    return plan + weights.packaged(backend, paths, host, tools)


def _machine(backend: Backend, paths: Paths, host: Host, tools: Tools) -> list[Step]:
    plan = cpu.steps(backend) if backend.gpu == "cpu" else []
    if backend.runtime == "docker":
        return [*plan, *docker.way(backend, host, paths)]
    return [*plan, *venv.machine(backend, host, tools)]


def require_linux(host: Host) -> None:
    """Refuse every other system.

    Raises:
        NotSupported: and says where to run the same.
    """
    if host.os.system != "linux":
        raise NotSupported(
            f"vLLM servers run on Linux and WSL2, not on {host.os.system}",
            fix="On Windows: open the WSL2 distribution and run the same there.",
        )


def unchanged(backend: Backend, host: Host) -> bool:
    """A server runs, ready or on its way, and as it is wanted."""
    return host.server.alive and not launch.differences(host.server.launch, launched(backend, host))


def start(  # noqa: PLR0913 - three by name
    backend: Backend,
    paths: Paths,
    host: Host,
    *,
    again: bool = False,
    now: bool = False,
    planned: Plan | None = None,
) -> list[Step]:
    """The port is free, the server runs as wanted, and it answered.

    Args:
        again: not the process that runs now, but a new one.
        now: what runs is stopped without waiting for requests in flight.
        planned: chooses the context, where nobody did. A server that runs keeps the one it has.
    """
    asked = again and host.server.alive
    wanted = replace(launched(backend, host), checkout=str(paths.root))
    coming = unchanged(backend, host) and not asked
    told = fit.with_length(backend, planned)
    begin = () if coming else (*_stop(backend, host, now=now), *_start(told, paths, host, wanted))
    ready = AwaitReady(
        backend.name, backend.runtime, backend.url, backend.served_name, backend.api_key,
        stall=float(backend.get("START_STALL_SECONDS")),
    )  # fmt: skip
    return [
        Step(
            id="server.port",
            name=f"port {backend.port} is free",
            missing=lambda seen: _taken(backend, seen),
            fix=f"Stop it (a server: inv down in its checkout), or give this backend a different "
            f"port: PORT= in env/{backend.name}.env.",
            unread=not_read("backend"),
        ),
        Step(
            id="server.answers",
            name=f"{backend.served_name} answers at {backend.url}/v1",
            missing=lambda seen: (
                "a restart was asked for"
                if asked and seen.server.since == host.server.since
                else not_as_wanted(seen, wanted)
            ),
            actions=(*begin, ready),
            fix=f"Look at its log: inv logs --gpu {backend.name}",
            phase="start",
            unread=not_read("backend"),
        ),
    ]


def notes(backend: Backend, host: Host) -> list[str]:
    """What a person should know of the start to come: what nobody tried, what is worked around."""
    untried = docker.notes(backend, host) if backend.runtime == "docker" else venv.notes(backend)
    return [*untried, *serve_arguments.notes(backend, host)]


def launched(backend: Backend, host: Host) -> Launch:
    """What a start of this backend on this machine would be made of."""
    settings = {key: backend.get(key) for key in COMPARED}
    settings["SERVED_NAME"] = backend.served_name
    settings["VLLM_API_KEY"] = launch.fingerprint(backend.api_key)
    settings[drain.KEY] = serve_arguments.drains(backend, host)
    settings["MODEL_FOLDER"] = str(host.weights.path)
    settings["MODEL_WRITTEN"] = host.weights.written
    for word, seen in host.companions.items():
        # Where a repo is here says which commit of it: a newer one needs a restart.
        settings[f"EXTRA_ARGS {word}"] = str(seen.path or "")
    if backend.runtime == "docker":
        settings["IMAGE"] = docker.image(backend, host)
    else:
        settings["ENGINE"] = tables.serving.engine(backend.gpu).name
    return Launch(backend.runtime, {key: text for key, text in settings.items() if text})


def not_as_wanted(host: Host, wanted: Launch) -> str:
    """Why the running server is not the one that is wanted; "" when it is, and answers."""
    server = host.server
    if not server.alive:
        return f"it failed: {server.detail}" if server.detail else "it is not running"
    changes = launch.differences(server.launch, wanted)
    if changes:
        return "it runs with other values:\n" + "\n".join(changes)
    return "" if server.phase == "ready" else server.detail or f"it is in phase {server.phase}"


def _taken(backend: Backend, host: Host) -> str:
    owner = host.port_owner
    return f"port {backend.port} is taken by {owner}" if owner else ""


def _stop(backend: Backend, host: Host, *, now: bool) -> tuple[Action, ...]:
    was = host.server.launch.runtime
    return (StopServer(backend.name, was, now),) if was else ()


def _start(backend: Backend, paths: Paths, host: Host, wanted: Launch) -> tuple[Action, ...]:
    if backend.runtime == "docker":
        return docker.start(backend, paths, host, wanted)
    return venv.start(backend, paths, host, wanted)
