"""What a machine is and has, as plain values. Defaults mean "absent" or "not looked at"."""

from dataclasses import dataclass, field

from lifecycle.host.answers import Answers, Sanity
from lifecycle.host.cards import Amd, Gpu, Nvidia
from lifecycle.host.docker import DOCKER_DESKTOP, DOCKER_SOCKET, Docker
from lifecycle.host.gateway import Gateway, Standing
from lifecycle.host.server import Launch, Server, Venv, Weights
from lifecycle.host.system import GIB, Cpu, Disk, Memory, Os
from lifecycle.host.tailnet import Exposed, Firewall, Mount, Probe, Serving, Tailnet, Tailscale
from lifecycle.host.windows import Adapter, Distribution, Windows, Wsl

__all__ = [
    "DOCKER_DESKTOP",
    "DOCKER_SOCKET",
    "GIB",
    "Adapter",
    "Amd",
    "Answers",
    "Cpu",
    "Disk",
    "Distribution",
    "Docker",
    "Exposed",
    "Firewall",
    "Gateway",
    "Gpu",
    "Host",
    "Launch",
    "Memory",
    "Mount",
    "Nvidia",
    "Os",
    "Probe",
    "Sanity",
    "Server",
    "Serving",
    "Standing",
    "Tailnet",
    "Tailscale",
    "Venv",
    "Weights",
    "Windows",
    "Wsl",
]


@dataclass(frozen=True)
class Host:
    """One look at the machine."""

    os: Os = field(default_factory=Os)
    windows: Windows = field(default_factory=Windows)
    wsl: Wsl = field(default_factory=Wsl)
    nvidia: Nvidia = field(default_factory=Nvidia)
    amd: Amd = field(default_factory=Amd)
    tailscale: Tailscale = field(default_factory=Tailscale)
    serving: Serving = field(default_factory=Serving)
    firewall: Firewall = field(default_factory=Firewall)
    gateway: Gateway = field(default_factory=Gateway)
    packages: dict[str, str] = field(default_factory=dict)
    """Installed Debian packages that matter here, with their versions."""
    crlf: tuple[str, ...] = ()
    """Env files and scripts of the checkout with Windows line ends."""
    unread: dict[str, str] = field(default_factory=dict)
    """Looks that found nothing, by name, and why."""
    cpu: Cpu = field(default_factory=Cpu)
    memory: Memory = field(default_factory=Memory)
    disks: dict[str, Disk] = field(default_factory=dict)
    docker: Docker = field(default_factory=Docker)
    libraries: frozenset[str] = frozenset()
    """Those of the system libraries asked for that can be loaded."""
    venv: Venv = field(default_factory=Venv)
    weights: Weights = field(default_factory=Weights)
    companions: dict[str, Weights] = field(default_factory=dict)
    """Adapters, draft models and tokenizers of `EXTRA_ARGS`, by the word that names each."""
    server: Server = field(default_factory=Server)
    port_owner: str = ""
    """Who else listens on the backend's port; "" when it is free or ours."""
    secrets_mode: int = 0
    """Permission bits of the root `.env`; 0 when there is none."""
    api_key: str = field(default="", repr=False)
    """The key found in the root `.env` or the process environment."""

    @property
    def outward(self) -> str:
        """The side others come through: the one in use, else Windows where that is in a tailnet."""
        if self.serving.written:
            return self.serving.written[0].side
        here, below = self.tailscale.linux, self.tailscale.windows
        return "windows" if below.joined or (below.program and not here.joined) else "linux"

    @property
    def tailnet(self) -> Tailnet:
        """Tailscale on that side."""
        return self.tailscale.windows if self.outward == "windows" else self.tailscale.linux
