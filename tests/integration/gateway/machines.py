"""Other machines, and what this one knows of them: namespaces, names, certificates."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

NEEDED = ("ip", "unshare", "openssl")
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
"""What this machine believes; Go reads it there on Debian, Ubuntu and Arch."""
only_root = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, NEEDED)),
    reason=f"needs root and {', '.join(NEEDED)}, for other machines",
)


@dataclass(frozen=True)
class Machine:
    """Another machine: a network namespace, with a cable to this one.

    Args:
        address: its own.
        ours: how it sees us.
    """

    netns: str
    address: str
    ours: str

    def falls_silent(self) -> None:
        """It hears, and nothing that it sends arrives: no refusal, as when it is switched off."""
        ip("-n", self.netns, "route", "add", "blackhole", f"{self.ours}/32")

    def speaks_again(self) -> None:
        ip("-n", self.netns, "route", "del", "blackhole", f"{self.ours}/32")


@contextmanager
def machine() -> Iterator[Machine]:
    name, near = f"far-{os.getpid()}", f"near-{os.getpid()}"
    # Others may run the same tests beside us.
    net = f"10.213.{os.getpid() % 256}"
    made = Machine(name, f"{net}.2", f"{net}.1")
    with ExitStack() as stack:
        ip("netns", "add", name)
        stack.callback(ip, "netns", "del", name)  # and the cable with it
        ip("link", "add", near, "type", "veth", "peer", "name", "out", "netns", name)
        ip("address", "add", f"{made.ours}/30", "dev", near)
        ip("link", "set", near, "up")
        ip("-n", name, "address", "add", f"{made.address}/30", "dev", "out")
        ip("-n", name, "link", "set", "out", "up")
        yield made


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=10)


@dataclass(frozen=True)
class Belief:
    """Names and authorities as one program of this machine sees them, and nobody else does.

    Args:
        hosts: stands for `/etc/hosts`.
        bundle: stands for the certificates that are believed.
    """

    hosts: Path
    bundle: Path

    def means(self, names: dict[str, str]) -> None:
        """Have names mean addresses. In place: the file is mounted."""
        lines = [f"{address} {name}" for name, address in names.items()]
        self.hosts.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))

    def within(self) -> tuple[str, ...]:
        """Words in front of a command that shall see it so."""
        mounts = f"mount --bind {self.hosts} /etc/hosts && mount --bind {self.bundle} {BUNDLE}"
        return ("unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh")


@dataclass(frozen=True)
class Authority:
    """Signs certificates; only who has its own believes them."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "authority.pem"

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        folder.mkdir()
        made = cls(folder)
        _openssl("-x509", "-subj", "/CN=authority", "-keyout", folder / "authority.key",
                 "-out", made.certificate)  # fmt: skip
        return made

    def sign(self, name: str) -> Path:
        """A certificate for a host, with its key, in one file."""
        key, signed, both = (self.folder / f"{name}.{end}" for end in ("key", "crt", "pem"))
        own = self.folder / "authority.key"
        _openssl("-x509", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                 "-addext", "basicConstraints=critical,CA:FALSE", "-CA", self.certificate,
                 "-CAkey", own, "-keyout", key, "-out", signed)  # fmt: skip
        both.write_text(key.read_text() + signed.read_text())
        return both


def _openssl(*words: "str | Path") -> None:
    subprocess.run(
        ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-noenc", "-days", "2", *words], check=True, timeout=20, capture_output=True,
    )  # fmt: skip
