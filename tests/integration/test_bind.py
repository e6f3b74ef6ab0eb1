"""The firewall's rule, between machines: network namespaces for this box, a peer, a LAN host.

Needs root and nftables. Weak hosts are real here: without the rule, the LAN host gets in.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lifecycle.host import Firewall, Host, Os, Tailnet, Tailscale
from lifecycle.paths import Paths
from lifecycle.runner import Runner
from lifecycle.shell import Output, Shell
from lifecycle.step import Command, Step
from lifecycle.steps import bind
from lifecycle.tables.tailscale import TABLE

TAILNET, PEER, BOX, LAN = "100.64.0.1", "100.64.0.2", "192.168.77.1", "192.168.77.2"
GATEWAY, ENGINE = 8080, 8000
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
request = u.Request(sys.argv[1], headers={"Authorization": "Bearer " + sys.argv[2]})
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

    def ask(self, machine: str, address: str, port: int, key: str = "") -> int:
        """The HTTP status one machine gets; 0 for none."""
        argv = self.inside(machine, sys.executable, "-c", ASK, f"http://{address}:{port}/", key)
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


@pytest.fixture
def net() -> Iterator[Net]:
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
        for address, port in ((TAILNET, GATEWAY), ("127.0.0.1", ENGINE)):
            argv = made.inside("box", sys.executable, "-c", SERVER, address, str(port))
            server = subprocess.Popen(argv)
            stack.callback(server.wait)
            stack.callback(server.kill)
            _until_it_answers(made, address, port)
        yield made


def _until_it_answers(net: Net, address: str, port: int) -> None:
    until = time.monotonic() + 15
    while not net.ask("box", address, port):
        assert time.monotonic() < until
        time.sleep(0.1)


def look(net: Net) -> Host:
    """The box, with what is not under test already well."""
    shell = InBox(net)
    listed = shell.read("nft", "list", "table", *TABLE)
    table = "" if listed.code else listed.text
    firewall = Firewall(shutil.which("nft") or "", table, interface=True)
    side = Tailnet("tailscale", state="Running", name="box.ts.net", address=TAILNET)
    return Host(os=Os("linux", root=True), tailscale=Tailscale(linux=side), firewall=firewall)


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
