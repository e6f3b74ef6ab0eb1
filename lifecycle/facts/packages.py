"""Debian packages that matter for a server: drivers, toolkits, engines."""

from fnmatch import fnmatch

from lifecycle.machine import Machine
from lifecycle.shell import Shell

PATTERNS = (
    "docker*", "containerd*", "runc", "podman*", "moby*", "rancher*",
    "nvidia-*", "libnvidia-*", "libcuda*", "cuda*", "amdgpu*",
    "rocm*", "hip*", "hsa*", "libhsa*", "libhsakmt*", "rocdxg*", "amdrocm*",
    "tailscale*", "libnuma1",
)  # fmt: skip
SHAPE = "${db:Status-Abbrev} ${Package} ${Version}\\n"
LIMIT = 1.0
"""Seconds: asking for all takes a tenth of that."""


def look(machine: Machine) -> dict[str, str]:
    """Names and versions of the installed ones; {} where there is no dpkg.

    Asked under one name and not as a command: what else is installed is nobody's business, so a
    recording must not hold it; and one that is old must answer when a pattern is added here.
    """
    return machine.ask("packages", dict[str, str](), _installed)


def parse(text: str) -> dict[str, str]:
    """Lines like `ii  docker.io 26.1.5`; only fully installed ones count (second letter `i`)."""
    found = {}
    for line in text.splitlines():
        state, *rest = line.split() or [""]
        if len(rest) == 2 and state[1:2] == "i" and _matters(rest[0]):
            found[rest[0]] = rest[1]
    return found


def _installed() -> dict[str, str]:
    return parse(Shell().read("dpkg-query", "-W", "-f", SHAPE, limit=LIMIT).text)


def _matters(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in PATTERNS)
