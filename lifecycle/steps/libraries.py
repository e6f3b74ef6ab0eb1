"""Steps about system libraries that an engine loads and no wheel brings."""

from lifecycle import tables
from lifecycle.host import Host
from lifecycle.step import Action, Command, Step
from lifecycle.tables.serving import Library


def steps(gpu: str, host: Host) -> list[Step]:
    """Every library can be loaded; root on Debian or Ubuntu gets the package installed."""
    return [_step(library, host) for library in tables.serving.libraries(gpu)]


def _step(library: Library, host: Host) -> Step:
    def missing(now: Host) -> str:
        return "" if library.file in now.libraries else f"vLLM needs {library.file}, not found here"

    return Step(
        id=f"library.{library.file.partition('.')[0]}",
        name=f"the system library {library.file} is here",
        missing=missing,
        actions=_installation(library) if host.os.root and host.os.apt else (),
        fix=f"Install its package: sudo apt-get install -y {library.apt}",
        phase="install",
    )


def _installation(library: Library) -> tuple[Action, ...]:
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    return (
        Command(("apt-get", "update", "-q"), env=quiet),
        Command(("apt-get", "install", "-q", "-y", library.apt), env=quiet),
    )
