"""Actions that need root: a plain, visible `sudo` in front, where we are not root already."""

from pathlib import Path

from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Action, Command, Download, WriteFile

QUIET = "DEBIAN_FRONTEND=noninteractive"


def as_root(host: Host, *argv: str, limit: float = 3600) -> Command:
    """A command run by root."""
    return Command(argv if host.os.root else ("sudo", *argv), limit=limit)


def apt_install(host: Host, *packages: str) -> tuple[Action, ...]:
    """Refresh the lists and install packages, without a question."""
    return (
        as_root(host, "apt-get", "update", "-q"),
        # In argv and not in env: sudo passes no environment on.
        as_root(host, "env", QUIET, "apt-get", "install", "-q", "-y", "--no-install-recommends",
                "-o", "DPkg::Lock::Timeout=120", *packages),
    )  # fmt: skip


def apt_remove(host: Host, *packages: str) -> tuple[Action, ...]:
    """Remove packages, without a question."""
    return (as_root(host, "env", QUIET, "apt-get", "remove", "-q", "-y", *packages),)


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
