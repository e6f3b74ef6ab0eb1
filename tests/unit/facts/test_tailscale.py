"""Both sides of Tailscale, from what its command line prints."""

import json
from typing import Any

import pytest

from lifecycle.facts import tailscale
from lifecycle.host import Os, Tailnet, Tailscale
from lifecycle.machine import Replay
from lifecycle.shell import Output

LINUX, WSL = Os("linux"), Os("linux", wsl=True)
HERE, THERE = "/usr/bin/tailscale", "/mnt/c/Program Files/Tailscale/tailscale.exe"
ASKED = "status --json --peers=false"
NOBODY = "0" * 64
# Recorded of a tailscaled 1.98.8 nobody had logged in to; found in public test files.
LOGGED_OUT = f"""{{
  "Version": "1.98.8-t1241b225b-g0520dfda5",
  "TUN": true,
  "BackendState": "NeedsLogin",
  "AuthURL": "",
  "TailscaleIPs": null,
  "Self": {{"ID": "", "PublicKey": "nodekey:{NOBODY}", "HostName": "box", "DNSName": "",
    "OS": "linux", "UserID": 0, "TailscaleIPs": null, "Online": false}},
  "Health": ["Tailscale is stopped."],
  "MagicDNSSuffix": "",
  "CurrentTailnet": null,
  "CertDomains": null,
  "Peer": null,
  "User": null,
  "ClientVersion": null
}}"""
# Recorded of 1.102.4 minutes after its first login, scrubbed by those who recorded it.
JOINED: dict[str, Any] = {
    "Version": "1.102.4-t3caf7d9e7-g084ee3b64",
    "TUN": True,
    "BackendState": "Running",
    "AuthURL": "",
    "Self": {"HostName": "box", "DNSName": "box.tail1a2b3c.ts.net.", "Online": True},
    "Health": [],
    "CurrentTailnet": {"Name": "scrubbed", "MagicDNSEnabled": True},
    "CertDomains": None,
    "Peer": None,
}
# cmd/tailscale/cli/diag.go
NO_SERVICE = (
    "failed to connect to local tailscaled; it doesn't appear to be running "
    "(sudo systemctl start tailscaled ?)\n"
)


def linux(status: Output, preferences: str = "{}", **more: Output) -> Replay:
    return Replay({
        "ask: tailscale.linux": Output(0, json.dumps(HERE)),
        f"run: {HERE} {ASKED}": status,
        f"run: {HERE} debug prefs": Output(0, preferences),
        **more,
    })  # fmt: skip


def test_a_machine_without_tailscale_is_asked_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Replay({})
    monkeypatch.setattr(nothing, "run", lambda *_, **__: pytest.fail("a program was run"))
    assert tailscale.look(nothing, WSL) == Tailscale()


def test_a_tailnet_that_is_joined_has_a_name_without_its_last_dot() -> None:
    side = tailscale.look(linux(Output(0, json.dumps(JOINED))), LINUX).linux
    assert side == Tailnet(HERE, "1.102.4", "Running", "box.tail1a2b3c.ts.net")
    assert side.joined


def test_certificates_are_there_when_the_tailnet_names_a_domain_for_them() -> None:
    status = {**JOINED, "CertDomains": ["box.tail1a2b3c.ts.net"]}
    assert tailscale.parse(HERE, 0, json.dumps(status), "").certificates


def test_a_service_nobody_is_logged_in_to() -> None:
    side = tailscale.look(linux(Output(0, LOGGED_OUT)), LINUX).linux
    assert side == Tailnet(HERE, "1.98.8", "NeedsLogin")
    assert not side.joined


def test_the_address_of_a_login_that_was_begun_is_not_kept() -> None:
    # Whoever has it logs this machine in as himself.
    status = LOGGED_OUT.replace(
        '"AuthURL": ""', '"AuthURL": "https://login.tailscale.com/a/1223456abc"'
    )
    assert "1223456abc" not in repr(tailscale.parse(HERE, 0, status, ""))


@pytest.mark.parametrize("self_", [None, [], {}, {"DNSName": None}])
def test_what_is_null_or_of_another_kind_is_absent(self_: object) -> None:
    status = json.dumps({"BackendState": "NoState", "Self": self_, "Version": None})
    assert tailscale.parse(HERE, 0, status, "") == Tailnet(HERE, state="NoState")


def test_a_service_that_does_not_run_is_a_problem_in_its_own_words() -> None:
    side = tailscale.look(linux(Output(1, "", NO_SERVICE)), LINUX).linux
    assert side == Tailnet(HERE, problem=NO_SERVICE.strip())


@pytest.mark.parametrize(
    ("code", "text", "problem"),
    [
        (124, "", "it ended with exit code 124"),
        (0, "[]", "[]"),
        (0, "{", "{"),
    ],
)
def test_no_status_at_all_is_a_problem(code: int, text: str, problem: str) -> None:
    assert tailscale.parse(HERE, code, text, "").problem == problem


def test_who_may_change_it_without_root() -> None:
    preferences = (
        '{\n\t"ControlURL": "https://controlplane.tailscale.com",\n\t"OperatorUser": "me"\n}'
    )
    found = tailscale.look(linux(Output(0, json.dumps(JOINED)), preferences), LINUX)
    assert found.linux.operator == "me"


def test_preferences_that_cannot_be_read_name_nobody() -> None:
    found = tailscale.look(linux(Output(0, json.dumps(JOINED)), "Access denied"), LINUX)
    assert found.linux.operator == ""


def test_under_wsl_windows_is_asked_at_its_usual_place() -> None:
    found = tailscale.look(
        Replay({
            f"exists: {THERE}": Output(0, ""),
            f"run: '{THERE}' {ASKED}": Output(0, json.dumps(JOINED)),
        }),
        WSL,
    )  # fmt: skip
    assert found.windows == Tailnet(THERE, "1.102.4", "Running", "box.tail1a2b3c.ts.net")
    assert found.linux == Tailnet()


def test_under_wsl_windows_is_found_on_the_path_too() -> None:
    found = tailscale.look(
        Replay({
            "ask: tailscale.windows": Output(0, '"/mnt/d/ts/tailscale.exe"'),
            f"run: /mnt/d/ts/tailscale.exe {ASKED}": Output(126, "", "[Errno 8] Exec format error"),
        }),
        WSL,
    )  # fmt: skip
    assert found.windows.problem == "[Errno 8] Exec format error"


def test_outside_wsl_nobody_looks_for_windows() -> None:
    there = {f"exists: {THERE}": Output(0, ""), f"run: '{THERE}' {ASKED}": Output(0, LOGGED_OUT)}
    assert tailscale.look(Replay(there), LINUX).windows == Tailnet()


def test_on_windows_there_is_no_other_side() -> None:
    program = "C:/Program Files/Tailscale/tailscale.exe"
    found = tailscale.look(
        Replay({
            f"exists: {program}": Output(0, ""),
            f"run: '{program}' {ASKED}": Output(0, LOGGED_OUT),
            "ask: tailscale.linux": Output(0, '"never asked"'),
        }),
        Os("win32"),
    )  # fmt: skip
    assert found.windows.state == "NeedsLogin"
    assert found.linux == Tailnet()


def test_sizes_of_packets() -> None:
    found = tailscale.look(
        Replay({
            "file: /sys/class/net/eth0/mtu": Output(0, "1280\n"),
            "file: /sys/class/net/tailscale0/mtu": Output(0, "1280\n"),
        }),
        WSL,
    )  # fmt: skip
    assert (found.mtu_outside, found.mtu_tailscale) == (1280, 1280)


def test_only_that_there_is_a_key_is_known() -> None:
    found = tailscale.look(Replay({"ask: tailscale.key": Output(0, "true")}), LINUX)
    assert found.key is True


@pytest.mark.parametrize(
    ("tailnet", "resolved"),
    [
        ({"MagicDNSEnabled": True}, True),
        ({"MagicDNSEnabled": False}, False),
        ({"MagicDNSEnabled": None}, True),
        ({}, True),
        (None, True),
    ],
)
def test_a_name_is_found_unless_magicdns_is_off(tailnet: object, *, resolved: bool) -> None:
    side = tailscale.parse(HERE, 0, json.dumps({**JOINED, "CurrentTailnet": tailnet}), "")
    assert (side.name, side.resolved) == ("box.tail1a2b3c.ts.net", resolved)


@pytest.mark.parametrize(
    "text",
    [
        "Warning: client version != tailscaled server version\n{}",
        "{}\n# Health check:\n#  - not connected\n",
        "{}",
    ],
)
@pytest.mark.parametrize("code", [0, 1])
def test_a_good_answer_counts_whatever_else_is_said(text: str, code: int) -> None:
    side = tailscale.parse(
        HERE, code, text.replace("{}", json.dumps(JOINED, indent=2)), "a warning"
    )
    assert (side.state, side.problem) == ("Running", "")
