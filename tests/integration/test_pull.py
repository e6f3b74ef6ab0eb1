"""Pulling from a real registry: progress, breaks in the middle, and every way to be refused."""

import gc
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Self

import docker
import pytest

from lifecycle import engine
from lifecycle.errors import HostNotReady
from lifecycle.layers import Pull
from tests.integration.checkout import INTERRUPTED, Checkout, interrupt
from tests.integration.registry import MANIFEST, Answer, Asked, Gate, Image, Registry, gate, program

pytestmark = pytest.mark.docker

AT_ONCE = (0.01, 0.01)
"""Two more attempts, without a pause."""
NUMBERS = count()
KB = 1000


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    command = program()
    if not command:
        why = "the program docker-registry is missing: apt-get install docker-registry"
        pytest.fail(why) if os.environ.get("REQUIRE_DOCKER") else pytest.skip(why)
    made = Registry(tmp_path_factory.mktemp("registry"), command)
    yield made
    made.kill()


@pytest.fixture
def before(registry: Registry) -> Iterator[Gate]:
    """An open gate before a running registry; what was pulled through it is removed."""
    registry.kill()
    registry.start()
    with gate(registry) as made:
        yield made
        for name in images(made.host):
            subprocess.run(
                ["docker", "image", "rm", "--force", name], capture_output=True, check=False
            )


def images(host: str) -> list[str]:
    client = docker.from_env()
    with_digests = client.api.images()
    client.close()
    kinds = ("RepoTags", "RepoDigests")
    names = (name for one in with_digests for kind in kinds for name in one.get(kind) or ())
    return [name for name in names if name.startswith(f"{host}/")]


class Pushed:
    """An image nobody has pulled yet: Docker remembers layers and manifests."""

    def __init__(self, before: Gate, *sizes: int) -> None:
        self.name = f"test/{os.getpid()}-{next(NUMBERS)}"
        self.image: Image = before.registry.push(self.name, "1", *sizes)
        self.tagged = f"{before.host}/{self.name}:1"
        self.pinned = f"{self.tagged}@{self.image.digest}"


class Seen:
    """What a pull told on its way."""

    def __init__(self) -> None:
        self.states: set[str] = set()
        self.notes: list[str] = []
        self.done: list[int] = []
        self.last = Pull("")

    def __call__(self, pull: Pull) -> None:
        self.last = pull
        self.states |= {layer.state for layer in pull.layers.values()}
        self.done.append(pull.done)
        if pull.note:
            self.notes.append(pull.note)


def refused(reference: str, seen: Callable[[Pull], None] | None = None) -> HostNotReady:
    with pytest.raises(HostNotReady) as caught:
        engine.pull(reference, seen or Seen(), AT_ONCE)
    return caught.value


def test_the_numbers_are_those_of_the_registry(before: Gate) -> None:
    # The first layer is there before the others: Docker tells sizes one by one.
    pushed, seen = Pushed(before, 400 * KB, 900 * KB, 1200 * KB), Seen()
    before.rate = 1000 * KB
    engine.pull(pushed.tagged, seen)
    layers = {digest.removeprefix("sha256:")[:12]: size for digest, size in pushed.image.layers}
    assert {name: layer.total for name, layer in seen.last.layers.items()} == layers
    assert (seen.last.done, seen.last.total) == (pushed.image.size, pushed.image.size)
    assert seen.last.here == 3
    assert seen.done == sorted(seen.done)
    assert len(set(seen.done)) > 5
    assert {"fetching", "unpacking", "here"} <= seen.states
    assert seen.last.digest == pushed.image.digest


def test_by_digest_too(before: Gate) -> None:
    pushed = Pushed(before, KB)
    engine.pull(pushed.pinned, Seen())
    assert images(before.host) == [f"{before.host}/{pushed.name}@{pushed.image.digest}"]


def test_a_tag_that_was_pulled_can_be_pinned(before: Gate) -> None:
    pushed = Pushed(before, KB)
    engine.pull(pushed.tagged, Seen())
    assert engine.digests(pushed.tagged) == [f"{before.host}/{pushed.name}@{pushed.image.digest}"]


def test_layers_of_another_image_are_not_fetched_again(before: Gate) -> None:
    pushed = Pushed(before, 500 * KB)
    engine.pull(pushed.tagged, Seen())
    before.registry.tag(pushed.name, "1", "2")
    seen = Seen()
    engine.pull(pushed.tagged.removesuffix("1") + "2", seen)
    assert before.fetched(pushed.image.layers[0][0]) == 1
    assert seen.last.digest == pushed.image.digest


def test_a_registry_killed_in_the_middle_is_taken_up_in_the_middle(before: Gate) -> None:
    pushed, seen = Pushed(before, 300 * KB, 12_000 * KB), Seen()
    before.rate = 4000 * KB
    killed = threading.Event()

    def watch(pull: Pull) -> None:
        seen(pull)
        if pull.done > 3000 * KB and not killed.is_set():
            killed.set()
            before.down = True
            before.registry.kill()
            threading.Timer(1, revive).start()

    def revive() -> None:
        before.registry.start()
        before.down = False

    engine.pull(pushed.tagged, watch, ())
    small, large = (digest for digest, _ in pushed.image.layers)
    assert killed.is_set()
    assert "fetching again" in seen.states
    assert before.fetched(small) == 1
    assert before.fetched(large) == 2
    again = [one for one in before.asked if one.range]
    assert [one.path.endswith(large) for one in again] == [True]
    assert int(again[0].range.removeprefix("bytes=").rstrip("-").partition("-")[0]) > 2000 * KB
    assert seen.last.done == pushed.image.size


def test_a_registry_that_is_down_for_a_while_is_asked_again(before: Gate) -> None:
    pushed, seen = Pushed(before, KB), Seen()
    before.registry.kill()
    threading.Timer(0.3, before.registry.start).start()
    engine.pull(pushed.tagged, seen, (1, 3))
    assert "connection to the registry fails or breaks off: again in 1 s" in seen.notes[0]
    assert seen.last.digest == pushed.image.digest


def test_a_registry_that_stays_down_is_told(before: Gate) -> None:
    pushed, seen = Pushed(before, KB), Seen()
    before.registry.kill()
    told = refused(pushed.tagged, seen)
    assert "the connection to the registry fails" in told.what
    assert "online" in told.fix
    assert len(seen.notes) == len(AT_ONCE)


AUTH, LIMIT = "authentication required", "You have reached your pull rate limit"
ERRORS = {
    Answer.error(401, "UNAUTHORIZED", AUTH): ("it is private", "docker login", 1),
    Answer.error(403, "DENIED", "access to the resource is denied"): ("private", "docker login", 1),
    Answer.error(429, "TOOMANYREQUESTS", LIMIT, Retry_After="1"): ("fetch more", "docker login", 1),
    Answer.error(429, "TOOMANYREQUESTS", "Rate exceeded"): ("be slower", "Wait", 3),
    Answer.error(503, "UNAVAILABLE", "busy"): ("out of order", "Wait", 3),
}


@pytest.mark.parametrize("answer", ERRORS, ids=lambda one: str(one.status))
def test_a_refusal_is_told_apart_and_asked_again_only_where_that_helps(
    before: Gate, answer: Answer
) -> None:
    what, fix, attempts = ERRORS[answer]
    pushed, seen = Pushed(before, KB), Seen()
    before.rules = [lambda _: answer]
    told = refused(pushed.tagged, seen)
    assert what in told.what
    assert fix in told.fix
    assert len(seen.notes) + 1 == attempts


def test_a_registry_that_asks_for_patience_gets_it(before: Gate) -> None:
    pushed, seen = Pushed(before, KB), Seen()
    busy = Answer.error(429, "TOOMANYREQUESTS", "Rate exceeded", Retry_After="1")
    begun = time.monotonic()
    before.rules = [lambda _: busy if time.monotonic() - begun < 1 else None]
    engine.pull(pushed.tagged, seen, (0.5, 1))
    assert seen.last.digest == pushed.image.digest
    assert seen.notes[0].startswith("the registry asks us to be slower: again in 0.5 s")


def test_a_password_is_asked_for(before: Gate) -> None:
    pushed = Pushed(before, KB)
    basic = Answer.error(401, "UNAUTHORIZED", "", WWW_Authenticate='Basic realm="private"')
    before.rules = [lambda _: basic]
    told = refused(pushed.tagged)
    assert "no basic auth credentials" in told.why
    assert "docker login" in told.fix


def test_a_tag_that_is_not_there(before: Gate) -> None:
    pushed, seen = Pushed(before, KB), Seen()
    told = refused(f"{before.host}/{pushed.name}:nope", seen)
    assert "no such image, tag or digest" in told.what
    assert (seen.notes, "IMAGE=" in told.fix) == ([], True)


def test_a_digest_that_is_not_there(before: Gate) -> None:
    pushed = Pushed(before, KB)
    told = refused(f"{before.host}/{pushed.name}@sha256:{'0' * 64}")
    assert "no such image, tag or digest" in told.what


def test_another_image_under_the_wanted_digest(before: Gate) -> None:
    wanted, other = Pushed(before, KB), Pushed(before, 2 * KB)
    body = before.registry.manifest(other.name, "1")
    sent = Answer(200, body, (("Content-Type", MANIFEST),))
    before.rules = [lambda asked: sent if asked.path.endswith(wanted.image.digest) else None]
    told = refused(wanted.pinned)
    assert "not what was asked for" in told.what
    assert images(before.host) == []


def test_other_bytes_in_a_layer(before: Gate) -> None:
    pushed = Pushed(before, KB, 2 * KB)
    digest, size = pushed.image.layers[1]

    def changed(asked: Asked) -> Answer | None:
        return Answer(200, bytes(size)) if asked.path.endswith(digest) else None

    before.rules = [changed]
    told = refused(pushed.tagged)
    assert "not what was asked for" in told.what
    assert digest in told.why
    assert images(before.host) == []


def test_a_name_that_is_none() -> None:
    assert "not how an image is named" in refused("Upper/Case:1").what


def test_a_registry_that_cannot_be_found() -> None:
    # RFC 6761: a name under .invalid is in no DNS.
    assert "cannot be looked up" in refused("registry.invalid/some:1").what


# The library drops its client, unclosed, when it cannot even learn the engine's version.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'nobody.sock'}")
    assert "inv doctor" in refused("127.0.0.1:1/some:1").fix
    gc.collect()


def test_an_engine_that_goes_in_the_middle(
    before: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = Pushed(before, 3000 * KB)
    before.rate = 1000 * KB
    with Cut(tmp_path / "engine.sock") as way:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{way.path}")
        told = refused(pushed.tagged, lambda pull: way.cut() if pull.done else None)
    assert "lost the connection to the Docker Engine" in told.what
    assert "inv setup.docker" in told.fix


def test_an_engine_that_falls_silent(before: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed = Pushed(before, KB)
    monkeypatch.setattr(engine, "SILENCE", 1)
    held = threading.Event()

    def hold(asked: Asked) -> Answer | None:
        if asked.path.endswith(pushed.image.layers[0][0]):
            held.wait(10)
        return None

    before.rules = [hold]
    with pytest.raises(HostNotReady, match="connection to the registry") as caught:
        engine.pull(pushed.tagged, Seen(), ())
    held.set()
    assert "told nothing for 1 s" in caught.value.why


class Cut:
    """A way to the engine that can be cut, as if the engine had died."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listener.bind(str(self.path))
        self._listener.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def cut(self) -> None:
        """Close all, and let nobody in again."""
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect("/var/run/docker.sock")
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)


def pulling(checkout: Checkout, pushed: Pushed, *words: str) -> list[str]:
    return [*words, "pull", "--gpu", checkout.backend, "--image", pushed.tagged]


def test_inv_pull_fetches_tells_and_pins(before: Gate, double_checkout: Checkout) -> None:
    pushed = Pushed(before, 300 * KB)
    done = double_checkout.inv(*pulling(double_checkout, pushed))
    assert done.returncode == 0, done.stderr
    assert f"the image {pushed.tagged} is here" in done.stderr
    assert pushed.image.digest in done.stdout
    assert f"IMAGE={before.host}/{pushed.name}@{pushed.image.digest}" in done.stderr


def test_inv_pull_of_what_is_here_asks_nobody(before: Gate, double_checkout: Checkout) -> None:
    pushed = Pushed(before, KB)
    engine.pull(pushed.tagged, Seen())
    asked = len(before.asked)
    done = double_checkout.inv(*pulling(double_checkout, pushed))
    assert (done.returncode, "is here already" in done.stderr) == (0, True)
    assert len(before.asked) == asked


def test_a_dry_inv_pull_fetches_nothing(before: Gate, double_checkout: Checkout) -> None:
    pushed = Pushed(before, KB)
    done = double_checkout.inv(*pulling(double_checkout, pushed, "--dry"))
    assert done.returncode == 0, done.stderr
    assert f"docker pull {pushed.tagged}" in done.stdout
    assert before.asked == []


def test_inv_pull_of_no_such_tag_exits_3(before: Gate, double_checkout: Checkout) -> None:
    pushed = Pushed(before, KB)
    pushed.tagged += "-nope"
    done = double_checkout.inv(*pulling(double_checkout, pushed))
    assert done.returncode == HostNotReady.exit_code
    assert "no such image, tag or digest" in done.stderr


def test_ctrl_c_ends_it_and_the_same_command_goes_on(
    before: Gate, double_checkout: Checkout
) -> None:
    pushed = Pushed(before, 8000 * KB)
    before.rate = 1000 * KB
    process = double_checkout.begin(*pulling(double_checkout, pushed))
    large = pushed.image.layers[0][0]
    deadline = time.monotonic() + 20
    while not before.fetched(large) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    said = interrupt(process)
    assert process.returncode in INTERRUPTED, said
    assert "Interrupted" in said
    assert "may have to come again" in said
    before.rate = 0
    done = double_checkout.inv(*pulling(double_checkout, pushed))
    assert done.returncode == 0, done.stderr
    assert images(before.host)


def test_a_log_gets_a_line_now_and_then(before: Gate, double_checkout: Checkout) -> None:
    pushed = Pushed(before, 9000 * KB)
    before.rate = 1000 * KB
    process = double_checkout.begin(*pulling(double_checkout, pushed))
    with suppress(subprocess.TimeoutExpired):
        said, _ = process.communicate(timeout=60)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, said
    assert " of 9.0 MB, " in said
    assert "MB/s, " in said


def row(reference: str, digest: str = "unknown") -> str:
    """One image in the words of `data/images.toml`."""
    return (
        f'[[image]]\ngpu = "cpu"\nreference = "{reference}"\nvllm = "0.31.0"\ndigest = "{digest}"\n'
        'entrypoint = "vllm-serve"\ndisk_gib = 0.1\nseen = "here"\n'
    )


def test_an_image_that_the_registry_does_not_have_gives_way_to_the_next(
    before: Gate, double_checkout: Checkout
) -> None:
    pushed = Pushed(before, KB)
    absent, gone = f"{before.host}/{pushed.name}:nope", f"{before.host}/test/never-pushed:1"
    rows = [
        row(absent),
        row(gone, f"sha256:{'0' * 64}"),
        row("vllm-cpu-local:0.0.1", "local"),
        row(pushed.tagged, pushed.image.digest),
    ]
    (double_checkout.root / "lifecycle/data/images.toml").write_text("\n".join(rows))
    done = double_checkout.inv("pull", "--gpu", double_checkout.backend)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert f"cannot pull {absent}: the registry has no such image" in said
    assert f"going on with {gone}" in said
    assert f"going on with {pushed.tagged}" in said
    assert "cpu-local" not in said
    assert images(before.host) == [f"{before.host}/{pushed.name}@{pushed.image.digest}"]
    # It is the backend's image from now on, and nobody is asked again.
    asked = len(before.asked)
    done = double_checkout.inv("pull", "--gpu", double_checkout.backend)
    assert f"{pushed.pinned} is here already" in " ".join(done.stderr.split()), done.stderr
    assert len(before.asked) == asked


def test_where_no_registry_has_any_of_them_the_last_one_is_told(
    before: Gate, double_checkout: Checkout
) -> None:
    pushed = Pushed(before, KB)
    names = [f"{before.host}/{pushed.name}:{tag}" for tag in ("nope", "neither")]
    rows = [row(name) for name in names]
    (double_checkout.root / "lifecycle/data/images.toml").write_text("\n".join(rows))
    done = double_checkout.inv("pull", "--gpu", double_checkout.backend)
    assert done.returncode == HostNotReady.exit_code
    said = " ".join(done.stderr.split())
    assert all(f"cannot pull {name}" in said for name in names)
    assert "IMAGE=" in said


def test_a_registry_that_refuses_is_no_reason_for_a_different_image(
    before: Gate, double_checkout: Checkout
) -> None:
    pushed = Pushed(before, KB)
    denied = f"{before.host}/{pushed.name}:private"
    before.rules = [
        lambda asked: (
            Answer.error(403, "DENIED", "access to the resource is denied")
            if asked.path.endswith("/private")
            else None
        )
    ]
    rows = [row(denied), row(pushed.tagged)]
    (double_checkout.root / "lifecycle/data/images.toml").write_text("\n".join(rows))
    done = double_checkout.inv("pull", "--gpu", double_checkout.backend)
    assert done.returncode == HostNotReady.exit_code
    assert "docker login" in done.stderr
    assert images(before.host) == []
