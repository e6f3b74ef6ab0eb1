"""The whole plan of a machine for one backend: `inv doctor` runs it dry, `inv setup.*` performs it.

The order is that of need: nothing depends on what comes after it.
"""

from collections.abc import Iterable
from dataclasses import replace

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Step
from lifecycle.steps import (
    amd,
    answers,
    cards,
    chain,
    checkout,
    cpu,
    docker_engine,
    exposure,
    findings,
    nvidia,
    nvidia_containers,
    ownership,
    serve,
    system,
    tailscale,
    wsl,
    wsl_settings,
)
from lifecycle.steps.findings import Finding
from lifecycle.steps.venv import Tools


def steps(backend: Backend, paths: Paths, host: Host, tools: Tools) -> list[Step]:
    """Every state this backend needs on this machine, and what would be good to have."""
    machine = [
        *_system(backend, host, paths),
        *checkout.steps(host),
        *_hardware(backend, paths, host),
        *([wsl.port(backend.port)] if host.windows.reached else []),
    ]
    waits = _blocked(machine, host) or _waits_for_systemd(backend, host)
    serving = [] if waits else _serving(backend, paths, host, tools)
    return chain.once([*machine, *serving, *tailscale.steps(host, paths), *exposure.steps(host)])


def startable(backend: Backend) -> bool:
    """Whether this version can start the backend at all, on any machine."""
    return tables.serving.served(backend.gpu, backend.runtime)


def commands(found: Iterable[Finding], backend: Backend, host: Host) -> list[str]:
    """Every command of ours that is still to be typed, in its order.

    Also those that nobody can ask for yet: an engine waits for systemd under WSL, and as long as
    there is no engine, nobody knows whether it passes an NVIDIA card on; a new one does not.
    """
    found = list(found)
    todo = list(dict.fromkeys(one.by for one in found if one.state == findings.WORK))
    if _waits_for_systemd(backend, host) and wsl_settings.BY in todo:
        _after(todo, wsl_settings.BY, docker_engine.BY)
    if backend.gpu == "cuda" and backend.runtime == "docker" and host.nvidia.gpus:
        _after(todo, docker_engine.BY, nvidia_containers.BY)
    up = f"inv up --gpu {backend.name}"
    able = startable(backend) and host.os.system == "linux"
    if todo and up not in todo and able and findings.ready(found):
        todo.append(up)
    if any(one.startswith("inv up") for one in todo):
        # It fetches the model, too.
        todo = [one for one in todo if not one.startswith("inv seed-models")]
    return todo


def _after(todo: list[str], first: str, second: str) -> None:
    if first in todo and second not in todo:
        todo.insert(todo.index(first) + 1, second)


def _waits_for_systemd(backend: Backend, host: Host) -> bool:
    """Whether an engine is still to be installed under WSL, and would not start with it."""
    docker = backend.runtime == "docker" and not host.docker.engine and not host.docker.desktop
    return docker and host.os.wsl and not host.os.systemd


def _system(backend: Backend, host: Host, paths: Paths) -> list[Step]:
    """On Windows itself the way into WSL comes first: there is no other way to Linux."""
    waits = _waits_for_systemd(backend, host)
    here, way = system.steps(host), wsl.steps(host, paths, engine=waits)
    if host.os.system != "win32":
        return [*here, *way]
    return way if chain.broken(way, host) else [*way, *here]


def _hardware(backend: Backend, paths: Paths, host: Host) -> list[Step]:
    """The card and the way to it, with the actions of `inv setup.*`, which `up` leaves out."""
    beside = [] if backend.gpu == "cpu" else [cpu.beside_gpu()]
    if backend.runtime == "venv":
        return beside
    mine = cards.as_used(backend, host)
    named = cards.steps(backend)
    engine = [] if _waits_for_systemd(backend, host) else docker_engine.steps(host, paths)
    if backend.gpu == "cuda":
        image = backend.get("IMAGE")
        utilization = float(backend.get("GPU_MEMORY_UTILIZATION") or 0)
        card = cards.asked_of(backend, nvidia.card(mine, image, utilization))
        passage = cards.asked_of(backend, nvidia.containers(mine, paths, image))
        return [*beside, *named, *card, *engine, *passage]
    card = cards.asked_of(backend, amd.steps(mine, paths)) if backend.gpu == "rocm" else []
    return [*beside, *named, *card, *engine]


def _serving(backend: Backend, paths: Paths, host: Host, tools: Tools) -> list[Step]:
    """The plan of `inv up`; what a server answers is asked once it runs."""
    if not startable(backend) or host.os.system != "linux":
        return []
    plan = [
        *ownership.steps(backend, host),
        *serve.prepare(backend, paths, host, tools),
        *serve.start(backend, paths, host),
    ]
    if host.server.phase == "ready":
        plan.append(answers.step(backend, host))
    by = f"inv up --gpu {backend.name}"
    return [replace(step, by=step.by or by) if step.actions else step for step in plan]


def _blocked(plan: list[Step], host: Host) -> bool:
    """Whether a person comes first: then nobody knows what `up` will find."""
    return any(not (step.advice or step.actions) and step.missing(host) for step in plan)
