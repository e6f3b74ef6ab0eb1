"""Actions that need root: a plain, visible `sudo` in front, where we are not root already."""

from dataclasses import replace
from pathlib import Path

from lifecycle import apt
from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Action, Command, Download, WriteFile

QUIET = "DEBIAN_FRONTEND=noninteractive"
LOCK = ("-o", f"DPkg::Lock::Timeout={apt.LOCK_SECONDS}")
"""`update` does not know it: `lifecycle/apt.py` waits for that one."""


def as_root(host: Host, *argv: str, limit: float = 3600) -> Command:
    """A command run by root."""
    return Command(argv if host.os.root else ("sudo", *argv), limit=limit)


def apt_install(host: Host, *packages: str) -> tuple[Action, ...]:
    """Refresh the lists and install packages, without a question."""
    install = ("install", "-q", "-y", "--no-install-recommends", *LOCK, *packages)
    return (in_turn(host, "apt-get", "update", "-q"), _quietly(host, *install))


def apt_remove(host: Host, *packages: str) -> tuple[Action, ...]:
    """Remove packages, without a question."""
    return (_quietly(host, "remove", "-q", "-y", *LOCK, *packages),)


def _quietly(host: Host, *words: str) -> Command:
    # In argv and not in env: sudo passes no environment on.
    return in_turn(host, "env", QUIET, "apt-get", *words)


def in_turn(host: Host, *argv: str) -> Command:
    """A command of apt's or dpkg's, or of what calls them: it waits for their locks."""
    return replace(as_root(host, *argv), in_turn=True)


def apt_key(
    host: Host, paths: Paths, url: str, keyring: str, sha256: str = ""
) -> tuple[Action, ...]:
    """Put the key where apt checks a vendor's repository against it.

    Args:
        sha256: what the key must be; "" where its maker's digest is not known: HTTPS alone then.
    """
    staged = staging(paths) / Path(keyring).name
    return (
        Download(url, staged, sha256),
        as_root(host, "install", "-D", "-m", "644", str(staged), keyring),
    )


def write(
    host: Host, paths: Paths, target: str, text: str, mode: str = "644"
) -> tuple[Action, ...]:
    """Write a file of root's: ours first, then put in its place in one go."""
    staged = staging(paths) / Path(target).name
    return (
        WriteFile(staged, text),
        as_root(host, "install", "-D", "-m", mode, str(staged), target),
    )


def staging(paths: Paths) -> Path:
    """Where files wait for root to take them."""
    return paths.home / "staging"
