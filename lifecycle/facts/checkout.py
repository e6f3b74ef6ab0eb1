"""The checkout itself: files that a Windows editor or git's autocrlf has broken."""

from collections.abc import Iterator
from pathlib import Path

from lifecycle.machine import Machine
from lifecycle.paths import Paths


def look(machine: Machine, paths: Paths) -> tuple[str, ...]:
    """Env files and scripts with Windows line ends."""
    none: tuple[str, ...] = ()
    return tuple(machine.ask("crlf", none, lambda: crlf(paths.root)))


def crlf(root: Path) -> tuple[str, ...]:
    """Env files and scripts with Windows line ends, as paths inside the checkout."""
    return tuple(file.relative_to(root).as_posix() for file in _texts(root) if _broken(file))


def _texts(root: Path) -> Iterator[Path]:
    yield from (file for file in (root / "inv", root / ".env") if file.is_file())
    yield from sorted((root / "env").glob("*.env"))
    yield from sorted((root / ".ci").glob("*"))


def _broken(file: Path) -> bool:
    try:
        return b"\r\n" in file.read_bytes()
    except OSError:
        return False
