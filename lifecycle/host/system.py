"""The system and its resources."""

from dataclasses import dataclass
from pathlib import Path

GIB = 1024**3


@dataclass(frozen=True)
class Os:
    """The operating system, and who we are on it.

    Args:
        distro: `ID` of os-release: `ubuntu`, `debian`, …
        version: `VERSION_ID` of os-release: `24.04`, `13`, …
        codename: `VERSION_CODENAME` of os-release: `noble`, `trixie`, …
        user: numbers of user and group, as Docker takes them: `1000:1000`.
        account: the login name.
        groups: names of the groups this process is in (a new one counts after the next login).
        listed: names of the groups the account is in by now, whether this process is or not.
        systemd: systemd is the first process.
    """

    system: str = ""
    machine: str = ""
    name: str = ""
    distro: str = ""
    version: str = ""
    codename: str = ""
    python: str = ""
    wsl: bool = False
    root: bool = False
    user: str = ""
    account: str = ""
    groups: frozenset[str] = frozenset()
    listed: frozenset[str] = frozenset()
    apt: bool = False
    sudo: bool = False
    systemd: bool = False


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
    kind: str = ""
    """The file system: `ext4`, `9p` (a Windows drive under WSL), …; "" when unknown."""
