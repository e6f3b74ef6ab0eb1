"""What a tailnet gets of this machine, from what `tailscale serve status --json` prints."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle import clients, http, processes, recording
from lifecycle.clients import Client
from lifecycle.facts import serve
from lifecycle.host import Exposed, Launch, Mount, Probe, Serving
from lifecycle.machine import Here, Replay
from lifecycle.paths import Paths
from lifecycle.runtimes import launch
from lifecycle.shell import Output, Shell
from lifecycle.step import WriteFile

NAME = "box.tail1a2b3c.ts.net"
HERE = "/usr/bin/tailscale"
WEB = f"{NAME}:443"
# As tests of Tailscale's own (ipn/serve_test.go) and public recordings have it.
FULL: dict[str, Any] = {
    "TCP": {
        "443": {"HTTPS": True},
        "80": {"HTTP": True},
        "2222": {"TCPForward": "127.0.0.1:22"},
        "5432": {"TCPForward": "127.0.0.1:5432", "TerminateTLS": NAME},
    },
    "Web": {
        WEB: {
            "Handlers": {
                "/": {"Proxy": "http://127.0.0.1:3000"},
                "/docs": {"Path": "/srv/docs"},
                "/hi": {"Text": "hello"},
                "/old": {"Redirect": "https://example.org"},
            }
        },
        f"{NAME}:80": {"Handlers": {"/v1": {"Proxy": "http://127.0.0.1:8080/v1"}}},
    },
    "AllowFunnel": {WEB: True, f"{NAME}:80": False},
    "Services": {
        "svc:web": {
            "TCP": {"443": {"HTTPS": True}},
            "Web": {
                "web.tail1a2b3c.ts.net:443": {"Handlers": {"/": {"Proxy": "http://[::1]:8001"}}}
            },
        },
        "svc:tun": {"Tun": True},
        "svc:null": None,
    },
    "Foreground": {
        "session": {
            "TCP": {"9000": {"HTTPS": True}},
            "Web": {f"{NAME}:9000": {"Handlers": {"/": {"Proxy": "http://127.0.0.1:9"}}}},
        }
    },
}
GATEWAY = Exposed("linux", "", NAME, 443, "https", "/v1", "http://127.0.0.1:8080/v1")


def test_everything_served_is_listed() -> None:
    found = serve.parse(json.dumps(FULL))
    assert found == (
        Mount(NAME, 80, "http", "/v1", "http://127.0.0.1:8080/v1"),
        Mount(NAME, 443, "https", "/", "http://127.0.0.1:3000", public=True),
        Mount(NAME, 443, "https", "/docs", "/srv/docs", public=True),
        Mount(NAME, 443, "https", "/hi", "hello", public=True),
        Mount(NAME, 443, "https", "/old", "https://example.org", public=True),
        Mount("web.tail1a2b3c.ts.net", 443, "https", "/", "http://[::1]:8001", service="svc:web"),
        Mount("", 2222, "tcp", "", "127.0.0.1:22"),
        Mount("", 5432, "tls-terminated-tcp", "", "127.0.0.1:5432"),
        Mount(NAME, 9000, "https", "/", "http://127.0.0.1:9", foreground=True),
    )


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "null",
        '{"TCP": null, "Web": null, "AllowFunnel": null, "Foreground": null}',
        f'{{"Web": {{"{WEB}": null}}, "Foreground": {{"session": null}}}}',
        f'{{"Web": {{"{WEB}": {{"Handlers": {{"/": null}}}}}}}}',
        '{"Web": {"x": {"Handlers": {"/": {}}}}}',
        '{"TCP": {"443": null, "x": {"TCPForward": "127.0.0.1:1"}}}',
    ],
)
def test_nothing_and_null_are_nothing(text: str) -> None:
    assert serve.parse(text) == ()


@pytest.mark.parametrize("text", ["", "No serve config", "[]", "7"])
def test_what_is_no_status_is_not_taken_for_nothing(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        serve.parse(text)


def machine(status: Output, state: str = "Running") -> Replay:
    joined = {"BackendState": state, "Self": {"DNSName": f"{NAME}."}}
    return Replay({
        "ask: tailscale.linux": Output(0, json.dumps(HERE)),
        f"run: {HERE} status --json --peers=false": Output(0, json.dumps(joined)),
        f"run: {HERE} debug prefs": Output(0, "{}"),
        f"run: {HERE} serve status --json": status,
    })  # fmt: skip


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path, tmp_path / "home", tmp_path / "models")


def test_a_look_has_what_is_served_written_and_guarded(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def status(url: str) -> int:
        asked.append(url)
        return 401

    monkeypatch.setattr(http, "status", status)
    clients.add(paths.home, Shell(), Client("alice", "a" * 64, "2026-11-22"))
    paths.exposed.write_text(json.dumps([GATEWAY.__dict__]))
    found = serve.survey(machine(Output(0, "{}")), paths, "http://127.0.0.1:8080/v1").serving
    assert (found.mounts, found.problem, found.unreadable) == ((), "", "")
    assert (found.written, found.guard, found.clients) == ((GATEWAY,), 401, 1)
    assert asked == ["http://127.0.0.1:8080/v1/models"]


def test_a_look_that_was_recorded_knows_what_was_written_and_started(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "beyond_loopback", lambda ports: dict.fromkeys(ports, "0.0.0.0"))
    Shell().write(WriteFile(paths.exposed, json.dumps([GATEWAY.__dict__])))
    started = launch.text(Launch("venv", {"PORT": "8001"}))
    Shell().write(WriteFile(paths.run("4090") / launch.FILE, started))
    first = Here(Shell())
    seen = first.ask("serving", Serving(), lambda: serve.own(paths))
    assert seen.engines == {
        8001: "backend 4090", 8081: "the gateway's figures", 8082: "the gateway's inside",
    }  # fmt: skip
    assert seen.wide == {8001: "0.0.0.0"}
    text = recording.dump(first.recorded(), "a test", ())
    again = Replay(recording.parse(text)).ask("serving", Serving(), lambda: pytest.fail("looked"))
    assert again == replace(seen, written=(replace(GATEWAY, name="host.tailnet.ts.net"),))


def test_a_look_without_a_target_asks_no_server(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "status", lambda *_: pytest.fail("a server was asked"))
    found = serve.survey(machine(Output(0, "{}")), paths).serving
    assert (found.written, found.guard, found.clients) == ((), 0, 0)


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (Output(1, "", "failed to connect to local tailscaled\nmore"), "failed to connect"),
        (Output(124, "", "tailscale: no answer in 10 s"), "no answer in 10 s"),
        (Output(0, ""), "exit code 0"),
        (Output(0, "No serve config"), "No serve config"),
    ],
)
def test_a_status_that_cannot_be_read_is_a_problem(
    paths: Paths, output: Output, problem: str
) -> None:
    found = serve.survey(machine(output), paths).serving
    assert problem in found.problem
    assert found.mounts == ()


BROKEN = (
    "", "{", "null", "7", "[7]", '{"side": "linux"}', '[{"x": 1}]', json.dumps(GATEWAY.__dict__),
    json.dumps([GATEWAY.__dict__, {**GATEWAY.__dict__, "side": "windows"}]),
    json.dumps([{**GATEWAY.__dict__, "side": "both"}]),
)  # fmt: skip


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_note_is_told_and_not_taken_for_none(paths: Paths, text: str) -> None:
    paths.exposed.parent.mkdir(parents=True)
    paths.exposed.write_text(text)
    found = serve.survey(machine(Output(0, "{}")), paths).serving
    assert found.written == ()
    assert "exposed.json cannot be read" in found.unreadable


def answers(monkeypatch: pytest.MonkeyPatch, known: dict[str, int], other: int = 404) -> None:
    monkeypatch.setattr(http, "status", lambda url, *_: known.get(url, other))


def test_a_guarded_gateway_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"https://{NAME}"
    known = {f"{url}/v1/models": 401, f"http://{NAME}:8001/health": 0}
    answers(monkeypatch, known)
    found = serve.probe(GATEWAY, Serving(engines={8001: "backend 4090"}), 0)
    assert {probe.good for probe in found} == {True}
    assert [probe.question for probe in found] == [
        "/v1/models without a key", *serve.OUTSIDE, "port 8001, of backend 4090",
    ]  # fmt: skip


@pytest.mark.parametrize("status", [200, 405, 422, 500, 302])
def test_a_page_that_is_there_is_open_whatever_it_says(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    url = f"https://{NAME}"
    answers(monkeypatch, {f"{url}/v1/models": 401, f"{url}/invocations": status})
    found = serve.probe(GATEWAY, Serving(), 0)
    assert [probe.question for probe in found if probe.good is False] == ["/invocations"]


def test_no_key_asked_for_is_bad_and_no_answer_is_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"https://{NAME}/v1/models"
    answers(monkeypatch, {url: 200})
    assert serve.probe(GATEWAY, Serving(), 0)[0] == Probe(
        "/v1/models without a key", "HTTP 200", good=False
    )
    answers(monkeypatch, {url: 0})
    (only,) = serve.probe(GATEWAY, Serving(engines={8001: "backend 4090"}), 0)
    assert only == Probe("/v1/models without a key", "no answer", good=None)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_what_leads_to_nobody_lets_nobody_in(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, {f"https://{NAME}/v1/models": status})
    (only,) = serve.probe(GATEWAY, Serving(engines={8001: "backend 4090"}), 0)
    assert only == Probe("/v1/models without a key", f"HTTP {status}", good=None)


def test_pages_and_ports_of_others_are_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, {f"https://{NAME}/v1/models": 401}, other=200)
    others = (
        Mount(NAME, 443, "https", "/", "http://127.0.0.1:3000"),
        Mount("", 8001, "tcp", "", "127.0.0.1:4"),
    )
    found = serve.probe(GATEWAY, Serving(others, engines={8001: "x"}), 0)
    assert [probe.good for probe in found] == [True, True]
    assert "somebody else serves http://127.0.0.1:3000" in found[1].answer


def test_the_first_answer_may_take_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([0, 0, 401])
    monkeypatch.setattr(http, "status", lambda url, *_: next(told) if "models" in url else 404)
    monkeypatch.setattr(serve, "AGAIN", 0.01)
    assert serve.probe(GATEWAY, Serving(), 5)[0].good
