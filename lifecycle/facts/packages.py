"""Debian packages that matter for a server: drivers, toolkits, engines."""

from lifecycle.machine import Machine

PATTERNS = (
    "docker*", "containerd*", "runc", "podman*", "moby*", "rancher*",
    "nvidia-*", "libnvidia-*", "libcuda*", "cuda*", "amdgpu*",
    "rocm*", "hip*", "hsa*", "libhsa*", "libhsakmt*", "rocdxg*", "amdrocm*",
    "tailscale*", "libnuma1",
)  # fmt: skip


def look(machine: Machine) -> dict[str, str]:
    """Names and versions of the installed ones; {} where there is no dpkg."""
    output = machine.run(
        "dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package} ${Version}\\n", *PATTERNS
    )
    # Exit 1 only says that some pattern matched nothing.
    return parse(output.text)


def parse(text: str) -> dict[str, str]:
    """Lines like `ii  docker.io 26.1.5`; only fully installed ones count (second letter `i`)."""
    found = {}
    for line in text.splitlines():
        state, *rest = line.split()
        if len(rest) == 2 and state[1:2] == "i":
            found[rest[0]] = rest[1]
    return found
