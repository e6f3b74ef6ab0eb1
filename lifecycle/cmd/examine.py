"""One look at a machine for one backend, and what every step says about it."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lifecycle import facts
from lifecycle.backend import Backend
from lifecycle.cmd import choose
from lifecycle.host import Host
from lifecycle.machine import LIMIT, Machine
from lifecycle.steps import checkup, findings
from lifecycle.steps.findings import Finding
from lifecycle.steps.venv import Tools

AFTER = 0.3
"""Seconds that the look at the backend gets at least, whatever the machine took."""


@dataclass(frozen=True)
class Examination:
    """What was found, and what it means for one backend.

    Args:
        in_order: of need: nothing depends on what comes after it.
    """

    backend: Backend
    host: Host
    in_order: list[Finding]

    @property
    def found(self) -> list[Finding]:
        """The same, the most blocking first."""
        return findings.urgent_first(self.in_order)

    @property
    def ready(self) -> bool:
        """Whether no person has to act."""
        return findings.ready(self.found)

    @property
    def startable(self) -> bool:
        """Whether this version can start the backend at all."""
        return checkup.startable(self.backend)


def examine(gpu: str, machine: Machine, limit: float = LIMIT) -> Examination:
    """Look, and ask every step.

    Args:
        gpu: a backend, a kind of hardware, or `auto`: what suits the machine.
        limit: seconds for the look.

    Raises:
        ConfigError: there is no such backend, or its file is wrong.
    """
    until = time.monotonic() + limit
    where = choose.places()
    host = facts.survey(where, machine, limit)
    backend = choose.for_machine(gpu, host)
    left = max(AFTER, until - time.monotonic())
    host = facts.with_backend(host, backend, where, machine, left)
    plan = checkup.steps(backend, where, host, _tools(host))
    return Examination(backend, host, findings.examine(plan, host))


def _tools(host: Host) -> Tools:
    """What an installation would be made with. The doctor installs nothing: it asks no pip."""
    from uv import find_uv_bin

    version = ".".join(host.os.python.split(".")[:2])
    return Tools(find_uv_bin(), str(Path(sys.executable).resolve()), version)
