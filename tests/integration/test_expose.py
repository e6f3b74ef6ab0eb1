"""`inv expose` and `inv unexpose`, with a stand-in for Tailscale and servers that really answer.

The outside name is resolved to another address of this machine (tests/integration/tailnet.py),
where a stand-in for tailscaled routes what the stand-in for its command was told to serve.
"""

import contextlib
import functools
import io
import json
import os
import platform
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from unittest.mock import patch

import pytest
import requests

import tasks
from lifecycle import clients
from lifecycle.clients import Client
from lifecycle.cmd import choose
from lifecycle.cmd.expose import PATIENCE
from lifecycle.cmd.program import Program
from lifecycle.host import Launch
from lifecycle.machine import Here
from lifecycle.runtimes import launch
from lifecycle.shell import Shell
from lifecycle.step import WriteFile
from lifecycle.steps import expose as steps
from tests.fake_vllm import Settings, fake_vllm
from tests.integration import tailnet
from tests.integration.checkout import Checkout, free_port, free_triple
from tests.integration.tailnet import ADDRESS, CONSENT, NAME, Tailnet

KEY = "sk-vllm-distinctive"
HERE = Here.__init__
OTHERS: dict[str, Any] = {
    "TCP": {"8443": {"HTTPS": True}, "2222": {"TCPForward": "127.0.0.1:22"}},
    "Web": {f"{NAME}:8443": {"Handlers": {"/": {"Proxy": "http://127.0.0.1:3000"}}}},
}


class Machine:
    """A checkout in a tailnet, with a gateway that answers."""

    def __init__(self, checkout: Checkout, net: Tailnet, gateway: int) -> None:
        self.checkout, self.net, self.gateway = checkout, net, gateway
        self.home = Path(checkout.env["LIFECYCLE_HOME"])
        self.record = self.home / "gateway" / "exposed.json"
        checkout.env.update(net.environment)
        checkout.env["GATEWAY_PORT"] = str(gateway)
        self.port = free_port()

    def inv(self, *words: str) -> CompletedProcess[str]:
        """A command as `inv` runs it, in this process: Python's own start is most of the time."""
        out, err = io.StringIO(), io.StringIO()
        code = 0
        with (
            patch.dict(os.environ, self.checkout.environment(), clear=True),
            patch.object(choose, "ROOT", self.checkout.root),
            patch.object(socket, "getaddrinfo", tailnet.resolved),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                Program(tasks.namespace).run(["inv", *words])
            except SystemExit as ended:
                code = int(ended.code or 0)
        return CompletedProcess(words, code, out.getvalue(), err.getvalue())

    def expose(self, *words: str, port: int | None = None) -> CompletedProcess[str]:
        """On a port that tests may have."""
        return self.inv("expose", f"--port={self.port if port is None else port}", *words)

    def client(self) -> None:
        clients.add(self.home, Shell(), Client("alice", clients.digest(KEY), "2026-11-22"))

    @contextlib.contextmanager
    def server(self, key: str = KEY) -> Iterator[None]:
        """The backend's own server: of what is below `/v1` alone it asks for a key."""
        (self.checkout.root / ".env").write_text(f"VLLM_API_KEY={KEY}\n")
        with tailnet.listening(tailnet.guarded(key, closed=False), self.checkout.port):
            yield

    def on_windows(self, *words: str) -> CompletedProcess[str]:
        """As on Windows, as far as one can pretend."""
        script = str(Path(__file__).with_name("on_windows.py"))
        # shutil would split Windows' own list at colons.
        environment = {**self.checkout.environment(), "PATHEXT": ".EXE"}
        return subprocess.run(
            [sys.executable, script, str(self.checkout.root), *words],
            cwd=self.checkout.root, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    @contextlib.contextmanager
    def seen_from_outside(self, port: int | None = None, **more: Any) -> Iterator[None]:
        """Somebody routes what is served, as tailscaled would."""
        chosen = port or self.port
        with tailnet.listening(tailnet.outside(self.net, chosen), chosen, ADDRESS, **more):
            yield

    @property
    def noted(self) -> list[str]:
        """The backends that are written down as exposed; "" is the gateway."""
        if not self.record.exists():
            return []
        return [one["backend"] for one in json.loads(self.record.read_text())]

    @property
    def served(self) -> dict[str, str]:
        """What is served, by its port on the tailnet."""
        web = (self.net.config or {}).get("Web") or {}
        return {
            address.rpartition(":")[2]: handler["Proxy"]
            for address, part in web.items()
            for handler in part["Handlers"].values()
        }

    @property
    def mine(self) -> dict[str, Any]:
        """What is served when only the gateway is."""
        proxy = {"/v1": {"Proxy": f"http://127.0.0.1:{self.gateway}/v1"}}
        return {
            "TCP": {str(self.port): {"HTTP": True}},
            "Web": {f"{NAME}:{self.port}": {"Handlers": proxy}},
        }


@pytest.fixture
def machine(double_checkout: Checkout, tmp_path: Path) -> Iterator[Machine]:
    net = Tailnet.make(tmp_path / "bin")
    with tailnet.listening(tailnet.guarded(KEY, closed=True)) as gateway:
        yield Machine(double_checkout, net, gateway)


def test_it_is_served_asked_from_outside_and_taken_back(machine: Machine) -> None:
    machine.client()
    with machine.seen_from_outside():
        done = machine.checkout.inv("expose", f"--port={machine.port}")
        assert done.returncode == 0, done.stderr
        assert machine.net.config == machine.mine
        assert f"http://{NAME}:{machine.port}/v1" in done.stdout
        assert "✓ /v1/models without a key: HTTP 401" in done.stdout
        assert "✓ /metrics: HTTP 404" in done.stdout
        assert f"✓ port {machine.checkout.port}, of backend dtest: closed" in done.stdout
        assert f"tcp:{machine.port}" in done.stdout
        assert "WireGuard" in done.stderr
        assert json.loads(machine.record.read_text())[0]["side"] == "linux"
        assert stat.S_IMODE(machine.record.stat().st_mode) == 0o600

        again = machine.expose()
        assert again.returncode == 0, again.stderr
        assert "already" in again.stderr
        assert len(machine.net.asked) == 1

        status = machine.inv("expose", "--status")
        assert status.returncode == 0, status.stderr
        assert "HTTP 401" in status.stdout

    back = machine.checkout.inv("unexpose")
    assert back.returncode == 0, back.stderr
    assert machine.net.asked[1:] == [f"tailscale serve --http={machine.port} --set-path=/v1 off"]
    assert not (machine.net.config or {}).get("Web")
    assert not machine.record.exists()
    more = machine.inv("unexpose")
    assert more.returncode == 0
    assert "nothing was exposed" in more.stderr
    assert "nothing is exposed" in machine.inv("expose", "--status").stderr


def test_what_others_serve_stays_whatever_they_change_meanwhile(machine: Machine) -> None:
    machine.client()
    machine.net.serve(OTHERS)
    with machine.seen_from_outside():
        done = machine.expose()
    assert done.returncode == 0, done.stderr
    mine = machine.mine
    assert machine.net.config == {key: {**OTHERS[key], **mine[key]} for key in ("TCP", "Web")}
    new = machine.net.config
    new["Web"][f"{NAME}:{machine.port}"]["Handlers"]["/notes"] = {"Proxy": "http://127.0.0.1:4"}
    del new["TCP"]["2222"]
    machine.net.serve(new)
    assert machine.inv("unexpose").returncode == 0
    del new["Web"][f"{NAME}:{machine.port}"]["Handlers"]["/v1"]
    assert machine.net.config == new
    assert not [line for line in machine.net.asked if "reset" in line or "funnel" in line]


def test_https_where_the_tailnet_gives_certificates(machine: Machine, tmp_path: Path) -> None:
    machine.client()
    machine.net.say(status={"CertDomains": [NAME]})
    folder = tailnet.certificate(tmp_path / "tls")
    machine.checkout.env["TEST_CA"] = str(folder / "cert.pem")
    with machine.seen_from_outside(tls=folder):
        done = machine.checkout.inv("expose", f"--port={machine.port}")
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"https://{NAME}:{machine.port}/v1" in done.stdout
    assert machine.net.config["TCP"] == {str(machine.port): {"HTTPS": True}}
    assert "WireGuard" not in done.stderr


def test_a_server_instead_of_the_gateway(machine: Machine) -> None:
    with machine.server(), machine.seen_from_outside():
        done = machine.expose("--backend", "dtest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "backend dtest" in done.stdout
    # The server itself answers there without a key; nothing but /v1 leads to it.
    assert "✓ /metrics: HTTP 404" in done.stdout
    assert "✓ /v1/..%2Fmetrics: HTTP 404" in done.stdout


@pytest.fixture
def two(machine: Machine) -> Iterator[tuple[Machine, int]]:
    """The gateway and the server of a backend are exposed, on two ports; the second port."""
    machine.client()
    second = free_port()
    with (
        machine.server(),
        machine.seen_from_outside(),
        machine.seen_from_outside(second),
    ):
        assert machine.expose().returncode == 0
        done = machine.expose("--backend", "dtest", port=second)
        assert done.returncode == 0, done.stderr
        yield machine, second


def test_a_gateway_and_a_server_side_by_side(two: tuple[Machine, int]) -> None:
    machine, second = two
    first = str(machine.port)
    gateway, server = (
        f"http://127.0.0.1:{port}/v1" for port in (machine.gateway, machine.checkout.port)
    )
    assert machine.served == {first: gateway, str(second): server}
    assert machine.noted == ["", "dtest"]

    status = machine.inv("expose", "--status")
    assert status.returncode == 0, status.stderr
    assert status.stdout.count("✓ /v1/models without a key: HTTP 401") == 2
    assert f"http://{NAME}:{second}/v1" in status.stdout

    for words in (["--backend", "dtest"], ["--gateway"]):
        again = machine.inv("expose", *words)
        assert again.returncode == 0, again.stderr
        assert "already" in again.stderr
    assert len(machine.net.asked) == 2

    assert machine.inv("unexpose", "--backend", "dtest").returncode == 0
    assert (machine.served, machine.noted) == ({first: gateway}, [""])
    none = machine.inv("unexpose", "--backend", "dtest")
    assert (none.returncode, "it was not exposed" in none.stderr) == (0, True)
    assert machine.inv("unexpose", "--gateway").returncode == 0
    assert (machine.served, machine.noted) == ({}, [])


def test_all_of_ours_is_taken_back_at_once(two: tuple[Machine, int]) -> None:
    machine, _ = two
    done = machine.inv("unexpose")
    assert done.returncode == 0, done.stderr
    assert "the gateway" in done.stderr
    assert "backend dtest" in done.stderr
    assert (machine.served, machine.record.exists()) == ({}, False)


def test_a_server_goes_by_its_name_though_its_file_is_gone(two: tuple[Machine, int]) -> None:
    machine, _ = two
    machine.checkout.env_file.unlink()
    assert machine.inv("unexpose", "--backend", "dtest").returncode == 0
    assert machine.noted == [""]
    unknown = machine.inv("unexpose", "--backend", "dtets")
    assert unknown.returncode == 2
    both = machine.inv("unexpose", "--gateway", "--backend", "dtest")
    assert (both.returncode, "exclude each other" in both.stderr) == (2, True)
    assert machine.noted == [""]


def test_a_second_one_is_told_the_command_that_works(machine: Machine) -> None:
    machine.client()
    with machine.server(), machine.seen_from_outside():
        assert machine.expose().returncode == 0
        done = machine.expose("--backend", "dtest")
        assert done.returncode == 3
        assert machine.noted == [""]
        told = re.search(r"inv (expose --backend dtest --port \d+)", done.stderr)
        assert told, done.stderr
        tried = machine.inv("--dry", *told[1].split())
        assert tried.returncode == 0, tried.stderr
        assert machine.inv("unexpose").returncode == 0


def test_the_same_on_another_port_is_told_what_to_type(two: tuple[Machine, int]) -> None:
    machine, _ = two
    done = machine.expose("--backend", "dtest", port=free_port())
    assert done.returncode == 3
    assert "inv unexpose --backend dtest, then the same again" in done.stderr
    assert len(machine.net.asked) == 2


def test_when_one_of_two_lets_strangers_in_the_status_fails_and_names_it(
    two: tuple[Machine, int],
) -> None:
    machine, second = two
    config = machine.net.config
    handlers = config["Web"][f"{NAME}:{second}"]["Handlers"]
    handlers["/metrics"] = {"Proxy": f"http://127.0.0.1:{machine.checkout.port}/metrics"}
    machine.net.serve(config)
    status = machine.inv("expose", "--status")
    assert status.returncode == 8
    assert "✗ /metrics: HTTP 200" in status.stdout
    assert f"http://{NAME}:{machine.port}/v1" in status.stdout
    assert "inv unexpose --backend dtest" in status.stderr
    assert "inv unexpose --gateway" not in status.stderr


@pytest.mark.parametrize(("address", "open_"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_the_doctor_sees_a_server_that_listens_for_all(
    machine: Machine, address: str, *, open_: bool
) -> None:
    started = launch.text(Launch("venv", {"PORT": str(machine.checkout.port)}))
    Shell().write(WriteFile(machine.home / "run" / "dtest" / launch.FILE, started))
    server = tailnet.guarded(KEY, closed=False)
    with tailnet.listening(server, machine.checkout.port, address):
        seen = json.loads(machine.inv("doctor", "--gpu", "dtest", "--json").stdout)
    said = {one["name"]: one["fix"] for one in seen["steps"]}
    fix = said.get("other machines reach no server by its own port", "")
    assert fix == ("inv restart --gpu dtest" if open_ else "")


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_in_the_middle_of_a_second_one_nothing_is_served_that_is_not_noted(
    machine: Machine, when: str
) -> None:
    machine.client()
    second = free_port()
    words = ("expose", "--backend", "dtest", f"--port={second}")
    with (
        machine.server(),
        machine.seen_from_outside(),
        machine.seen_from_outside(second),
    ):
        assert machine.expose().returncode == 0
        machine.net.say(dies=when)
        assert machine.checkout.inv(*words).returncode == -signal.SIGKILL
        assert (str(second) in machine.served) is (when == "after")
        assert machine.noted == ["", "dtest"]
        machine.net.say()
        again = machine.inv(*words)
        assert again.returncode == 0, again.stderr
        assert len(machine.served) == 2
        assert machine.inv("unexpose").returncode == 0
    assert (machine.served, machine.noted) == ({}, [])


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_on_the_way_back_the_rest_is_still_noted(
    two: tuple[Machine, int], when: str
) -> None:
    machine, _ = two
    machine.net.say(dies=when)
    assert machine.checkout.inv("unexpose").returncode == -signal.SIGKILL
    assert len(machine.served) == {"before": 2, "after": 1}[when]
    assert machine.noted == ["", "dtest"]
    machine.net.say()
    assert machine.inv("unexpose").returncode == 0
    assert (machine.served, machine.noted) == ({}, [])


def test_the_doctor_says_what_is_exposed_too_far(two: tuple[Machine, int], tmp_path: Path) -> None:
    machine, second = two
    config = machine.net.config
    whole = {"/": {"Proxy": f"http://127.0.0.1:{machine.checkout.port}"}}
    config["Web"][f"{NAME}:9000"] = {"Handlers": whole}
    config["TCP"]["9000"] = {"HTTP": True}
    del config["Web"][f"{NAME}:{second}"]
    config["AllowFunnel"] = {f"{NAME}:{machine.port}": True}
    machine.net.serve(config)
    words = ("doctor", "--gpu", "dtest", "--json")
    seen = machine.inv(*words, "--record", str(tmp_path / "record"))
    advice = {
        one["name"]: one["fix"]
        for one in json.loads(seen.stdout)["steps"]
        if one["state"] == "advice"
    }
    assert "inv unexpose --backend dtest" in advice["what was exposed is served"]
    assert advice["no server and no gateway is open to the internet"] == "inv unexpose --gateway"
    assert "--http=9000 --set-path=/ off" in advice["no server is open to the tailnet as a whole"]
    replayed = machine.inv(*words, "--replay", str(tmp_path / "record"))
    assert replayed.returncode == seen.returncode
    steps_ = seen.stdout.replace(NAME, "host.tailnet.ts.net")
    assert json.loads(replayed.stdout)["steps"] == json.loads(steps_)["steps"]


def test_a_dry_run_shows_every_command_and_changes_nothing(machine: Machine) -> None:
    machine.client()
    done = machine.inv("--dry", "expose", f"--port={machine.port}")
    assert done.returncode == 0, done.stderr
    target = f"http://127.0.0.1:{machine.gateway}/v1"
    words = f"serve --bg --http={machine.port} --set-path=/v1 {target}"
    assert done.stdout.splitlines()[-1].endswith(f"tailscale {words}")
    assert machine.net.asked == []
    assert not machine.record.exists()


def test_without_a_key_it_is_refused(machine: Machine) -> None:
    done = machine.expose()
    assert done.returncode == 3
    assert "inv key.add" in done.stderr
    assert machine.net.asked == []


def test_a_gateway_that_is_down_is_not_exposed(machine: Machine) -> None:
    machine.client()
    machine.checkout.env["GATEWAY_PORT"] = str(free_port())
    done = machine.expose()
    assert done.returncode == 3
    assert "inv gateway.up" in done.stderr
    assert machine.net.asked == []


def test_what_answers_without_a_key_is_not_exposed(machine: Machine) -> None:
    class Open(tailnet.Quiet):
        def answer(self) -> tuple[int, bytes]:
            return 200, b"{}"

    machine.client()
    with tailnet.listening(Open) as port:
        machine.checkout.env["GATEWAY_PORT"] = str(port)
        done = machine.expose()
    assert done.returncode == 3
    assert "HTTP 200 without a key" in done.stderr
    assert machine.net.asked == []


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (
            {"BackendState": "NeedsLogin", "Self": None, "CurrentTailnet": None},
            "nobody is logged in",
        ),
        ({"BackendState": "Stopped"}, "switched off"),
        ({"BackendState": "NeedsMachineAuth"}, "has not approved"),
        ({"Self": None}, "no names"),
        ({"Self": {"DNSName": ""}}, "no names"),
    ],
)
def test_outside_a_tailnet_it_is_refused(
    machine: Machine, status: dict[str, Any], says: str
) -> None:
    machine.client()
    machine.net.say(status=status)
    done = machine.expose()
    assert done.returncode == 3
    assert says in done.stderr
    assert machine.net.asked == []


@pytest.mark.parametrize("waits", [True, False])
def test_where_somebody_must_agree_first_the_address_is_shown(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, *, waits: bool
) -> None:
    """It waits for a person for ever, or ends well having done nothing."""
    machine.client()
    # The status promised certificates when it was asked; the command itself finds otherwise.
    file = machine.net.bin / "change.py"
    file.write_text(file.read_text().replace('.get("CertDomains"):', '.get("Agreed"):'))
    machine.net.say(status={"CertDomains": [NAME]}, waits=waits)
    monkeypatch.setattr(steps, "LIMIT", 0.5)
    done = machine.expose()
    assert done.returncode == 3, done.stderr
    assert f"Open this, agree, then the same again: {CONSENT}" in done.stderr
    assert machine.net.config is None
    assert not machine.record.exists()


def test_who_may_not_is_told_the_exact_command(machine: Machine) -> None:
    machine.client()
    machine.net.say(denied=True)
    done = machine.expose()
    assert done.returncode == 3
    assert "sudo tailscale set --operator=" in done.stderr
    assert machine.net.config is None
    assert not machine.record.exists()


def test_a_path_that_is_somebodys_stays_his(machine: Machine) -> None:
    machine.client()
    taken = machine.mine
    taken["Web"][f"{NAME}:{machine.port}"]["Handlers"]["/v1"] = {"Proxy": "http://127.0.0.1:4"}
    machine.net.serve(taken)
    done = machine.expose()
    assert done.returncode == 3
    assert "--port" in done.stderr
    assert machine.net.config == taken
    assert machine.net.asked == []


def test_what_was_led_elsewhere_since_is_left_alone(machine: Machine) -> None:
    machine.client()
    with machine.seen_from_outside():
        assert machine.expose().returncode == 0
    theirs = machine.mine
    theirs["Web"][f"{NAME}:{machine.port}"]["Handlers"]["/v1"] = {"Proxy": "http://127.0.0.1:4"}
    machine.net.serve(theirs)
    status = machine.inv("expose", "--status")
    assert status.returncode == 8
    assert "does not serve it" in status.stderr
    assert machine.inv("unexpose").returncode == 0
    assert machine.net.config == theirs
    assert not machine.record.exists()


def test_a_port_with_a_funnel_is_refused_and_another_one_only_named(machine: Machine) -> None:
    machine.client()
    public = {**OTHERS, "AllowFunnel": {f"{NAME}:8443": True}}
    machine.net.serve(public)
    done = machine.expose(port=8443)
    assert done.returncode == 3
    assert "funnel" in done.stderr
    assert machine.net.config == public
    with machine.seen_from_outside():
        done = machine.expose()
    assert done.returncode == 0, done.stderr
    assert "the whole internet reaches port 8443" in done.stderr
    assert machine.net.config["AllowFunnel"] == public["AllowFunnel"]


def test_a_funnel_that_somebody_opens_later_is_told(machine: Machine) -> None:
    machine.client()
    with machine.seen_from_outside():
        assert machine.expose().returncode == 0
        address = f"{NAME}:{machine.port}"
        machine.net.serve({**machine.net.config, "AllowFunnel": {address: True}})
        status = machine.inv("expose", "--status")
    assert status.returncode == 8
    assert "whole internet" in status.stderr
    assert machine.inv("unexpose").returncode == 0


def test_an_engine_that_is_open_to_the_outside_takes_it_back(machine: Machine) -> None:
    machine.client()
    server = tailnet.guarded("any", closed=False)
    with (
        machine.seen_from_outside(),
        tailnet.listening(server, machine.checkout.port, "0.0.0.0"),
    ):
        done = machine.expose()
    assert done.returncode == 8
    assert f"port {machine.checkout.port}" in done.stderr
    assert not (machine.net.config or {}).get("Web")
    assert not machine.record.exists()


def test_what_lets_strangers_in_on_the_way_is_taken_back(machine: Machine) -> None:
    """Guarded when asked at home, open when asked from outside."""

    class Open(tailnet.Quiet):
        def answer(self) -> tuple[int, bytes]:
            return 200, b"{}"

    machine.client()
    with tailnet.listening(Open, machine.port, ADDRESS):
        done = machine.expose()
    assert done.returncode == 8
    assert "accepted a request without a key; it has been unexposed" in done.stderr
    assert not (machine.net.config or {}).get("Web")


def test_a_whole_server_served_by_somebody_stands_in_the_way(machine: Machine) -> None:
    machine.client()
    whole = {
        "TCP": {"443": {"HTTPS": True}},
        "Web": {
            f"{NAME}:443": {
                "Handlers": {"/": {"Proxy": f"http://127.0.0.1:{machine.checkout.port}"}}
            }
        },
    }
    machine.net.serve(whole)
    done = machine.expose()
    assert done.returncode == 3
    assert "all of backend dtest" in done.stderr
    assert "tailscale serve --https=443 --set-path=/ off" in done.stderr
    assert machine.net.asked == []


def test_where_nobody_answers_outside_it_stays_and_says_so(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.client()
    monkeypatch.setitem(PATIENCE, "http", 0.1)
    done = machine.expose()
    assert done.returncode == 8
    assert "nobody answers" in done.stderr
    assert machine.net.config == machine.mine
    assert machine.inv("unexpose").returncode == 0


def test_a_way_that_leads_to_nobody_is_no_open_door(machine: Machine) -> None:
    """Windows may not reach WSL, and a gateway may be stopped: Tailscale answers 502 then."""

    class Lost(tailnet.Quiet):
        def answer(self) -> tuple[int, bytes]:
            return 502, b""

    machine.client()
    with tailnet.listening(Lost, machine.port, ADDRESS):
        done = machine.expose()
        told = machine.inv("expose", "--status")
    assert done.returncode == told.returncode == 8
    for said in (done.stderr, told.stderr):
        assert "leads to nobody: HTTP 502" in said
        assert "inv gateway.up" in said
        assert "strangers" not in said
    assert machine.net.config["Web"]
    assert machine.inv("unexpose").returncode == 0


def test_a_tailscale_of_before_paths_is_told_to_be_updated(machine: Machine) -> None:
    machine.client()
    machine.net.say(old=True)
    done = machine.expose()
    assert done.returncode == 3
    assert "1.52 or newer" in done.stderr
    assert not machine.record.exists()


def test_a_tailscale_that_hangs_is_not_waited_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.client()
    monkeypatch.setattr("lifecycle.machine.Here.__init__", functools.partialmethod(HERE, limit=1.0))
    machine.net.say(hangs=True)
    done = machine.expose()
    assert done.returncode == 3
    assert "no answer in" in done.stderr


def test_a_broken_note_is_never_overwritten(machine: Machine) -> None:
    machine.client()
    machine.record.write_text("{")
    for words in (("expose", f"--port={machine.port}"), ("unexpose",), ("expose", "--status")):
        done = machine.inv(*words)
        assert done.returncode == 3
        assert "exposed.json cannot be read" in done.stderr
    assert machine.record.read_text() == "{"
    assert machine.net.asked == []


def test_through_the_real_gateway_a_key_counts_until_it_is_taken_away(
    double_checkout: Checkout, tmp_path: Path
) -> None:
    """Keys, gateway and tailnet together: what a person types, and what a client then gets."""
    net = Tailnet.make(tmp_path / "bin")
    machine = Machine(double_checkout, net, free_triple())
    for file in (double_checkout.root / "env").glob("*.env"):
        file.unlink()
    (double_checkout.root / ".env").write_text("VLLM_API_KEY=sk-of-the-backend\n")
    url = f"http://{ADDRESS}:{machine.port}/v1/models"
    with fake_vllm(Settings(model="shared", api_key="sk-of-the-backend")) as double:
        text = f"GPU=cuda\nENDPOINT={double.url}\nMODEL=shared\n"
        (double_checkout.root / "env" / "there.env").write_text(text)
        assert double_checkout.inv("gateway.up", limit=200).returncode == 0
        try:
            key = machine.inv("key.add", "alice").stdout.strip()
            with machine.seen_from_outside():
                done = machine.expose()
                assert done.returncode == 0, done.stdout + done.stderr
                assert asked(url, key) == 200
                assert asked(url, key[:-1]) == 401
                new = machine.inv("key.rotate", "alice").stdout.strip()
                assert (asked(url, key), asked(url, new)) == (401, 200)
                assert machine.inv("key.remove", "alice").returncode == 0
                assert asked(url, new) == 401
                assert machine.inv("unexpose").returncode == 0
                assert asked(url, new) == 404
        finally:
            double_checkout.inv("gateway.down", limit=60)
    for file in machine.home.rglob("*"):
        if file.is_file() and "engines" not in file.parts:
            assert new.encode() not in file.read_bytes(), file


def asked(url: str, key: str) -> int:
    """The HTTP status a client of the tailnet gets."""
    headers = {"Authorization": f"Bearer {key}", "Host": NAME}
    return requests.get(url, headers=headers, timeout=5).status_code


def test_under_wsl_it_is_windows_that_serves(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides are in the tailnet here: Windows' is taken, and the other one warned of."""
    machine.client()
    (machine.net.bin / "tailscale.exe").write_text((machine.net.bin / "tailscale").read_text())
    (machine.net.bin / "tailscale.exe").chmod(0o755)
    monkeypatch.setattr(platform, "release", lambda: "6.6.87.2-microsoft-standard-WSL2")
    with machine.seen_from_outside():
        done = machine.expose()
    assert done.returncode == 0, done.stderr
    (asked,) = machine.net.asked
    assert asked == (
        f"tailscale.exe serve --bg --http={machine.port} --set-path=/v1 "
        f"http://127.0.0.1:{machine.gateway}/v1"
    )
    assert "Windows side" in done.stdout
    assert "both sides are in a tailnet" in done.stderr
    assert machine.inv("unexpose").returncode == 0
    assert machine.net.asked[1].startswith("tailscale.exe serve")


def test_on_windows_itself_it_is_the_same(machine: Machine) -> None:
    machine.client()
    (machine.net.bin / "tailscale").rename(machine.net.bin / "tailscale.exe")
    with machine.seen_from_outside():
        done = machine.on_windows("expose", f"--port={machine.port}")
    assert done.returncode == 0, done.stderr
    assert "Windows side" in done.stdout
    assert machine.net.config == machine.mine
    back = machine.on_windows("unexpose")
    assert back.returncode == 0, back.stderr
    assert not (machine.net.config or {}).get("Web")
    assert [line.split()[0] for line in machine.net.asked] == ["tailscale.exe"] * 2
