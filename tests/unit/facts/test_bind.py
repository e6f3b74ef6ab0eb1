"""The firewall's table, as root or another account sees it, and the tailnet's address."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lifecycle import clients
from lifecycle.facts import bind, tailscale
from lifecycle.host import Firewall, Os
from lifecycle.machine import Replay
from lifecycle.paths import Paths
from lifecycle.shell import Output, Shell

NFT = "/usr/sbin/nft"
LIST = f"{NFT} list table inet vllm_gateway"
TABLE = "table inet vllm_gateway {\n}\n"


def machine(**more: Output) -> Replay:
    return Replay({
        "ask: bind.nft": Output(0, json.dumps(NFT)),
        "exists: /sys/class/net/tailscale0": Output(0, ""),
        **more,
    })  # fmt: skip


def test_root_asks_and_another_account_asks_without_a_password() -> None:
    known = {f"run: {LIST}": Output(0, TABLE), f"run: sudo -n {LIST}": Output(0, TABLE + "#")}
    assert bind.look(machine(**known), Os(root=True)) == Firewall(NFT, TABLE, interface=True)
    assert bind.look(machine(**known), Os()).table == TABLE + "#"


@pytest.mark.parametrize(("code", "hidden"), [(0, False), (1, True)])
def test_a_table_that_may_not_be_seen_is_hidden_and_not_absent(code: int, *, hidden: bool) -> None:
    found = {
        f"run: sudo -n {LIST}": Output(1, "", "whatever it says"),
        f"run: sudo -n {NFT} list tables": Output(code, ""),
    }
    expected = Firewall(NFT, "", interface=True, hidden=hidden)
    assert bind.look(machine(**found), Os()) == expected


def test_the_clients_are_counted(tmp_path: Path) -> None:
    clients.add(tmp_path, Shell(), clients.Client("alice", clients.digest("sk"), "2026-11-22"))
    paths = Paths(tmp_path, tmp_path, tmp_path)
    assert bind.survey(Replay({}), paths).serving.clients == 1


def test_without_nftables_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Replay({})
    monkeypatch.setattr(nothing, "run", lambda *_, **__: pytest.fail("a program was run"))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert bind.look(nothing, Os()) == Firewall()


@pytest.mark.parametrize(
    ("known", "address"),
    [
        (["100.101.102.103", "fd7a:115c:a1e0::1"], "100.101.102.103"),
        (["fd7a:115c:a1e0::1", "100.101.102.103"], "100.101.102.103"),
        (["fd7a:115c:a1e0::1"], ""),
        ([], ""),
        (None, ""),
        ("100.101.102.103", ""),
        ([None], ""),
    ],
)
def test_the_address_is_the_ipv4_one(known: Any, address: str) -> None:
    status = {"BackendState": "Running", "Self": {"TailscaleIPs": known}}
    assert tailscale.parse("tailscale", 0, json.dumps(status), "").address == address
