"""The rule that keeps the local network from a gateway on the tailnet's address."""

from dataclasses import replace
from typing import Any

import pytest

from lifecycle.host import Firewall, Gateway, Host, Os, Serving, Tailnet, Tailscale
from lifecycle.step import Command, WriteFile
from lifecycle.steps import bind
from tests.unit.given import PATHS, missing

# As nft 1.0.6 lists it.
LISTED = """\
table inet vllm_gateway {
	chain input {
		type filter hook input priority filter; policy accept;
		tcp dport 8080 iifname != { "lo", "tailscale0" } drop
	}
}
"""
SIDE = Tailnet("/usr/bin/tailscale", "1.102.4", "Running", "box.ts.net", address="100.64.0.1")
READY = Firewall("/usr/sbin/nft", LISTED, interface=True)
STATE = "bind.rule"


def host(firewall: Firewall = READY, side: Tailnet = SIDE, **os: Any) -> Host:
    user = Os("linux", account="me", sudo=True, **os)
    return Host(
        os=user,
        tailscale=Tailscale(linux=side),
        firewall=firewall,
        serving=Serving(clients=1),
        gateway=Gateway(address="100.64.0.1"),
    )


def left(on: Host) -> dict[str, str]:
    return missing(bind.steps(on, PATHS, 8080), on)


def test_with_the_rule_there_is_nothing_to_do() -> None:
    assert left(host()) == {}


@pytest.mark.parametrize(
    "table",
    [
        "",
        LISTED.replace("8080", "8081"),
        LISTED.replace("8080", "18080"),
        LISTED.replace('"lo", "tailscale0"', '"lo", "tailscale0", "eth0"'),
        LISTED.replace('"lo", "tailscale0"', '"lo"'),
        LISTED.replace("drop", "accept"),
        LISTED.replace("hook input", "hook output"),
        LISTED.replace("!= {", "{"),
    ],
)
def test_any_other_rule_is_none(table: str) -> None:
    assert list(left(host(replace(READY, table=table)))) == [STATE]


def test_the_rule_is_shown_first_and_put_in_place_by_root() -> None:
    on = host(replace(READY, table=""))
    assert bind.rules(8080) in left(on)[STATE]
    file, command = bind.steps(on, PATHS, 8080)[-1].actions
    assert isinstance(file, WriteFile)
    assert isinstance(command, Command)
    assert file.text == bind.rules(8080)
    assert command.argv == ("sudo", "/usr/sbin/nft", "-f", str(file.path))
    as_root = bind.steps(host(replace(READY, table=""), root=True), PATHS, 8080)[-1].actions[1]
    assert isinstance(as_root, Command)
    assert as_root.argv[0] == "/usr/sbin/nft"


@pytest.mark.parametrize(
    ("firewall", "side", "why"),
    [
        (READY, replace(SIDE, state="NeedsLogin"), "nobody is logged in"),
        (READY, replace(SIDE, address=""), "no IPv4 address"),
        (replace(READY, interface=False), SIDE, "userspace"),
        (replace(READY, program=""), SIDE, "no nft command"),
    ],
)
def test_what_only_a_person_can_mend(firewall: Firewall, side: Tailnet, why: str) -> None:
    on = host(firewall, side)
    assert why in next(iter(left(on).values()))
    assert why in " ".join(
        step.missing(on) for step in bind.steps(on, PATHS, 8080) if not step.actions
    )


def test_without_a_key_it_is_refused_and_nothing_is_changed() -> None:
    on = replace(host(), serving=Serving())
    (refused,) = [step for step in bind.needed() if step.missing(on)]
    assert "inv key.add" in refused.fix
    assert not any(step.actions for step in bind.needed())


def test_a_rule_that_may_be_there_is_taken_away_and_one_that_is_seen_to_be_gone_is_not() -> None:
    (step,) = bind.removal(host(Firewall("/usr/sbin/nft", hidden=True)))
    assert step.missing(host(Firewall("/usr/sbin/nft", hidden=True)))
    assert not step.missing(host(Firewall("/usr/sbin/nft")))


@pytest.mark.parametrize(
    ("firewall", "address", "expected"),
    [
        (READY, "100.64.0.1", False),
        (replace(READY, table=""), "100.64.0.1", True),
        (replace(READY, table=LISTED.replace("8080", "9090")), "100.64.0.1", True),
        (replace(READY, table="", hidden=True), "100.64.0.1", False),
        (replace(READY, table=""), "127.0.0.1", False),
        (replace(READY, table=""), "", False),
    ],
)
def test_a_missing_rule_is_noticed(firewall: Firewall, address: str, *, expected: bool) -> None:
    on = replace(host(firewall), gateway=Gateway(address=address))
    assert bind.open_to_all(on, 8080) is expected


def test_only_our_table_is_taken_away() -> None:
    (step,) = bind.removal(host())
    (command,) = step.actions
    assert step.missing(host())
    assert isinstance(command, Command)
    ours = "inet vllm_gateway"
    assert command.argv == ("sudo", "/usr/sbin/nft", f"add table {ours}; delete table {ours}")
    assert not step.missing(host(replace(READY, table="")))
    assert bind.removal(host(Firewall())) == []
