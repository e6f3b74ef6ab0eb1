"""RAM, from `/proc/meminfo`."""

from lifecycle.host import Memory
from lifecycle.machine import Machine


def look(machine: Machine) -> Memory:
    """Read the kernel's figures; zeros where there are none."""
    return parse(machine.text("/proc/meminfo") or "")


def parse(text: str) -> Memory:
    """Values stand in KiB: https://man7.org/linux/man-pages/man5/proc_meminfo.5.html."""
    values: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            values[name] = int(words[0]) * 1024
    return Memory(total=values.get("MemTotal", 0), available=values.get("MemAvailable", 0))
