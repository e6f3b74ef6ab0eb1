"""`inv seed-models --from`: another machine's cache, through a real sshd and rsync on loopback."""

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lifecycle.errors import ConfigError, HostNotReady, ModelUnavailable
from tests.integration.checkout import Checkout, free_port
from tests.integration.conftest import REQUIRED
from tests.integration.test_seed import CONFIG, GOOD, MIB, copied, holding, weights
from tests.unit.models.cache import COMMIT, REPO, link, seal

__all__ = ["copied"]
SSHD = "/usr/sbin/sshd"
SIZE = 60 * MIB


@dataclass
class Tower:
    """The other machine: an sshd of our own, and a cache it has."""

    folder: Path
    port: int

    @property
    def home(self) -> Path:
        return self.folder / "theirs"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    def start(self) -> "subprocess.Popen[bytes]":
        for name in ("host", "key"):
            words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name))
            subprocess.run(words, check=True)
        settings = (
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.folder}/host",
            f"AuthorizedKeysFile {self.folder}/key.pub", "StrictModes no", "UsePAM no",
            "PasswordAuthentication no", f"PidFile {self.folder}/pid",
        )  # fmt: skip
        (self.folder / "sshd_config").write_text("\n".join(settings) + "\n")
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd shuts itself in; a service makes it
        serve = (SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config"))
        return subprocess.Popen(serve, stderr=subprocess.DEVNULL)

    def name(self, host: str, *more: str) -> None:
        """Let our ssh know the machine by a name. ssh reads no HOME: hence a program before it."""
        lines = (
            f"Host {host}", *more, "HostName 127.0.0.1", f"Port {self.port}",
            f"UserKnownHostsFile {self.folder}/known",
        )  # fmt: skip
        with self.config.open("a") as stream:
            stream.write("\n  ".join(lines) + "\n")


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tower]:
    absent = [name for name in ("ssh", "rsync", SSHD) if not shutil.which(name)]
    if absent or os.geteuid():
        said = f"needs root and {', '.join(absent) or 'nothing more'}"
        pytest.fail(said) if os.environ.get(REQUIRED) else pytest.skip(said)
    made = Tower(tmp_path_factory.mktemp("tower"), free_port())
    process = made.start()
    key = f"IdentityFile {made.folder}/key"
    made.name("tower", key, "StrictHostKeyChecking accept-new")
    made.name("stranger", "IdentityFile none", "StrictHostKeyChecking accept-new")
    made.name("unknown", key, "StrictHostKeyChecking yes", "HostKeyAlias unknown")
    made.name("asleep", "Port 9")
    for name in ("ssh", "rsync"):
        (made.folder / "bin").mkdir(exist_ok=True)
        program = made.folder / "bin" / name
        more = f' -F "{made.config}"' if name == "ssh" else ""
        program.write_text(f'#!/bin/sh\nexec {shutil.which(name)}{more} "$@"\n')
        program.chmod(0o755)
    yield made
    process.terminate()
    process.wait(10)


@pytest.fixture
def theirs(tower: Tower) -> Iterator[Path]:
    """The repo's folder there, as `inv seed-models` leaves it."""
    folder = tower.home / "hub" / f"models--{REPO.replace('/', '--')}"
    source = tower.folder / "source"
    source.mkdir()
    weights(source / "model.safetensors", SIZE)
    link(folder, "model.safetensors", (source / "model.safetensors").read_bytes())
    link(folder, "config.json", str(CONFIG).replace("'", '"').encode())
    seal(folder)
    yield folder
    shutil.rmtree(source)
    shutil.rmtree(tower.home)


@dataclass
class Here:
    """This machine, with nothing fetched yet."""

    checkout: Checkout
    models: Path

    @property
    def repo(self) -> Path:
        return self.models / "hub" / f"models--{REPO.replace('/', '--')}"

    def words(self, address: str, *more: str) -> tuple[str, ...]:
        return (
            "seed-models", "--gpu", self.checkout.backend, "--model", REPO, f"--from={address}",
            *more,
        )  # fmt: skip

    def seed(self, address: str, *more: str) -> "subprocess.CompletedProcess[str]":
        return self.checkout.inv(*self.words(address, *more), limit=60)

    def whole(self, theirs: Path) -> bool:
        names = ("model.safetensors", "config.json")
        ours, other = (one / "snapshots" / COMMIT for one in (self.repo, theirs))
        return all((ours / name).read_bytes() == (other / name).read_bytes() for name in names)

    def sealed(self) -> bool:
        return (self.repo / ".seeded" / f"{COMMIT}.json").exists()

    def visible(self) -> bool:
        return any((self.repo / name).exists() for name in ("snapshots", "refs"))


@pytest.fixture
def here(copied: Checkout, tower: Tower, tmp_path: Path) -> Here:
    made = Here(copied, tmp_path / "models")
    copied.env = {
        "LIFECYCLE_HOME": str(tmp_path / "home"),
        "PATH": f"{tower.folder}/bin:{os.environ['PATH']}", "MODELS_DIR": str(made.models),
        "HF_HOME": str(tmp_path / "nobodys"), "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_TOKEN": GOOD, "COLUMNS": "400",
    }  # fmt: skip
    return made


def test_it_is_copied_verified_and_complete(here: Here, tower: Tower, theirs: Path) -> None:
    done = here.seed(f"tower:{tower.home}")
    assert done.returncode == 0, done.stderr
    assert here.whole(theirs)
    assert here.sealed()
    assert (here.repo / "refs" / "main").read_text() == COMMIT
    assert "2 files, 62.9 MB, all verified; 62.9 MB came in" in done.stderr
    assert not (here.repo / ".coming").exists()
    assert not holding(GOOD, here.checkout.root)
    assert not holding(GOOD, here.models.parent)
    again = here.seed(f"tower:{tower.home}")
    assert "is here already" in again.stderr


@pytest.mark.parametrize("before", [(), ("--dry",)])
def test_a_dry_run_shows_the_command_and_changes_nothing(
    here: Here, tower: Tower, theirs: Path, before: tuple[str, ...]
) -> None:
    more = () if before else ("--dry-run",)
    done = here.checkout.inv(*before, *here.words(f"tower:{tower.home}", *more))
    assert done.returncode == 0, done.stderr
    assert "62.9 MB are still to come" in done.stdout
    assert "with: rsync " in done.stdout
    assert f"tower:{theirs}/blobs/" in done.stdout
    assert not here.models.exists()


def test_after_kill_9_it_goes_on(here: Here, tower: Tower, theirs: Path) -> None:
    slow = tower.folder / "bin" / "rsync"
    quick = slow.read_text()
    slow.write_text(quick.replace('"$@"', '--bwlimit=20m "$@"'))
    try:
        process = here.checkout.begin(*here.words(f"tower:{tower.home}"))
        deadline = time.monotonic() + 30
        while coming(here) < SIZE // 3:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    finally:
        slow.write_text(quick)
    kept = coming(here)
    assert kept >= SIZE // 3
    assert not here.visible()
    up = here.checkout.inv("up", "--gpu", here.checkout.backend, "--model", REPO, "--dry")
    assert f"of 62.9 MB of {REPO} were fetched so far" in up.stderr

    done = here.seed(f"tower:{tower.home}")
    assert done.returncode == 0, done.stderr
    assert here.whole(theirs)
    (came,) = [line for line in done.stderr.splitlines() if " came in " in line]
    assert float(came.split("; ")[1].split()[0]) * 1e6 <= 62.95e6 - kept


def coming(here: Here) -> int:
    return sum(one.stat().st_size for one in (here.repo / ".coming").glob("[0-9a-f]*"))


def test_what_is_wrong_there_is_set_aside_and_named(here: Here, tower: Tower, theirs: Path) -> None:
    blob = (theirs / "snapshots" / COMMIT / "model.safetensors").resolve()
    content = bytearray(blob.read_bytes())
    content[SIZE // 2] ^= 1
    blob.write_bytes(content)
    done = here.seed(f"tower:{tower.home}")
    assert done.returncode == ModelUnavailable.exit_code
    assert "1 of 2 files failed verification: model.safetensors" in done.stderr
    assert [one.name for one in here.repo.glob("blobs/*.corrupt")] == [f"{blob.name}.corrupt"]
    assert not here.visible()
    content[SIZE // 2] ^= 1
    blob.write_bytes(content)
    assert here.seed(f"tower:{tower.home}").returncode == 0
    assert here.whole(theirs)


def test_of_another_programs_cache_nobody_knows_whether_it_is_all(
    here: Here, tower: Tower, theirs: Path
) -> None:
    """It is served, and `inv seed-models` may still ask the hub."""
    shutil.rmtree(theirs / ".seeded")
    done = here.seed(f"tower:{tower.home}/hub")
    assert done.returncode == 0, done.stderr
    assert here.whole(theirs)
    assert not here.sealed()


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("tower", ModelUnavailable.exit_code, f"{REPO} is not on tower"),
        ("stranger", HostNotReady.exit_code, "stranger does not let us in"),
        ("unknown", HostNotReady.exit_code, "the key of unknown is not known"),
        ("asleep", HostNotReady.exit_code, "asleep cannot be reached"),
        ("me@no.such.machine.invalid", HostNotReady.exit_code, "no machine is called me@no.such"),
        ("-oProxyCommand=touch x", ConfigError.exit_code, "is no address"),
    ],
)
def test_each_reason_is_told_apart(here: Here, address: str, code: int, said: str) -> None:
    done = here.seed(address)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "\n→ " in done.stderr
    assert not here.models.exists()


def test_sshs_questions_reach_the_person(here: Here, tower: Tower, theirs: Path) -> None:
    """The machine's key is new, and the person's own has a passphrase."""
    locked = tower.folder / "locked"
    shutil.copy(tower.folder / "key", locked)
    words = ("ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(locked))
    subprocess.run(words, check=True)
    tower.name(
        "asking", f"IdentityFile {locked}", "IdentitiesOnly yes", "StrictHostKeyChecking ask",
        "HostKeyAlias asking",
    )  # fmt: skip
    command = here.checkout.command(*here.words(f"asking:{tower.home}"))
    terminal = subprocess.Popen(
        ("script", "-qec", shlex.join(command), "/dev/null"), cwd=here.checkout.root,
        env=here.checkout.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    answer(terminal, b"continue connecting", b"yes\n")
    answer(terminal, b"passphrase for key", b"open sesame\n")
    out, _ = terminal.communicate(timeout=60)
    assert terminal.returncode == 0, out
    assert here.whole(theirs)


def answer(terminal: "subprocess.Popen[bytes]", question: bytes, text: bytes) -> None:
    """Wait for a question, then type."""
    assert terminal.stdin
    assert terminal.stdout
    seen = b""
    while question not in seen:
        piece = os.read(terminal.stdout.fileno(), 4096)
        assert piece, seen
        seen += piece
    terminal.stdin.write(text)
    terminal.stdin.flush()


def test_without_rsync_it_says_what_to_install(here: Here, tower: Tower, tmp_path: Path) -> None:
    only = tmp_path / "bin"
    only.mkdir()
    (only / "ssh").symlink_to(tower.folder / "bin" / "ssh")
    here.checkout.env["PATH"] = str(only)
    done = here.seed("tower")
    assert done.returncode == HostNotReady.exit_code
    assert "sudo apt install rsync" in done.stderr
