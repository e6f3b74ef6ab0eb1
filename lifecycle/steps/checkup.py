"""The whole plan of a machine for one backend: `inv doctor` runs it dry, `inv setup.*` performs it.

The order is that of need: nothing depends on what comes after it.
"""

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
    nvidia,
    serve,
    system,
    tailscale,
    wsl,
)
from lifecycle.steps.venv import Tools


def steps(backend: Backend, paths: Paths, host: Host, tools: Tools) -> list[Step]:
    """Every state this backend needs on this machine, and what would be good to have."""
    machine = [
        *_system(host, paths),
        *checkout.steps(host),
        *_hardware(backend, paths, host),
        *([wsl.port(backend.port)] if host.windows.reached else []),
    ]
    serving = [] if _blocked(machine, host) else _serving(backend, paths, host, tools)
    return _once([*machine, *serving, *tailscale.steps(host, paths), *exposure.steps(host)])


def startable(backend: Backend) -> bool:
    """Whether this version can start the backend at all, on any machine."""
    return tables.serving.served(backend.gpu, backend.runtime)


def _system(host: Host, paths: Paths) -> list[Step]:
    """On Windows itself the way into WSL comes first: there is no other way to Linux."""
    here, way = system.steps(host), wsl.steps(host, paths)
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
    engine = docker_engine.steps(host, paths)
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
    plan = [*serve.prepare(backend, paths, host, tools), *serve.start(backend, paths, host)]
    if host.server.phase == "ready":
        plan.append(answers.step(backend, host))
    by = f"inv up --gpu {backend.name}"
    return [replace(step, by=step.by or by) if step.actions else step for step in plan]


def _blocked(plan: list[Step], host: Host) -> bool:
    """Whether a person comes first: then nobody knows what `up` will find."""
    return any(not (step.advice or step.actions) and step.missing(host) for step in plan)


def _once(plan: list[Step]) -> list[Step]:
    """Each state once, where it stands first."""
    first: dict[str, Step] = {}
    for step in plan:
        first.setdefault(step.name, step)
    return list(first.values())
