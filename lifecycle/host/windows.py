"""The Windows under a WSL distribution, and WSL itself."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Adapter:
    """A display adapter as Windows' registry describes it.

    Args:
        driver: the driver's version as Windows numbers it, e.g. `32.0.15.8097`.
        adrenalin: AMD's own number of its driver suite, e.g. `26.2.2`.
    """

    name: str
    driver: str = ""
    adrenalin: str = ""


@dataclass(frozen=True)
class Windows:
    """The Windows under a WSL distribution, or the one we run on.

    Args:
        reached: its programs answer; False on Linux and when interop is off.
        build: e.g. `10.0.26100.4652`.
        home: the user's folder as we reach it, e.g. `/mnt/c/Users/user`.
        programs: what to put before the name of its programs when they are not on the PATH.
        memory: RAM in bytes, under WSL an estimate; 0 when unknown.
        reserved: TCP ports nobody may listen on, as (first, last).
        disk: free bytes of the drive that holds the distribution's disk; 0 when unknown.
        drive: that drive, e.g. `C:`.
        problem: why it is not reached.
    """

    reached: bool = False
    build: str = ""
    home: str = ""
    programs: str = ""
    memory: int = 0
    adapters: tuple[Adapter, ...] = ()
    reserved: tuple[tuple[int, int], ...] = ()
    disk: int = 0
    drive: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Distribution:
    """One line of `wsl.exe --list --verbose`, and what Windows' registry knows besides.

    Args:
        version: 1 or 2: what it runs as.
        user: number of the account it opens with: 0 is root; None when unknown.
        release: what is in it, e.g. `ubuntu 24.04`; "" when unknown.
    """

    name: str
    version: int = 0
    default: bool = False
    running: bool = False
    user: int | None = None
    release: str = ""


@dataclass(frozen=True)
class Wsl:
    """WSL: the installation on Windows, and the distribution we are in (or would use).

    Args:
        version: of WSL itself (`2.9.4`); "" when unknown or when it is not installed.
        kernel: the kernel's release, without its suffix.
        generation: 1 or 2: what this distribution runs as; 0 outside WSL.
        distribution: the one we are in; on Windows the one we would use; "" when there is none.
        distributions: all that are registered.
        networking: `nat`, `mirrored`, `virtioproxy`, `none` or "".
        config: values of the user's `.wslconfig` by `section.key`, in lower case.
        config_text: that file's text; None when there is none or it could not be reached.
        conf: values of `/etc/wsl.conf`, likewise.
        conf_text: that file's text; None when there is none.
        problem: why WSL does not answer, with Windows' own error code.
        mend: what a person can do about it.
    """

    version: str = ""
    kernel: str = ""
    generation: int = 0
    distribution: str = ""
    distributions: tuple[Distribution, ...] = ()
    networking: str = ""
    config: dict[str, str] = field(default_factory=dict)
    config_text: str | None = None
    conf: dict[str, str] = field(default_factory=dict)
    conf_text: str | None = None
    problem: str = ""
    mend: str = ""
