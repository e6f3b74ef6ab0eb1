"""A server as the facts tell it: known, unknown, and somebody else's."""

from pathlib import Path

import pytest

from lifecycle import engine
from lifecycle.errors import ServerUnhealthy
from lifecycle.facts import server
from lifecycle.host import Launch, Server
from lifecycle.runtimes import compose, launch, traces, venv
from tests.unit.given import KEY, Checkout, backend

FOREIGN = Launch("venv", {"SERVED_NAME": "m", "VLLM_API_KEY": "sha256:another"}, "/home/me/other")


def silent(*_: object) -> None:
    raise engine.EngineSilent(OSError("nobody listens"))


def seen(monkeypatch: pytest.MonkeyPatch, found: traces.Traces, now: Server) -> None:
    monkeypatch.setattr(traces, "look", lambda *_: found)
    monkeypatch.setattr(venv, "status", lambda *_: now)


def test_without_docker_what_was_never_started_is_stopped(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose, "containers", silent)
    found = server.look(backend(RUNTIME="docker"), checkout.paths)
    assert (found.phase, found.detail) == ("stopped", "")


def test_what_was_started_in_docker_is_unknown_while_the_engine_is_silent(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose, "containers", silent)
    file = checkout.paths.run("cpu") / launch.FILE
    file.parent.mkdir(parents=True)
    file.write_text(launch.text(Launch("docker", {"PORT": "8000"})))
    found = server.look(backend(), checkout.paths)
    assert (found.phase, found.launch.runtime) == ("unknown", "docker")
    assert "nobody listens" in found.detail


def test_another_checkouts_server_is_ready_although_it_refuses_our_key(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ServerUnhealthy("the server at http://x refuses our key", why="it is not ours")
    now = Server("unanswering", FOREIGN, detail=f"{refused.what}: {refused.why}")
    seen(monkeypatch, traces.Traces("venv", FOREIGN), now)
    found = server.look(backend(VLLM_API_KEY=KEY), checkout.paths)
    assert (found.phase, found.models, found.detail) == ("ready", ("m",), "")
    assert (found.owner, found.owner_gone) == ("/home/me/other", True)


def test_a_stopped_server_has_no_owner(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, traces.Traces("", FOREIGN), Server(launch=FOREIGN))
    assert server.look(backend(), checkout.paths).owner == ""


@pytest.mark.parametrize(("made", "gone"), [(True, False), (False, True)])
def test_a_checkout_is_gone_without_its_tasks(tmp_path: Path, *, made: bool, gone: bool) -> None:
    if made:
        (tmp_path / "tasks.py").touch()
    assert traces.gone(str(tmp_path)) == gone
