"""Who holds a port: nobody, we, or somebody else."""

import pytest

from lifecycle import shell
from lifecycle.facts import network
from lifecycle.host import Server
from tests.unit.given import backend, running


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "listener", lambda port: f"nginx (pid {port})")


@pytest.mark.usefixtures("somebody")
@pytest.mark.parametrize(
    ("server", "owner"),
    [
        (running(backend()), ""),
        (running(backend(), phase="load"), ""),
        (running(backend(PORT="9000")), "nginx (pid 8000)"),
        (running(backend(), phase="stopped"), "nginx (pid 8000)"),
        (Server(), "nginx (pid 8000)"),
    ],
    ids=["ours", "ours, starting", "ours elsewhere", "ours, stopped", "none of ours"],
)
def test_a_port_counts_as_taken_unless_our_living_server_has_it(server: Server, owner: str) -> None:
    assert network.other_listener(backend(), server) == owner
