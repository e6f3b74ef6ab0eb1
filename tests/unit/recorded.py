"""The table of machines: each folder of tests/unit/machines, and what is said about it."""

import functools
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from lifecycle import backend as backends
from lifecycle import facts, recording
from lifecycle.cmd import choose
from lifecycle.errors import LifecycleError
from lifecycle.host import Host
from lifecycle.machine import Machine, Replay
from lifecycle.paths import ROOT, Paths
from lifecycle.step import Step
from lifecycle.steps import amd, checkup, docker_engine, findings, nvidia, tailscale, wsl
from lifecycle.steps.findings import Finding
from tests.unit.given import TOOLS

FOLDER = Path(__file__).parent / "machines"
PATHS = Paths(
    Path("/home/user/project"),
    Path("/home/user/.local/share/vllm-lifecycle"),
    Path("/home/user/.local/share/vllm-lifecycle/models"),
)
NAMES = sorted(one.name for one in FOLDER.iterdir() if one.is_dir() and one.name[0] != "_")
LIMIT = 30
"""Seconds for one look: no machine answers slowly here, but the one that tests may be busy."""


def machine(name: str) -> Replay:
    return Replay(recording.read(FOLDER / name))


def text(name: str) -> str:
    return (FOLDER / name / recording.FILE).read_text(encoding="utf-8")


def asked_with(name: str) -> str:
    """What its owner writes after `--gpu`, where the machine does not show it by itself."""
    found = re.search(r"^# asked with: --gpu (\w+)$", text(name), re.MULTILINE)
    return found[1] if found else "auto"


def host(on: Machine) -> Host:
    return facts.survey(PATHS, on, LIMIT)


def plan(on: Machine, gpu: str = "auto") -> tuple[str, Host, list[Step]]:
    """The backend that suits a machine, the machine, and every step."""
    seen = host(on)
    name = choose.for_machine(gpu, seen).name
    backend = backends.load(name, _checkout(), {})
    seen = facts.with_backend(seen, backend, PATHS, on, LIMIT)
    return name, seen, checkup.steps(backend, PATHS, seen, TOOLS)


@functools.cache
def findings_of(name: str) -> list[Finding]:
    _, seen, steps = plan(machine(name), asked_with(name))
    return findings.urgent_first(findings.examine(steps, seen))


def table(on: Machine, gpu: str = "auto") -> str:
    """The doctor's answer as plain lines."""
    name, seen, steps = plan(on, gpu)
    lines = [f"backend {name}"]
    for one in findings.urgent_first(findings.examine(steps, seen)):
        lines.append(f"{one.state:<6}  {one.id}: {one.name}")
        lines += [f"        {line}" for line in one.detail.splitlines()]
        lines += [f"        -> {line}" for line in one.fix.splitlines()]
    lines += [f"unread  {name}: {why}" for name, why in sorted(seen.unread.items())]
    return "\n".join(lines) + "\n"


def setups(seen: Host, gpu: str = "auto") -> Iterator[tuple[str, list[Step]]]:
    """Every setup command for this hardware, and its steps; a refusal is a step for a person."""
    family = choose.for_machine(gpu, seen).gpu
    if seen.os.wsl or seen.os.system == "win32":
        yield "setup.wsl", _refusable(lambda: wsl.setup(seen, PATHS, ""))
    yield "setup.docker", _refusable(lambda: docker_engine.setup(seen, PATHS, ""))
    if family == "cuda":
        yield "setup.cuda", _refusable(lambda: nvidia.setup(seen, PATHS, toolkit=False))
    if family == "rocm":
        yield "setup.rocm", _refusable(lambda: amd.setup(seen, PATHS, ""))
    yield "setup.tailscale", _refusable(lambda: tailscale.setup(seen, PATHS))


def commands(on: Machine, gpu: str = "auto") -> str:
    """What each setup command would do, as `inv --dry` shows it."""
    seen = host(on)
    lines = []
    for name, steps in setups(seen, gpu):
        lines.append(f"{name}:")
        for step in steps:
            why = step.missing(seen)
            if not why or (step.advice and not step.actions):
                continue
            if not step.actions:
                lines += [f"  stops: {line}" for line in why.splitlines()[:1]]
                lines += [f"         -> {line}" for line in step.fix.splitlines()]
                break
            lines += [f"  {line}" for action in step.actions for line in str(action).splitlines()]
            if step.restart:
                lines.append(f"  restart: {step.restart}")
        if lines[-1] == f"{name}:":
            lines.append("  nothing to do")
    return "\n".join(lines) + "\n"


def _refusable(steps: Callable[[], list[Step]]) -> list[Step]:
    try:
        return steps()
    except LifecycleError as error:
        said = error.what
        return [Step("refused", said, lambda _: said, fix=error.fix)]


@functools.cache
def _checkout() -> Path:
    """This checkout without its owner's `.env`."""
    folder = Path(tempfile.mkdtemp())
    (folder / "env").symlink_to(ROOT / "env")
    return folder
