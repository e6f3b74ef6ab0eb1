"""The firewall's rule, between machines: network namespaces for this box, a peer, a LAN host.

Needs root and nftables. Weak hosts are real here: without the rule, the LAN host gets in.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lifecycle import clients
from lifecycle.host import Firewall, Host, Os, Serving, Tailnet, Tailscale
from lifecycle.paths import Paths
from lifecycle.runner import Runner
from lifecycle.shell import Output, Shell
from lifecycle.step import Command, Step
from lifecycle.steps import bind
from lifecycle.tables.tailscale import TABLE
from tests.integration.checkout import ROOT, Checkout, free_triple

TAILNET, PEER, BOX, LAN = "100.64.0.1", "100.64.0.2", "192.168.77.1", "192.168.77.2"
GATEWAY, ENGINE = 8080, 8000
KEY, OURS, THEIRS = "sk-vllm-alice", "sk-of-the-box", "sk-of-the-peer"
STATUS = {
    "BackendState": "Running",
    "Version": "1.102.4",
    "Self": {"DNSName": "box.ts.net.", "TailscaleIPs": [TAILNET]},
}
# A machine of which `inv expose --backend` shows `/v1` alone.
SHOWS_V1 = """
import http.server, json, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if not self.path.startswith("/v1/"):
            return self.answer(404, {})
        if self.headers["Authorization"] != "Bearer " + sys.argv[3]:
            return self.answer(401, {})
        self.answer(200, {"data": [{"id": "theirs"}]})
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()
    def answer(self, status, data):
        text = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Page).serve_forever()
"""
SERVER = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        right = self.headers["Authorization"] == "Bearer good"
        self.send_response(200 if right else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Page).serve_forever()
"""
ASK = """
import sys, urllib.error, urllib.request as u
body = sys.argv[3].encode() if len(sys.argv) > 3 else None
headers = {"Authorization": "Bearer " + sys.argv[2], "Content-Type": "application/json"}
request = u.Request(sys.argv[1], body, headers)
try:
    print(u.build_opener(u.ProxyHandler({})).open(request, timeout=1.5).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print(0)
"""
SCAN = """
import socket, sys
found = []
for port in range(1, 65536):
    with socket.socket() as one:
        one.settimeout(0.5)
        if one.connect_ex((sys.argv[1], port)) == 0:
            found.append(port)
print(found)
"""
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("nft") or not shutil.which("ip"),
    reason="needs root, nft and ip",
)


@dataclass(frozen=True)
class Net:
    """Three machines."""

    tag: str

    def name(self, machine: str) -> str:
        return f"{machine}-{self.tag}"

    def inside(self, machine: str, *argv: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name(machine), *argv)

    def ip(self, machine: str, *words: str) -> None:
        subprocess.run(["ip", "-n", self.name(machine), *words], check=True)

    def ask(self, machine: str, address: str, port: int, key: str = "", path: str = "/") -> int:
        """The HTTP status one machine gets; 0 for none."""
        return self.send(machine, f"http://{address}:{port}{path}", key)

    def send(self, machine: str, url: str, key: str, *body: str) -> int:
        """The same of a whole address, by POST where there is a body."""
        argv = self.inside(machine, sys.executable, "-c", ASK, url, key, *body)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True)
        return int(done.stdout)

    def scan(self, machine: str, address: str) -> str:
        """Every port that takes a connection."""
        argv = self.inside(machine, sys.executable, "-c", SCAN, address)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout.strip()


class InBox(Shell):
    """Runs what the runner runs in the box, as its root."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def run(self, command: Command, on_line: object = None) -> None:
        del on_line
        super().run(Command(self.net.inside("box", *command.argv), limit=command.limit))

    def read(self, *argv: str, limit: float = 10, env: object = None) -> Output:
        del env
        return super().read(*self.net.inside("box", *argv), limit=limit)


class Silent:
    """Nobody watches."""

    def __getattr__(self, _: str) -> object:
        return lambda *_: None


class Here(Checkout):
    """A checkout whose commands are run in the box."""

    net: Net

    def command(self, *words: str) -> list[str]:
        return [*self.net.inside("box", *super().command(*words))]


@pytest.fixture
def net() -> Iterator[Net]:
    """The three, and on the box something that listens as a gateway and a server would."""
    with _machines() as made, contextlib.ExitStack() as stack:
        for address, port in ((TAILNET, GATEWAY), ("127.0.0.1", ENGINE)):
            argv = ("-c", SERVER, address, str(port))
            stack.enter_context(_listening(made, "box", address, port, *argv))
        yield made


@contextlib.contextmanager
def _machines() -> Iterator[Net]:
    made = Net(str(os.getpid()))
    machines = ("box", "peer", "lan")
    with contextlib.ExitStack() as stack:
        for machine in machines:
            subprocess.run(["ip", "netns", "add", made.name(machine)], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "del", made.name(machine)], check=False)
            made.ip(machine, "link", "set", "lo", "up")
        for there, here, mine, theirs in (
            ("peer", "tailscale0", TAILNET, PEER),
            ("lan", "eth0", BOX, LAN),
        ):
            made.ip(
                "box", "link", "add", here, "type", "veth", "peer", "name", "eth0",
                "netns", made.name(there),
            )  # fmt: skip
            for machine, device, address in (("box", here, mine), (there, "eth0", theirs)):
                made.ip(machine, "addr", "add", f"{address}/24", "dev", device)
                made.ip(machine, "link", "set", device, "up")
        # The LAN host knows the way to the tailnet's addresses.
        made.ip("lan", "route", "add", "100.64.0.0/10", "via", BOX)
        yield made


@contextlib.contextmanager
def _listening(net: Net, machine: str, address: str, port: int, *argv: str) -> Iterator[None]:
    """A Python program that serves a port of one machine."""
    env = {**os.environ, "VLLM_API_KEY": OURS}
    server = subprocess.Popen(net.inside(machine, sys.executable, *argv), cwd=ROOT, env=env)
    try:
        _until_it_answers(net, machine, address, port)
        yield
    finally:
        server.kill()
        server.wait()


def _until_it_answers(net: Net, machine: str, address: str, port: int) -> None:
    until = time.monotonic() + 15
    while not net.ask(machine, address, port):
        assert time.monotonic() < until
        time.sleep(0.1)


def look(net: Net) -> Host:
    """The box, with what is not under test already well."""
    shell = InBox(net)
    listed = shell.read("nft", "list", "table", *TABLE)
    table = "" if listed.code else listed.text
    firewall = Firewall(shutil.which("nft") or "", table, interface=True)
    side = Tailnet("tailscale", state="Running", name="box.ts.net", address=TAILNET)
    return Host(
        os=Os("linux", root=True),
        tailscale=Tailscale(linux=side),
        firewall=firewall,
        serving=Serving(clients=1),
    )


def apply(net: Net, plan: list[Step], home: Path) -> bool:
    runner = Runner(Paths(home, home, home), InBox(net), lambda: look(net), Silent())  # type: ignore[arg-type]
    return runner.apply(plan, look(net))


def test_the_peer_gets_in_with_a_key_and_the_lan_gets_nothing(net: Net, tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path, tmp_path)
    # The trap is real: with a route to the tailnet's addresses, the LAN host reaches the gateway.
    assert net.scan("lan", TAILNET) == f"[{GATEWAY}]"
    assert apply(net, bind.steps(look(net), paths, GATEWAY), tmp_path)
    assert net.ask("peer", TAILNET, GATEWAY, "good") == 200
    assert net.ask("peer", TAILNET, GATEWAY) == 401
    assert net.ask("box", TAILNET, GATEWAY, "good") == 200
    assert net.ask("lan", TAILNET, GATEWAY, "good") == 0
    for address in (TAILNET, BOX):
        assert net.scan("lan", address) == "[]"
    assert net.scan("peer", TAILNET) == f"[{GATEWAY}]"
    # Again is nothing to do; another port takes the old one's place.
    assert not apply(net, bind.steps(look(net), paths, GATEWAY), tmp_path)
    assert apply(net, bind.steps(look(net), paths, 9090), tmp_path)
    assert net.ask("lan", TAILNET, GATEWAY) == 401
    assert apply(net, bind.removal(look(net)), tmp_path)
    assert look(net).firewall.table == ""
    assert not apply(net, bind.removal(look(net)), tmp_path)


def test_nobody_elses_rules_are_touched(net: Net, tmp_path: Path) -> None:
    shell = InBox(net)
    theirs = "add table inet theirs; add chain inet theirs forward; add table ip theirs"
    shell.run(Command(("nft", theirs)))
    before = shell.read("nft", "list", "ruleset").text
    paths = Paths(tmp_path, tmp_path, tmp_path)
    assert apply(net, bind.steps(look(net), paths, GATEWAY), tmp_path)
    assert "inet theirs" in shell.read("nft", "list", "ruleset").text
    assert apply(net, bind.removal(look(net)), tmp_path)
    assert shell.read("nft", "list", "ruleset").text == before


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Here]:
    """The box with a checkout: its gateway is for the tailnet, one backend is on the peer."""
    with _machines() as net, contextlib.ExitStack() as stack:
        made = Here.copy(tmp_path / "checkout", "cpu", ENGINE)
        assert isinstance(made, Here)
        made.net = net
        for file in (made.root / "env").glob("*.env"):
            file.unlink()
        (made.root / "env" / "here.env").write_text(f"GPU=cpu\nPORT={ENGINE}\nMODEL=ours\n")
        (made.root / "env" / "peer.env").write_text(
            f"GPU=cuda\nENDPOINT=http://{PEER}:{ENGINE}\nMODEL=not-asked\n"
        )
        (made.root / ".env").write_text(
            f"VLLM_API_KEY={OURS}\nGATEWAY_BIND=tailnet\nREMOTE_KEYS=peer={THEIRS}\n"
        )
        tailscale = tmp_path / "bin" / "tailscale"
        tailscale.parent.mkdir()
        tailscale.write_text(f"#!/bin/sh\necho '{json.dumps(STATUS)}'\n")
        tailscale.chmod(0o755)
        made.env = {
            "LIFECYCLE_HOME": str(tmp_path / "home"),
            "PATH": f"{tailscale.parent}:{os.environ['PATH']}",
        }
        _install(made)
        peer = ("-c", SHOWS_V1, PEER, str(ENGINE), THEIRS)
        stack.enter_context(_listening(net, "peer", PEER, ENGINE, *peer))
        vllm = ("-m", "tests.fake_vllm", "--port", str(ENGINE), "--model", "ours")
        stack.enter_context(_listening(net, "box", "127.0.0.1", ENGINE, *vllm))
        yield made
        made.inv("gateway.down", limit=60)


def _install(box: Here) -> None:
    """From outside: nothing can be fetched from the box."""
    env = {**box.env, "GATEWAY_BIND": "loopback", "GATEWAY_PORT": str(free_triple())}
    outside = Checkout(box.root, box.backend, box.port, env)
    done = outside.inv("gateway.up", limit=200)
    assert done.returncode == 0, done.stderr
    assert outside.inv("gateway.down", limit=60).returncode == 0


def _ask(box: Here, machine: str, key: str, path: str = "/v1/models") -> int:
    return box.net.ask(machine, TAILNET, GATEWAY, key, path)


def _table(box: Here) -> str:
    """Our rule, as the box has it."""
    listed = InBox(box.net).read("nft", "list", "table", *TABLE)
    return "" if listed.code else listed.text


def _backends(box: Here) -> dict[str, tuple[Any, ...]]:
    """Whether each is up, its requests in flight, and its models."""
    told = json.loads(box.inv("gateway.status", "--json", limit=60).stdout)
    assert told["gateway"]["url"] == f"http://{TAILNET}:{GATEWAY}/v1"
    return {row["name"]: (row["up"], row["in_flight"], row["models"]) for row in told["backends"]}


def test_a_gateway_on_the_tailnet(box: Here, tmp_path: Path) -> None:
    # Without a key nothing is begun.
    refused = box.inv("gateway.up", limit=60)
    assert (refused.returncode, "inv key.add" in refused.stderr) == (3, True), refused.stderr
    assert not _table(box)
    alice = clients.Client("alice", clients.digest(KEY), "2026-11-22")
    clients.add(tmp_path / "home", Shell(), alice)

    # Shown first, and nothing done.
    shown = box.inv("--dry", "gateway.up", limit=60)
    assert shown.returncode == 0, shown.stderr
    assert "nft -f" in shown.stdout
    for line in bind.rules(GATEWAY).splitlines():
        assert line.strip() in shown.stdout + shown.stderr
    assert not _table(box)

    done = box.inv("gateway.up", limit=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"http://{TAILNET}:{GATEWAY}/v1" in done.stdout
    assert bind.guards(_table(box), GATEWAY)
    assert [_ask(box, "peer", key) for key in (KEY, "", THEIRS)] == [200, 401, 401]
    assert _ask(box, "peer", KEY, "/metrics") == 404
    assert _ask(box, "lan", KEY) == 0
    for address in (TAILNET, BOX):
        assert box.net.scan("lan", address) == "[]"
    assert box.net.scan("peer", TAILNET) == f"[{GATEWAY}]"
    assert box.net.ask("box", "127.0.0.1", GATEWAY) == 0

    # The peer shows /v1 alone: that is enough to be up, and its load is not told.
    time.sleep(5)  # two checks
    assert _backends(box) == {"here": (True, 0, ["ours"]), "peer": (True, None, ["theirs"])}
    assert "not told" in box.inv("gateway.status", limit=60).stdout
    for model in ("ours", "theirs"):
        chat = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
        url = f"http://{TAILNET}:{GATEWAY}/v1/chat/completions"
        assert box.net.send("peer", url, KEY, chat) == 200
    again = box.inv("gateway.up", limit=60)
    assert "nothing to do" in again.stderr
    bob = box.inv("key.add", "bob", limit=60).stdout.strip()
    assert _ask(box, "peer", bob) == 200

    # A rule that somebody took away is noticed, and put back while the gateway runs.
    InBox(box.net).run(Command(("nft", "flush", "ruleset")))
    assert _ask(box, "lan", KEY) == 200
    assert "local network" in box.inv("gateway.status", limit=60).stderr
    assert box.inv("gateway.up", limit=60).returncode == 0
    assert _ask(box, "lan", KEY) == 0

    assert box.inv("gateway.down", limit=60).returncode == 0
    assert not _table(box)
    assert _ask(box, "peer", KEY) == 0


def test_from_the_tailnet_back_to_loopback(box: Here, tmp_path: Path) -> None:
    alice = clients.Client("alice", clients.digest(KEY), "2026-11-22")
    clients.add(tmp_path / "home", Shell(), alice)
    assert box.inv("gateway.up", limit=200).returncode == 0
    assert _table(box)
    box.env["GATEWAY_BIND"] = "loopback"
    done = box.inv("gateway.up", limit=60)
    assert done.returncode == 0, done.stderr
    assert f"http://127.0.0.1:{GATEWAY}/v1" in done.stdout
    assert not _table(box)
    assert _ask(box, "peer", KEY) == 0
    assert box.net.ask("box", "127.0.0.1", GATEWAY, KEY, "/v1/models") == 200
