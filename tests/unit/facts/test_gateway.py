from pathlib import Path

import pytest

from lifecycle import http, processes
from lifecycle.facts import gateway
from lifecycle.gateway import files, traefik
from lifecycle.paths import Paths
from lifecycle.runtimes import gateway as process
from lifecycle.shell import Shell
from lifecycle.step import WriteFile

LOG = """\
{"level":"error","message":"an older one"}
{"level":"error","error":"cannot parse","message":"Cannot start"}
{"level":"warn","message":"Health check failed."}
no JSON at all
[1]
"""


def test_the_last_error_is_told_and_a_warning_is_none() -> None:
    assert gateway.last_error(LOG) == "Cannot start cannot parse"
    assert gateway.last_error("") == ""


@pytest.fixture
def nginx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody listens on every port, and no page answers."""
    monkeypatch.setattr(processes, "listener", lambda _port: "nginx")
    monkeypatch.setattr(http, "status", lambda _url: 0)


@pytest.mark.usefixtures("nginx")
@pytest.mark.parametrize(
    ("state", "wanted", "taken"),
    [
        ("", 8080, {8080, 8081, 8082}),
        ("RUNNING", 8080, set()),
        ("RUNNING", 9090, {9090, 9091, 9092}),
        ("RUNNING", 8081, {8083}),
    ],
    ids=["stopped", "as wanted", "elsewhere", "one beside"],
)
def test_what_it_listens_on_itself_is_not_taken(
    state: str, wanted: int, taken: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(tmp_path, tmp_path, tmp_path)
    Shell().write(WriteFile(files.folder(paths) / files.FRONT, traefik.front(8080)))
    monkeypatch.setattr(process, "ask", lambda *_: process.Running("venv", "", state))
    found = gateway.look(paths, wanted, "venv")
    assert set(found.taken) == taken
    assert found.port == 8080
