"""What integration tests share: when Docker must be there, and a checkout of their own."""

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import prepared
from tests.integration.checkout import Checkout, free_port

REQUIRED = "REQUIRE_DOCKER"
DOWN_SECONDS = 60
"""For a server to go after Ctrl-C; xdist would kill its workers, and leave theirs, after 10."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Let workers take down what they started; a lack is told once, before they begin."""
    _refuse_without_docker()
    config.pluginmanager.getplugin("dsession").nodemanager.EXIT_TIMEOUT = DOWN_SECONDS


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts a real vLLM. Without a Docker Engine: skip where a person runs the tests,
    fail where CI does.
    """
    for item in items:
        if isinstance(item, pytest.Function) and "engine" in item.fixturenames:
            item.add_marker("vllm")
    # The longest first: else one worker waits for the other in the end.
    items.sort(key=lambda item: not item.get_closest_marker("vllm"))
    wanting = [item for item in items if item.get_closest_marker("docker")]
    if not wanting or docker_answers():
        return
    _refuse_without_docker()
    for item in wanting:
        item.add_marker(pytest.mark.skip(reason="no Docker Engine answers (docker info failed)"))


def _refuse_without_docker() -> None:
    if os.environ.get(REQUIRED) and not docker_answers():
        pytest.exit(f"no Docker Engine answers, and {REQUIRED} is set", returncode=1)


@functools.cache
def docker_answers() -> bool:
    """Whether this user reaches an engine."""
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's environment of vLLM for the processor; the small model is there, too."""
    return prepared.engine(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="session")
def image(engine: Path) -> str:
    """The local image made of it."""
    return prepared.image(engine)


@pytest.fixture(scope="module")
def checkout(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A copy of this checkout with a backend of its own; its server is gone afterwards.

    Engine and model are those of the user: what is under test is never their server, which goes
    by another name.
    """
    assert engine
    name = f"itest-{os.getpid()}"
    made = Checkout.copy(tmp_path_factory.mktemp("checkout"), name, free_port())
    yield made
    made.inv("down", "--gpu", name, limit=60)
    shutil.rmtree(prepared.places().run(name), ignore_errors=True)


@pytest.fixture
def double_checkout(tmp_path: Path) -> Checkout:
    """A copy for tests that start no real server; everything it makes goes to a folder."""
    made = Checkout.copy(tmp_path / "checkout", "dtest", free_port())
    made.env["LIFECYCLE_HOME"] = str(tmp_path / "home")
    return made
