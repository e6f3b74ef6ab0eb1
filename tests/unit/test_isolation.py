"""The fixtures that keep unit tests from the machine do so."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest


def connect() -> None:
    with socket.socket() as one:
        one.connect(("127.0.0.1", 9))


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda: subprocess.run([sys.executable, "-V"], check=True),
        lambda: os.system("true"),
        lambda: os.fork(),  # noqa: PLW0108 - looked up when called: the fixture replaces it
        connect,
    ],
    ids=["subprocess", "system", "fork", "connect"],
)
def test_a_unit_test_cannot_reach_processes_or_sockets(forbidden: Callable[[], object]) -> None:
    with pytest.raises(pytest.fail.Exception, match="tests/integration"):
        forbidden()
