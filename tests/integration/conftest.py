"""What integration tests share: when Docker must be there, and a checkout of their own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.checkout import Checkout, free_port

REQUIRED = "REQUIRE_DOCKER"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without an engine: skip where a person runs the tests, fail where CI does."""
    wanting = [item for item in items if item.get_closest_marker("docker")]
    if not wanting or docker_answers():
        return
    if os.environ.get(REQUIRED):
        pytest.exit(f"no Docker Engine answers, and {REQUIRED} is set", returncode=1)
    for item in wanting:
        item.add_marker(pytest.mark.skip(reason="no Docker Engine answers (docker info failed)"))


def docker_answers() -> bool:
    """Whether this user reaches an engine."""
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A copy of this checkout with a backend of its own; its server is gone afterwards.

    Engine and model are those of the user (made here if they are not there yet): what is under
    test is never their server, which goes by another name.
    """
    name = f"itest-{os.getpid()}"
    made = Checkout.copy(tmp_path_factory.mktemp("checkout"), name, free_port())
    yield made
    made.inv("down", "--gpu", name, limit=60)


@pytest.fixture
def double_checkout(tmp_path: Path) -> Checkout:
    """A copy for tests that start no real server; everything it makes goes to a folder."""
    made = Checkout.copy(tmp_path / "checkout", "dtest", free_port())
    made.env["LIFECYCLE_HOME"] = str(tmp_path / "home")
    return made
