"""What the outside brings to a simulated machine: packages, their versions, what they print."""

import re
from collections.abc import Iterable, Mapping

from lifecycle.shell import Output

DOCKER_CLI = "Docker version 28.2.2, build 28.2.2-0ubuntu1~24.04.1"
DOCKER_COMPOSE = "2.37.1+ds1-0ubuntu2~24.04.1"
DOCKER_INFO = {
    "ServerVersion": "28.2.2",
    "OperatingSystem": "Linux",
    "DockerRootDir": "/var/lib/docker",
    "Runtimes": ["io.containerd.runc.v2", "runc"],
}
NVIDIA_CTK = "NVIDIA Container Toolkit CLI version {}"
ROCMINFO_DENIED = "ROCk module is loaded\nUnable to open /dev/kfd read-write: Permission denied"
TAILSCALED_STOPPED = (
    "failed to connect to local tailscaled; it doesn't appear to be running "
    "(sudo systemctl start tailscaled ?)"
)
RELEASES = re.compile(r"repo\.radeon\.com/rocm/apt/(\S+)")

REPOSITORIES = {
    "docker-ce*": "https://download.docker.com/linux/",
    "containerd.io": "https://download.docker.com/linux/",
    "docker-compose-plugin": "https://download.docker.com/linux/",
    "*nvidia-container*": "https://nvidia.github.io/libnvidia-container",
    "hsa-runtime-rocr4wsl-amdgpu": "https://repo.radeon.com/amdgpu/",
    "rocm-core": "https://repo.radeon.com/rocm/apt/",
    "tailscale": "https://pkgs.tailscale.com/stable/",
}
"""Packages that no distribution has, by pattern."""
OWN = {
    "docker.io": "",
    "docker-cli": "13",
    "docker-compose": "13",
    "docker-compose-v2": "ubuntu",
    "rocminfo": "",
    "ca-certificates": "",
}
"""Packages of the distributions themselves; the value must stand in os-release."""
CARDS = {
    # Windows' names, and the device numbers the kernel shows.
    "Radeon RX 7900 XTX": ("gfx1100", "Radeon RX 7900 XTX", 25149440),
    "gfx_target_version 110000": ("gfx1100", "Radeon RX 7900 XTX", 25149440),
    "gfx_target_version 110501": ("gfx1151", "Radeon 8060S Graphics", 33554432),
}


def needed_repository(name: str, release: str) -> str:
    """What apt must have been told of; "" when the distribution has the package itself.

    Raises:
        AssertionError: nobody has such a package.
    """
    from fnmatch import fnmatch

    for pattern, url in REPOSITORIES.items():
        if fnmatch(name, pattern):
            return url
    assert name in OWN, f"E: Unable to locate package {name}"
    assert OWN[name] in release, f"E: {name} is not in this release"
    return ""


def version_of(name: str, sources: str) -> str:
    """A version as the package's makers number it."""
    amd = RELEASES.search(sources)
    if amd and name in {"rocm-core", "rocminfo"}:
        return f"{amd[1]}.70204-93~24.04"
    return {"docker-ce": "5:28.2.2-1", "tailscale": "1.102.4"}.get(name, "1.0")


def libraries_of(packages: Mapping[str, str]) -> str:
    """The loader's cache, as `ldconfig -p` prints it."""
    found = {
        "rocdxg-roct": "librocdxg.so.1",
        "rocminfo": "libhsa-runtime64.so.1",
        "hsa-runtime-rocr4wsl-amdgpu": "libhsa-runtime64.so.1",
    }
    names = sorted({file for name, file in found.items() if name in packages})
    lines = [f"\t{name} (libc6,x86-64) => /opt/rocm/lib/{name}" for name in names]
    return "\n".join([f"{len(names)} libs found in cache `/etc/ld.so.cache'", *lines])


def gpu_of(answers: Mapping[str, Output]) -> tuple[str, str, int] | None:
    """The AMD card that is in the machine, by whatever the recording names it with."""
    texts = [output.text for output in answers.values()]
    return next((card for mark, card in CARDS.items() if any(mark in one for one in texts)), None)


def rocminfo_text(card: tuple[str, str, int]) -> str:
    """ROCm/ROCm#3483, shortened to what is read."""
    gfx, name, size = card
    return (
        "ROCk module is loaded\n*******\nAgent 1\n*******\n  Name:                    A processor\n"
        "  Marketing Name:          A processor\n  Device Type:             CPU\n"
        f"*******\nAgent 2\n*******\n  Name:                    {gfx}\n"
        f"  Marketing Name:          {name}\n  Device Type:             GPU\n"
        f"  Pool Info:\n    Pool 1\n      Size:                    {size}(0x{size:x}) KB\n"
        "*** Done ***"
    )


def listed(rows: Iterable[tuple[bool, str, str, str]]) -> str:
    """What `wsl.exe --list --verbose` prints (ListDistributionsHelper in WslClient.cpp)."""
    lines = [
        f"{'*' if default else ' '} {name:<15} {state:<15} {version}"
        for default, name, state, version in rows
    ]
    return "\n".join(["  NAME            STATE           VERSION", *lines])


def tailscale_status(state: str) -> str:
    """Recorded of 1.102.4, shortened (tests/unit/facts/test_tailscale.py)."""
    name = "box.tail1a2b3c.ts.net." if state == "Running" else ""
    return (
        f'{{"Version": "1.102.4-t3caf7d9e7", "BackendState": "{state}", "AuthURL": "",\n'
        f'"Self": {{"HostName": "box", "DNSName": "{name}"}}, "CertDomains": null}}'
    )
