"""What a machine is and has, as plain values. Defaults mean "absent" or "not looked at"."""

from dataclasses import dataclass, field
from pathlib import Path

GIB = 1024**3


@dataclass(frozen=True)
class Os:
    """The operating system."""

    system: str = ""
    machine: str = ""
    name: str = ""
    wsl: bool = False
    root: bool = False
    user: str = ""
    """Numbers of user and group, as Docker takes them: `1000:1000`."""
    apt: bool = False


@dataclass(frozen=True)
class Cpu:
    """The processor, as far as this process may use it.

    Args:
        allowed: numbers of the logical CPUs this process may run on.
        flags: instruction-set names as the kernel spells them.
    """

    model: str = ""
    allowed: tuple[int, ...] = ()
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Memory:
    """RAM in bytes."""

    total: int = 0
    available: int = 0


@dataclass(frozen=True)
class Disk:
    """The disk that holds (or will hold) a folder; sizes in bytes."""

    path: Path
    free: int = 0
    writable: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Docker:
    """The Docker Engine and Compose, as this user reaches them."""

    engine: str = ""
    compose: str = ""
    problem: str = ""
    images: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Venv:
    """An engine's virtual environment."""

    made_from: str = ""
    """Digest of the lock it was completely installed from; "" while there is none."""


@dataclass(frozen=True)
class Weights:
    """A model on disk.

    Args:
        path: the folder vLLM loads.
        root: the folder to mount so that links inside `path` resolve.
        size: bytes.
        problem: why it cannot be served; "" when it can.
        written: when its config.json was written; a server must be restarted for a newer one.
    """

    path: Path | None = None
    root: Path | None = None
    size: int = 0
    problem: str = ""
    written: str = ""


@dataclass(frozen=True)
class Launch:
    """What a server was started with, kept beside it and compared on the next `up`."""

    runtime: str = ""
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """A server of ours, alive or not.

    Args:
        phase: stopped, start, load, warm-up, ready, failed, or unanswering.
        pid: the process that holds the port; 0 in a container we cannot look into.
        since: start of the present process, seconds since the epoch.
        restarts: how often the supervisor brought it back.
        memory: bytes of RAM of all its processes.
        models: names that /v1/models lists.
        detail: the last thing its log said about its progress or its death.
    """

    phase: str = "stopped"
    launch: Launch = Launch()
    pid: int = 0
    since: float = 0
    restarts: int = 0
    memory: int = 0
    models: tuple[str, ...] = ()
    detail: str = ""
    log: str = ""

    @property
    def alive(self) -> bool:
        """Whether a process or container exists, ready or not."""
        return self.phase not in {"stopped", "failed"}


@dataclass(frozen=True)
class Host:
    """One look at the machine."""

    os: Os = Os()
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    disks: dict[str, Disk] = field(default_factory=dict)
    docker: Docker = Docker()
    libraries: frozenset[str] = frozenset()
    """Those of the system libraries asked for that can be loaded."""
    venv: Venv = Venv()
    weights: Weights = Weights()
    server: Server = Server()
    port_owner: str = ""
    """Who else listens on the backend's port; "" when it is free or ours."""
    secrets_mode: int = 0
    """Permission bits of the root `.env`; 0 when there is none."""
    api_key: str = field(default="", repr=False)
    """The key found in the root `.env` or the process environment."""
