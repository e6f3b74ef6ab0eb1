"""The processor: `/proc/cpuinfo`, and the cores this process may use."""

import os

from lifecycle.host import Cpu
from lifecycle.machine import Machine


def look(machine: Machine) -> Cpu:
    """Read the kernel's description; empty where there is none."""
    text = machine.text("/proc/cpuinfo") or ""
    return parse(text, tuple(machine.ask("cpu.allowed", (0,), allowed)))


def allowed() -> tuple[int, ...]:
    """Numbers of the logical CPUs we may run on (taskset, containers and cpusets narrow them)."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def parse(text: str, cpus: tuple[int, ...]) -> Cpu:
    """x86 says `flags` and `model name`; Arm says `Features` and no name."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        values.setdefault(name.strip().lower(), value.strip())
    flags = values.get("flags") or values.get("features") or ""
    return Cpu(
        model=values.get("model name", ""), allowed=cpus, flags=frozenset(flags.lower().split())
    )
