"""Looks at the machine: the whole of it for the doctor, what matters for a start for `up`."""

from dataclasses import replace

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.facts import (
    amd,
    bind,
    checkout,
    cpu,
    disk,
    libraries,
    memory,
    network,
    nvidia,
    os,
    packages,
    secrets,
    serve,
    server,
    venv,
    weights,
    windows,
    wsl,
)
from lifecycle.gateway.traefik import LOOPBACK
from lifecycle.host import (
    Disk,
    Docker,
    Firewall,
    Gateway,
    Host,
    Os,
    Server,
    Serving,
    Venv,
    Weights,
)
from lifecycle.machine import LIMIT, Machine, side_by_side
from lifecycle.paths import Paths


def hardware(machine: Machine) -> Host:
    """Which graphics cards there are, and nothing else. Never raises."""
    here = os.look(machine)
    below = windows.look(machine, here)
    nvidias, radeons = nvidia.look(machine, here), amd.look(machine, here)
    return Host(os=here, windows=below, nvidia=nvidias, amd=radeons)


def gather(backend: Backend, paths: Paths, machine: Machine) -> Host:
    """What the start of this backend depends on, and nothing else. Never raises."""
    if backend.gpu != "cpu":
        # A card is reached through half of the machine: driver, Windows, ROCm, Docker.
        whole = with_backend(survey(paths, machine), backend, paths, machine)
        return replace(whole, secrets_mode=secrets.mode(paths), api_key=secrets.key(paths))
    return replace(
        _of_backend(backend, paths, machine),
        os=os.look(machine),
        cpu=cpu.look(machine),
        memory=memory.look(machine),
        disks=_disks(paths, machine),
        docker=_docker(machine) if backend.runtime == "docker" else Docker(),
        libraries=_libraries(machine),
        secrets_mode=secrets.mode(paths),
        api_key=secrets.key(paths),
    )


def survey(paths: Paths, machine: Machine, limit: float = LIMIT) -> Host:
    """The whole machine, whatever is to be started on it. Never raises.

    Args:
        limit: seconds after which what has not answered counts as unreadable.
    """
    here = os.look(machine)
    found, problems = side_by_side(
        {
            "windows": lambda: _windows(machine, here),
            "nvidia": lambda: nvidia.look(machine, here, paths.home),
            "amd": lambda: amd.look(machine, here),
            "tailscale": lambda: _tailnet(machine, here, paths),
            "docker": lambda: _docker(machine, limit),
            "packages": lambda: packages.look(machine),
            "cpu": lambda: cpu.look(machine),
            "memory": lambda: memory.look(machine),
            "disks": lambda: _disks(paths, machine),
            "libraries": lambda: _libraries(machine),
            "crlf": lambda: checkout.look(machine, paths),
        },
        limit,
    )
    for several in ("windows", "tailscale"):
        parts = found.pop(several, {})
        assert isinstance(parts, dict)  # noqa: S101 - for mypy
        found |= parts
    return Host(os=here, unread=problems, **found)  # type: ignore[arg-type]


def with_backend(
    host: Host, backend: Backend, paths: Paths, machine: Machine, limit: float = LIMIT
) -> Host:
    """The same machine, and what is there of one backend. Never raises.

    Args:
        limit: seconds, as for `survey`: a server may hang in the middle of an answer.
    """
    looks = {"backend": lambda: _of_backend(backend, paths, machine)}
    found, problems = side_by_side(looks, limit)
    known = found.get("backend", Host())
    assert isinstance(known, Host)  # noqa: S101 - for mypy
    return replace(
        host,
        venv=known.venv,
        weights=known.weights,
        companions=known.companions,
        server=known.server,
        port_owner=known.port_owner,
        unread={**host.unread, **problems},
    )


def _of_backend(backend: Backend, paths: Paths, machine: Machine) -> Host:
    # By the backend's name: a recording is about one, and may be replayed for another.
    name = backend.name
    running = machine.ask(f"server.{name}", Server(), lambda: server.look(backend, paths))
    unknown = Weights(problem=f"nobody looked for {backend.model} on this machine")
    return Host(
        venv=machine.ask(f"venv.{name}", Venv(), lambda: venv.look(backend, paths)),
        weights=machine.ask(f"weights.{name}", unknown, lambda: weights.look(backend, paths)),
        # Not recorded: paths of a person's, and of this machine also when another is replayed.
        companions=weights.companions(backend, paths),
        server=running,
        port_owner=machine.ask(
            f"port.{name}", "", lambda: network.other_listener(backend, running, paths)
        ),
    )


def _windows(machine: Machine, here: Os) -> dict[str, object]:
    """Windows first: it knows where the user's `.wslconfig` is."""
    below = windows.look(machine, here)
    inside = wsl.look(machine, here, below)
    return {"windows": wsl.with_disk(machine, inside, below), "wsl": inside}


def _tailnet(machine: Machine, here: Os, paths: Paths) -> dict[str, object]:
    """Tailscale, what goes out through it, and the firewall where the gateway listens there."""
    seen = serve.look(machine, machine.ask("serving", Serving(), lambda: serve.own(paths)))
    address = machine.ask("gateway.address", "", lambda: network.gateway_listens(paths)[0])
    outside = address not in {"", LOOPBACK}
    return {
        "tailscale": seen.tailscale,
        "serving": seen.serving,
        "firewall": bind.look(machine, here) if outside else Firewall(),
        "gateway": Gateway(address=address),
    }


def _disks(paths: Paths, machine: Machine) -> dict[str, Disk]:
    places = {"home": paths.home, "models": paths.models, "checkout": paths.root}
    return {
        name: machine.ask(f"disk.{name}", Disk(place), lambda place=place: disk.look(place))  # type: ignore[misc]
        for name, place in places.items()
    }


def _libraries(machine: Machine) -> frozenset[str]:
    files = [row.file for row in tables.serving.libraries("cpu")]
    return machine.ask("libraries", frozenset[str](), lambda: libraries.look(files))


def _docker(machine: Machine, limit: float = LIMIT) -> Docker:
    from lifecycle.facts import docker

    return docker.look(machine, limit)
