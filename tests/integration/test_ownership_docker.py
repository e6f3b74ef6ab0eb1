"""Containers know whose they are: two homes on one engine, lost notes, an engine that is silent."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lifecycle.errors import HostNotReady
from tests.integration import stand_in_engine
from tests.integration.checkout import ROOT, Checkout
from tests.integration.test_ownership import DRAIN, SLOW, TOKENS, Stream, down, run_of, second

pytestmark = pytest.mark.docker

IMAGE = f"vllm-double:v0.32.0-{os.getpid()}"
BACKEND = f"dock-{os.getpid()}"
ENTRY = json.dumps(["python3", "-m", "tests.fake_vllm", *SLOW, "--model"])


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def details() -> list[dict[str, Any]]:
    """All containers of the tests."""
    label = f"label=vllm-lifecycle.backend={BACKEND}"
    names = docker("ps", "--all", "--quiet", "--filter", label).split()
    found = json.loads(docker("inspect", *names)) if names else []
    assert isinstance(found, list)
    return found


def containers() -> set[str]:
    return {str(one["Name"]).lstrip("/") for one in details()}


@pytest.fixture(scope="module")
def double(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image with the double in the place of vLLM."""
    folder = tmp_path_factory.mktemp("double")
    sources = ROOT / "tests"
    made = docker("create", image)
    try:
        (folder / "tests").mkdir()
        (folder / "tests" / "__init__.py").touch()
        docker("cp", str(folder), f"{made}:/opt/double")
        docker("cp", str(sources / "fake_vllm"), f"{made}:/opt/double/tests/fake_vllm")
        changes = (f"ENTRYPOINT {ENTRY}", "ENV PYTHONPATH=/opt/double")
        docker("commit", *(f"--change={one}" for one in changes), made, IMAGE)
        yield IMAGE
    finally:
        docker("rm", "--force", made)
        docker("image", "rm", "--force", IMAGE)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("engine")
    stand_in_engine.install(home)
    return home / "engines"


def clone(tmp_path: Path, name: str, engines: Path) -> Checkout:
    """A checkout with a home and a port of its own."""
    home = tmp_path / f"home-{name}"
    home.mkdir()
    (home / "engines").symlink_to(engines)
    made = stand_in_engine.checkout(tmp_path / name, home, BACKEND)
    made.env["DRAIN_SECONDS"] = DRAIN
    text = made.env_file.read_text()
    own = f"RUNTIME=docker\nIMAGE={IMAGE}"
    made.env_file.write_text(text.replace("RUNTIME=venv", own))
    return made


@pytest.fixture
def server(tmp_path: Path, engines: Path, double: str) -> Iterator[Checkout]:
    assert double
    made = clone(tmp_path, "one", engines)
    done = made.up()
    assert done.returncode == 0, done.stderr
    yield made
    for name in containers():
        docker("rm", "--force", name)
    # An engine has addresses for some thirty networks.
    for network in docker("network", "ls", "--quiet", f"--filter=name=vllm-{BACKEND}-").split():
        docker("network", "rm", network)


def test_two_homes_have_two_containers_and_each_stops_its_own(
    server: Checkout, tmp_path: Path, engines: Path
) -> None:
    (first,) = containers()
    other = clone(tmp_path, "two", engines)
    assert other.up().returncode == 0
    assert len(containers()) == 2
    assert [server.status()["phase"], other.status()["phase"]] == ["ready", "ready"]
    assert "stopped:" in down(other).stderr
    assert containers() == {first}
    assert server.status()["phase"] == "ready"


def test_a_container_says_whose_it_is_and_holds_no_key(server: Checkout) -> None:
    (found,) = details()
    labels = found["Config"]["Labels"]
    assert labels["vllm-lifecycle.checkout"] == str(server.root)
    assert labels["vllm-lifecycle.home"] == server.env["LIFECYCLE_HOME"]
    assert json.loads(labels["vllm-lifecycle.launch"])["settings"]["PORT"] == str(server.port)
    assert server.key not in json.dumps(labels)


def test_another_checkout_of_the_home_leaves_the_container_alone(
    server: Checkout, tmp_path: Path
) -> None:
    other, before = second(server, tmp_path), containers()
    assert other.status()["owner"] == str(server.root)
    assert other.up().returncode == HostNotReady.exit_code
    assert "left:" in down(other).stderr
    assert containers() == before


def test_lost_notes_hide_no_container(server: Checkout) -> None:
    for file in run_of(server).iterdir():
        file.unlink()
    before = containers()
    assert server.status()["phase"] == "ready"
    done = server.up()
    # What was known of its answers is lost, too: they are asked for anew, and nothing is started.
    assert (done.returncode, "  start  " in done.stderr) == (0, False), done.stderr
    assert containers() == before
    assert "stopped:" in down(server).stderr
    assert containers() == set()


def test_while_the_engine_is_silent_nothing_is_forgotten(server: Checkout, tmp_path: Path) -> None:
    before = containers()
    server.env["DOCKER_HOST"] = f"unix://{tmp_path}/no.sock"
    assert server.status()["phase"] == "unknown"
    assert down(server).returncode == HostNotReady.exit_code
    assert server.inv("up", "--gpu", BACKEND, "--runtime", "venv").returncode == 3
    del server.env["DOCKER_HOST"]
    assert server.status()["phase"] == "ready"
    assert containers() == before
    assert down(server).returncode == 0
    assert containers() == set()


@pytest.mark.parametrize("way", ["inv down", "docker stop"])
def test_an_answer_in_flight_is_finished(server: Checkout, way: str) -> None:
    stream = Stream(server)
    if way == "inv down":
        assert "waiting for 1 request in flight" in down(server).stderr
    else:
        docker("stop", *containers())
    stream.join(60)
    assert (stream.whole, stream.tokens >= TOKENS) == (True, True)


def test_a_container_of_an_earlier_version_is_stopped_by_its_owner_alone(
    server: Checkout, tmp_path: Path, engines: Path
) -> None:
    assert down(server).returncode == 0
    cache = Path(server.env["LIFECYCLE_HOME"]) / "cache"
    cache.mkdir(exist_ok=True)
    project = f"com.docker.compose.project=vllm-{BACKEND}"
    old = docker(
        "run", "--detach", "--label", project, "--label", "com.docker.compose.service=vllm",
        "--volume", f"{cache}:/cache", IMAGE, "x", "--host", "0.0.0.0",
    )  # fmt: skip
    try:
        other = clone(tmp_path, "two", engines)
        assert other.status()["phase"] == "stopped"
        assert "nothing of this checkout" in down(other).stderr
        assert server.status()["phase"] != "stopped"
        assert f"\nstopped: {BACKEND}" in f"\n{down(server).stderr}"
        assert old not in docker("ps", "--all", "--quiet", "--no-trunc")
    finally:
        subprocess.run(["docker", "rm", "--force", old], capture_output=True, check=False)
