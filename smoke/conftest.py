"""One server for the whole run, checked once before the first test."""

import os
from collections.abc import Iterator

import pytest
from openai import OpenAI

from smoke.server import Server
from smoke.target import NoTargetError, Target, check_alive, read_target

TARGET = pytest.StashKey[Target]()


def pytest_configure(config: pytest.Config) -> None:
    """End here, with one message, where there is nothing to test."""
    if config.option.collectonly:
        return
    # The server is asked directly: a proxy of the environment must see neither key nor text.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"
    try:
        config.stash[TARGET] = read_target(os.environ)
        check_alive(config.stash[TARGET])
    except NoTargetError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.fixture(scope="session")
def target(pytestconfig: pytest.Config) -> Target:
    return pytestconfig.stash[TARGET]


@pytest.fixture(scope="session")
def server(target: Target) -> Iterator[Server]:
    # A retry would hide the failure that the test is about.
    with OpenAI(
        base_url=f"{target.url}/v1",
        api_key=target.api_key,
        timeout=target.timeout,
        max_retries=0,
    ) as client:
        yield Server(target, client)
