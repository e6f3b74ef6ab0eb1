"""What the doctor says of what others reach: nothing where nothing is, and each excess."""

from dataclasses import replace
from typing import Any

import pytest

from lifecycle.host import (
    Exposed,
    Firewall,
    Gateway,
    Host,
    Mount,
    Os,
    Serving,
    Tailnet,
    Tailscale,
)
from lifecycle.steps import bind, exposure
from tests.unit.given import missing

NAME = "box.tail1a2b3c.ts.net"
SIDE = Tailnet("/usr/bin/tailscale", "1.102.4", "Running", NAME, operator="me")
OURS = Exposed("linux", "", NAME, 443, "https", "/v1", "http://127.0.0.1:8080/v1")
CARD = Exposed("linux", "4090", NAME, 8443, "https", "/v1", "http://127.0.0.1:8001/v1")
KNOWN = Serving(engines={8001: "backend 4090", 8081: "the gateway's figures"}, gateway=8080)
KEPT = "exposure.kept"
WHOLE = "exposure.closed"
PUBLIC = "exposure.private"
INSIDE = "exposure.inside"


def host(side: Tailnet = SIDE, **serving: Any) -> Host:
    return Host(
        os=Os("linux", account="me"),
        tailscale=Tailscale(linux=side),
        serving=replace(KNOWN, **serving),
    )


def said(on: Host) -> dict[str, str]:
    return missing(exposure.steps(on), on)


def fix(on: Host, name: str) -> str:
    return next(step.fix for step in exposure.steps(on) if step.id == name)


def test_where_nothing_is_exposed_there_is_nothing_to_say() -> None:
    assert exposure.steps(host()) == []
    assert exposure.steps(Host()) == []


def test_what_is_as_it_was_meant_is_told_with_its_addresses() -> None:
    on = host(written=(OURS, CARD), mounts=(OURS.mount, CARD.mount))
    assert said(on) == {}
    first = exposure.steps(on)[0]
    assert first.found(on) == (
        f"the gateway: https://{NAME}/v1; backend 4090: https://{NAME}:8443/v1"
    )


def test_no_line_stands_in_anybodys_way() -> None:
    on = host(
        written=(OURS,),
        wide={8001: "0.0.0.0"},
        mounts=(replace(CARD.mount, target="127.0.0.1:8001"),),
    )
    plan = exposure.steps(on)
    assert len(plan) == 4
    assert all(step.advice and not step.actions for step in plan)


@pytest.mark.parametrize(
    "mounts",
    [
        (),
        (replace(CARD.mount, target="http://127.0.0.1:4"),),
        (replace(CARD.mount, name="old." + NAME),),
    ],
    ids=["taken away", "led elsewhere", "under another name"],
)
def test_what_is_not_served_any_more_is_told_with_both_ways(mounts: tuple[Mount, ...]) -> None:
    on = host(written=(OURS, CARD), mounts=(OURS.mount, *mounts))
    assert said(on)[KEPT].splitlines() == [
        f"{CARD.mount.url} is written down as exposed, but Tailscale does not serve it"
    ]
    assert fix(on, KEPT) == (
        "inv unexpose --backend 4090; then, if it is still wanted: "
        "inv expose --backend 4090 --port 8443"
    )


@pytest.mark.parametrize(
    ("on", "why", "way"),
    [
        (host(replace(SIDE, state="NeedsLogin"), written=(OURS,)), "nobody is", "setup.tailscale"),
        (host(Tailnet(), written=(OURS,)), "not installed", "setup.tailscale"),
        (host(problem="no answer in 1 s", written=(OURS,)), "no answer in 1 s", "serve status"),
        (host(unreadable="exposed.json cannot be read"), "cannot be read", "serve status"),
    ],
)
def test_what_nobody_can_tell_is_not_called_served(on: Host, why: str, way: str) -> None:
    assert why in said(on)[KEPT]
    assert way in fix(on, KEPT)


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("http://127.0.0.1:8001", "backend 4090"),
        ("http://127.0.0.1:8080/v1", "the gateway"),
        ("127.0.0.1:8081", "the gateway's figures"),
        ("http://127.0.0.1:3000", ""),
        ("http://10.0.0.1:8001", ""),
    ],
)
def test_a_funnel_to_one_of_our_ports_is_told(target: str, what: str) -> None:
    mount = Mount(NAME, 443, "https", "/x", target, public=True)
    assert said(host(mounts=(replace(mount, public=False),))).get(PUBLIC, "") == ""
    on = host(mounts=(mount,))
    why = said(on).get(PUBLIC, "")
    assert (f"the whole internet reaches {what} through port 443" in why) is bool(what)
    if what:
        assert fix(on, PUBLIC).endswith("tailscale serve --https=443 --set-path=/x off")


def test_a_funnel_over_ours_ends_with_ours_and_one_in_a_terminal_there() -> None:
    public = replace(CARD.mount, public=True)
    on = host(written=(CARD,), mounts=(public,))
    assert fix(on, PUBLIC) == "inv unexpose --backend 4090"
    assert "terminal" in fix(host(mounts=(replace(public, foreground=True),)), PUBLIC)


@pytest.mark.parametrize(
    ("target", "open_"),
    [
        ("http://127.0.0.1:8001", True),
        ("http://127.0.0.1:8001/", True),
        ("http://localhost:8001/v1x", True),
        ("127.0.0.1:8001", True),
        ("https+insecure://[::1]:8001", True),
        ("http://127.0.0.1:8001/v1", False),
        ("http://127.0.0.1:8001/v1/", False),
        ("http://127.0.0.1:8080", False),
        ("http://10.0.0.1:8001", False),
        ("http://127.0.0.1:3000", False),
        ("/srv/8001", False),
        ("http://[", False),
        ("http://127.0.0.1:x", False),
    ],
)
def test_a_server_served_as_a_whole_is_found(target: str, *, open_: bool) -> None:
    on = host(mounts=(Mount(NAME, 8443, "https", "/", target),))
    assert (WHOLE in said(on)) is open_


def test_each_server_served_as_a_whole_is_told_with_its_own_command() -> None:
    one = Mount(NAME, 443, "https", "/a", "http://127.0.0.1:8001")
    forwarded = Mount("", 9000, "tcp", "", "127.0.0.1:8081")
    service = replace(forwarded, service="svc:all")
    on = host(mounts=(one, forwarded, service))
    assert len(said(on)[WHOLE].splitlines()) == 3
    assert fix(on, WHOLE).splitlines() == [
        "Take it away: tailscale serve --https=443 --set-path=/a off",
        "Take it away: tailscale serve --tcp=9000 off",
        "Take it away: tailscale serve --service=svc:all --tcp=9000 off",
    ]


def test_under_wsl_the_command_is_windows_own() -> None:
    on = Host(
        os=Os("linux", account="me", wsl=True),
        tailscale=Tailscale(windows=SIDE),
        serving=replace(KNOWN, mounts=(Mount("", 9000, "tcp", "", "127.0.0.1:8001"),)),
    )
    assert "tailscale.exe serve --tcp=9000 off" in fix(on, WHOLE)


def test_a_server_that_listens_for_all_is_told() -> None:
    on = host(wide={8001: "0.0.0.0"})
    assert "port 8001, of backend 4090, is listened on at 0.0.0.0" in said(on)[INSIDE]
    assert fix(on, INSIDE) == "inv restart --gpu 4090"


@pytest.mark.parametrize(
    ("firewall", "open_"),
    [
        (Firewall("/usr/sbin/nft", bind.rules(8080)), False),
        (Firewall("/usr/sbin/nft"), True),
        (Firewall("/usr/sbin/nft", hidden=True), False),
    ],
    ids=["behind its rule", "without it", "nobody may look"],
)
def test_a_gateway_on_the_tailnet_is_shut_behind_its_rule(
    firewall: Firewall, *, open_: bool
) -> None:
    on = replace(
        host(wide={8080: "100.64.0.1"}), gateway=Gateway(address="100.64.0.1"), firewall=firewall
    )
    assert (INSIDE in said(on)) is open_
    if open_:
        assert "its firewall rule is gone" in said(on)[INSIDE]
        assert fix(on, INSIDE) == "inv gateway.up"
