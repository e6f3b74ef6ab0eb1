"""What stands between a gateway and a tailnet, and what is taken back."""

import json
from dataclasses import replace
from typing import Any

import pytest

from lifecycle.host import Exposed, Host, Mount, Os, Serving, Tailnet, Tailscale
from lifecycle.step import Command, Remove, WriteFile
from lifecycle.steps import expose
from lifecycle.steps.expose import Wanted
from tests.unit.given import PATHS, actions, missing

NAME = "box.tail1a2b3c.ts.net"
SIDE = Tailnet("/usr/bin/tailscale", "1.102.4", "Running", NAME, certificates=True)
WINDOWS = replace(SIDE, program="/mnt/c/Program Files/Tailscale/tailscale.exe")
LINUX = Os("linux", account="me")
ENGINES = {8001: "backend 4090"}
WANTED = Wanted("http://127.0.0.1:8080", "inv gateway.up")
SERVER = Wanted("http://127.0.0.1:8001", "inv up --gpu 4090", "4090")
OURS = Exposed("linux", "", NAME, 443, "https", "/v1", "http://127.0.0.1:8080/v1")
CARD = Exposed("linux", "4090", NAME, 8443, "https", "/v1", "http://127.0.0.1:8001/v1")
READY = Serving(guard=401, clients=1, engines=ENGINES)
ADD = "expose.served"


def host(side: Tailnet | None = None, **serving: Any) -> Host:
    """Linux, in a tailnet, with a gateway and a key."""
    linux = side or replace(SIDE, operator="me")
    return Host(
        os=LINUX,
        tailscale=Tailscale(linux=linux),
        serving=replace(READY, **serving),
    )


def left(on: Host, wanted: Wanted = WANTED) -> dict[str, str]:
    return missing(expose.steps(on, PATHS, wanted), on)


def commands(on: Host, wanted: Wanted = WANTED) -> list[str]:
    found = actions(expose.steps(on, PATHS, wanted))
    return [" ".join(one.argv) for one in found if isinstance(one, Command)]


def test_on_a_ready_machine_only_the_serving_is_left() -> None:
    assert list(left(host())) == [ADD]
    assert commands(host()) == [
        "/usr/bin/tailscale serve --bg --https=443 --set-path=/v1 http://127.0.0.1:8080/v1"
    ]


def test_it_is_written_down_before_it_is_done() -> None:
    first, second = actions(expose.steps(host(), PATHS, WANTED))
    assert isinstance(first, WriteFile)
    assert (first.path, first.mode) == (PATHS.exposed, 0o600)
    assert isinstance(second, Command)
    assert second.limit <= 60


def test_served_and_written_down_is_all_there_is_to_do() -> None:
    assert left(host(written=(OURS,), mounts=(OURS.mount,))) == {}


def test_without_certificates_it_is_http() -> None:
    plain = host(replace(SIDE, certificates=False, operator="me"))
    assert commands(plain) == [
        "/usr/bin/tailscale serve --bg --http=80 --set-path=/v1 http://127.0.0.1:8080/v1"
    ]


def test_a_second_one_is_written_down_beside_the_first() -> None:
    on = host(written=(OURS,), mounts=(OURS.mount,))
    second = replace(SERVER, port=8443)
    note, serve = actions(expose.steps(on, PATHS, second))
    assert isinstance(note, WriteFile)
    assert isinstance(serve, Command)
    assert [one["backend"] for one in json.loads(note.text)] == ["", "4090"]
    assert "--https=8443" in serve.argv
    assert left(host(written=(OURS, CARD), mounts=(OURS.mount, CARD.mount)), second) == {}


@pytest.mark.parametrize("mounts", [(), (OURS.mount,)], ids=["noted", "served"])
def test_a_second_one_gets_no_port_of_its_own_but_the_command_with_a_free_one(
    mounts: tuple[Mount, ...],
) -> None:
    other = Mount(NAME, 8443, "https", "/", "http://127.0.0.1:3000")
    on = host(written=(OURS,), mounts=(*mounts, other))
    steps = {one.id: one for one in expose.steps(on, PATHS, SERVER)}
    step = steps["expose.path_free"]
    assert step.missing(on).startswith("the gateway is exposed there")
    assert "inv expose --backend 4090 --port 10443" in step.fix


def test_the_same_on_another_port_is_told_what_to_type() -> None:
    on = host(written=(OURS, CARD), mounts=(OURS.mount, CARD.mount))
    for wanted in (replace(SERVER, port=9443), replace(SERVER, root="http://127.0.0.1:8005")):
        step = next(one for one in expose.steps(on, PATHS, wanted) if one.id == "expose.once")
        assert "8443" in step.missing(on)
        assert step.fix == "inv unexpose --backend 4090, then the same again."
        assert step.actions == ()


def test_what_was_interrupted_is_taken_up_under_the_port_it_was_begun_with() -> None:
    """The note was written, Tailscale was not asked yet."""
    on = host(written=(OURS, CARD), mounts=(OURS.mount,))
    assert list(left(on, SERVER)) == ["expose.served"]
    assert commands(on, SERVER) == [
        "/usr/bin/tailscale serve --bg --https=8443 --set-path=/v1 http://127.0.0.1:8001/v1"
    ]


def test_what_tailscale_refused_is_forgotten_and_nothing_else() -> None:
    on = host(written=(OURS, CARD), mounts=(OURS.mount,))
    shorter = expose.forget(on, PATHS, CARD)
    assert isinstance(shorter, WriteFile)
    assert [one["backend"] for one in json.loads(shorter.text)] == [""]
    assert expose.forget(on, PATHS, OURS) is None
    assert (
        expose.forget(replace(on, serving=Serving(problem="?", written=(CARD,))), PATHS, CARD)
        is None
    )
    alone = host(written=(CARD,))
    assert expose.forget(alone, PATHS, CARD) == Remove(PATHS.exposed)


def test_what_is_exposed_stays_as_it_is_when_the_tailnet_learns_https() -> None:
    old = replace(OURS, kind="http", port=80)
    assert left(host(written=(old,), mounts=(old.mount,))) == {}
    moved = left(host(written=(old,), mounts=(old.mount,)), replace(WANTED, port=8443))
    assert "inv unexpose" not in moved
    assert moved["expose.once"].startswith("the gateway is exposed already")


def test_a_port_may_be_chosen() -> None:
    assert "--https=8443" in commands(host(), replace(WANTED, port=8443))[0]


@pytest.mark.parametrize(
    ("change", "name", "why"),
    [
        ({"clients": 0}, "expose.keyed", "nobody has a key"),
        ({"guard": 0}, "expose.guarded", "nothing answers"),
        ({"guard": 200}, "expose.guarded", "HTTP 200 without a key"),
        ({"guard": 404}, "expose.guarded", "must be 401"),
        (
            {"problem": "no answer in 10 s"},
            "expose.readable",
            "no answer in 10 s",
        ),
        (
            {"unreadable": "exposed.json cannot be read"},
            "expose.readable",
            "exposed.json",
        ),
        (
            {"written": (replace(OURS, target="http://127.0.0.1:9080/v1"),)},
            "expose.once",
            "to http://127.0.0.1:9080/v1",
        ),
    ],
)
def test_what_stands_in_the_way(change: dict[str, Any], name: str, why: str) -> None:
    assert why in left(host(**change))[name]


def test_of_a_server_its_own_key_counts() -> None:
    assert "expose.keyed" not in left(host(clients=0), SERVER)
    none = replace(SERVER, keyed=False)
    assert "everybody" in left(host(clients=0), none)["expose.keyed"]


CLASHES = {
    "the same path": Mount(NAME, 443, "https", "/v1", "http://127.0.0.1:4"),
    "ours, by somebody's hand": OURS.mount,
    "with a slash": Mount(NAME, 443, "https", "/v1/", "http://127.0.0.1:4"),
    "below it": Mount(NAME, 443, "https", "/v1/chat", "http://127.0.0.1:4"),
    "another kind": Mount(NAME, 443, "http", "/other", "http://127.0.0.1:4"),
    "forwarded": Mount("", 443, "tcp", "", "127.0.0.1:4"),
    "in a terminal": Mount(NAME, 443, "https", "/x", "http://127.0.0.1:4", foreground=True),
}


@pytest.mark.parametrize("mount", CLASHES.values(), ids=CLASHES.keys())
def test_what_is_somebodys_stays_his(mount: Mount) -> None:
    assert left(host(mounts=(mount,)))["expose.path_free"]


@pytest.mark.parametrize(
    "mount",
    [
        Mount(NAME, 443, "https", "/", "http://127.0.0.1:3000"),
        Mount(NAME, 443, "https", "/v10", "http://127.0.0.1:3000"),
        Mount(NAME, 8443, "http", "/v1", "http://127.0.0.1:3000"),
        Mount("", 22, "tcp", "", "127.0.0.1:22"),
        Mount("old." + NAME, 443, "https", "/v1", "http://127.0.0.1:3000"),
        Mount("", 443, "tcp", "", "127.0.0.1:22", service="svc:ssh"),
    ],
)
def test_what_others_serve_beside_it_is_no_matter(mount: Mount) -> None:
    assert list(left(host(mounts=(mount,)))) == [ADD]


def test_where_a_funnel_is_on_nothing_is_added() -> None:
    """Tailscale would end the funnel, and who opens it again would share ours."""
    mount = Mount(NAME, 443, "https", "/x", "http://127.0.0.1:3000", public=True)
    assert "whole internet" in left(host(mounts=(mount,)))["expose.private"]
    elsewhere = replace(mount, port=8443)
    assert list(left(host(mounts=(elsewhere,)))) == [ADD]
    assert "8443" in expose.notes(host(mounts=(elsewhere,)), PATHS)[0]


def test_who_may_not_change_it_is_told_how_he_may() -> None:
    on = host(replace(SIDE, operator="someone"))
    step = next(one for one in expose.steps(on, PATHS, WANTED) if one.id == "tailscale.operator")
    assert "someone" in step.missing(on)
    assert (step.actions, step.fix) == ((), "sudo tailscale set --operator=me")


# --- Which side


def test_under_wsl_windows_serves_where_it_is_in_the_tailnet() -> None:
    both = Host(
        os=Os("linux", account="me", wsl=True),
        tailscale=Tailscale(WINDOWS, replace(SIDE, operator="me"), 1280, 1280),
        serving=READY,
    )
    assert commands(both)[0].startswith(WINDOWS.program)
    assert any("both sides" in note for note in expose.notes(both, PATHS))


def test_held_inside_wsl_it_is_served_there_with_a_warning_about_large_packets() -> None:
    inside = Host(
        os=Os("linux", account="me", wsl=True),
        tailscale=Tailscale(
            replace(WINDOWS, state="NeedsLogin"), replace(SIDE, operator="me"), 1280, 1280
        ),
        serving=READY,
    )
    assert commands(inside)[0].startswith(SIDE.program)
    assert any("packets" in note for note in expose.notes(inside, PATHS))


@pytest.mark.parametrize(
    ("side", "why"),
    [
        (Tailnet(), "not installed"),
        (replace(SIDE, state="NeedsLogin"), "nobody is logged in"),
        (replace(SIDE, state="Stopped"), "switched off"),
        (replace(SIDE, state="", problem="no service"), "no service"),
    ],
)
def test_outside_a_tailnet_there_is_nothing_to_do_here(side: Tailnet, why: str) -> None:
    on = Host(os=LINUX, tailscale=Tailscale(linux=side), serving=READY)
    assert why in left(on)["tailscale.joined"]


def test_a_tailnet_without_names_cannot_serve() -> None:
    assert "no names" in left(host(replace(SIDE, name="")))["tailscale.named"]


# --- The way back


def removed(on: Host, *some: Exposed) -> list[object]:
    """All of them, unless some are named."""
    plan = expose.removal(on, PATHS, some or on.serving.written)
    todo = missing(plan, on)
    return [action for step in plan if step.id in todo for action in step.actions]


def test_exactly_what_was_added_is_taken_back_the_note_last() -> None:
    other = Mount(NAME, 443, "https", "/", "http://127.0.0.1:3000")
    first, last = removed(host(written=(OURS,), mounts=(OURS.mount, other)))
    assert isinstance(first, Command)
    assert first.argv == ("/usr/bin/tailscale", "serve", "--https=443", "--set-path=/v1", "off")
    assert last == Remove(PATHS.exposed)


def test_one_of_two_goes_and_the_other_stays_in_the_note() -> None:
    on = host(written=(OURS, CARD), mounts=(OURS.mount, CARD.mount))
    off, note = removed(on, CARD)
    assert isinstance(off, Command)
    assert off.argv[1:] == ("serve", "--https=8443", "--set-path=/v1", "off")
    assert isinstance(note, WriteFile)
    assert [one["backend"] for one in json.loads(note.text)] == [""]
    assert note.mode == 0o600


def test_all_are_off_before_the_note_goes() -> None:
    on = host(written=(OURS, CARD), mounts=(OURS.mount, CARD.mount))
    *offs, last = removed(on)
    assert [one.argv[2] for one in offs if isinstance(one, Command)] == [
        "--https=443",
        "--https=8443",
    ]
    assert last == Remove(PATHS.exposed)


@pytest.mark.parametrize(
    "mounts",
    [
        (),
        (replace(OURS.mount, target="http://127.0.0.1:4"),),
        (replace(OURS.mount, name="old." + NAME),),
        (replace(OURS.mount, kind="http"),),
    ],
)
def test_what_is_not_ours_any_more_is_left_alone(mounts: tuple[Mount, ...]) -> None:
    assert removed(host(written=(OURS,), mounts=mounts)) == [Remove(PATHS.exposed)]


def test_a_funnel_over_it_does_not_make_it_another() -> None:
    public = replace(OURS.mount, public=True)
    assert len(removed(host(written=(OURS,), mounts=(public,)))) == 2


def test_the_side_that_was_used_is_the_side_that_is_asked() -> None:
    """Windows joined since; it is Linux that serves."""
    on = Host(
        os=Os("linux", account="me", wsl=True),
        tailscale=Tailscale(WINDOWS, replace(SIDE, operator="me")),
        serving=replace(READY, written=(OURS,), mounts=(OURS.mount,)),
    )
    first = removed(on)[0]
    assert isinstance(first, Command)
    assert first.argv[0] == SIDE.program


@pytest.mark.parametrize("state", ["NeedsLogin", ""])
def test_a_tailscale_that_cannot_be_asked_keeps_the_note(state: str) -> None:
    on = host(replace(SIDE, state=state), written=(OURS,))
    first = expose.removal(on, PATHS, on.serving.written)[0]
    assert first.missing(on)
    assert first.actions == ()


def test_nothing_written_down_is_nothing_to_do() -> None:
    assert expose.removal(host(), PATHS, ()) == []
    (only,) = expose.removal(host(unreadable="broken"), PATHS, ())
    assert only.missing(host(unreadable="broken")) == "broken"


def test_no_plan_resets_or_funnels() -> None:
    on = host(written=(OURS,), mounts=(OURS.mount,))
    for step in (*expose.steps(on, PATHS, WANTED), *expose.removal(on, PATHS, on.serving.written)):
        for action in step.actions:
            if isinstance(action, Command):
                assert "reset" not in action.argv
                assert "funnel" not in action.argv


def test_a_name_that_leads_nowhere_is_told_before_anything_is_served() -> None:
    side = replace(SIDE, operator="me", resolved=False, certificates=False, address="100.64.0.1")
    why = left(host(side))["tailscale.named"]
    assert f"{NAME} leads nowhere: MagicDNS is off" in why
    assert "no HTTPS certificates" in why
    assert "100.64.0.1" in why
    step = next(
        one for one in expose.steps(host(side), PATHS, WANTED) if one.id == "tailscale.named"
    )
    assert step.actions == ()
    assert "https://login.tailscale.com/admin/dns" in step.fix
    assert "GATEWAY_BIND=tailnet" in step.fix
