"""What the numbers were taken on, without its name."""

import os
import platform
from typing import Any

from rich.console import Console

from lifecycle.facts import cpu, memory
from lifecycle.host import GIB
from lifecycle.machine import Here
from lifecycle.shell import Shell

BUSY = 1.0


def describe() -> dict[str, Any]:
    here = Here(Shell())
    processor = cpu.look(here)
    return {
        "processor": processor.model,
        "cores": len(processor.allowed),
        "memory_bytes": memory.look(here).total,
        "system": platform.system(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def show(console: Console, machine: dict[str, Any]) -> None:
    load = machine["load_average"]
    console.print(
        f"{machine['processor'] or 'processor unknown'}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / GIB:.0f} GiB, {machine['system']}, "
        f"Python {machine['python']}, load average {load:.2f}",
        highlight=False,
    )
    if load > BUSY:
        console.print(f"[yellow]load average {load:.2f}: others are at work here, expect noise[/]")
