import hashlib
import json
from typing import Any

import pytest

from lifecycle.clients import Client
from lifecycle.gateway import routing, traefik
from lifecycle.gateway.members import Member

ALICE = Client("alice", hashlib.sha256(b"sk").hexdigest(), "2026-11-22", rate=60, in_flight=4)


def one(name: str, tier: str = "gpu", *models: str, cap: int = 4, **more: Any) -> Member:
    return Member(name, f"http://{name}:8000", tier, cap, f"sk-{name}", models or ("m",), **more)


def http(*members: Member) -> dict[str, Any]:
    found = json.loads(routing.text(members, [ALICE]))["http"]
    assert isinstance(found, dict)
    return found


def door(whole: dict[str, Any]) -> dict[str, Any]:
    """What the door is told."""
    told = whole["middlewares"]["door"]["plugin"]["door"]
    assert isinstance(told, dict)
    return told


def order(whole: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Who takes turns for the first model, and who comes after them."""
    model = door(whole)["models"][0]
    return model["first"], model["then"]


def test_cards_take_turns_and_the_cpu_comes_last() -> None:
    assert order(http(one("c", "cpu"), one("b"), one("a"))) == (["a", "b"], ["c"])
    assert order(http(one("c", "cpu"), one("d", "cpu"))) == (["c", "d"], [])
    assert order(http(one("a"))) == (["a"], [])


def test_every_name_that_is_used_is_there() -> None:
    whole = http(one("a"), one("b", "gpu", "m", "n"), one("c", "cpu"), one("d", "cpu", "x/y"))
    services, middlewares = whole["services"], whole["middlewares"]
    for service in services.values():
        assert set(service["middlewares"]) <= set(middlewares)
    for router in whole["routers"].values():
        known = {*services, "ping@internal", "noop@internal", None}
        assert router.get("service") in known
    told = door(whole)
    for backend in told["backends"]:
        assert {backend["checked"], backend["always"]} <= set(whole["routers"])
    names = {backend["name"] for backend in told["backends"]}
    for model in told["models"]:
        assert {*model["first"], *model["then"]} <= names


def test_of_two_ways_to_a_backend_one_stays_open_while_it_misses_checks() -> None:
    services = http(one("a"))["services"]
    checks = {name: "healthCheck" in part["loadBalancer"] for name, part in services.items()}
    assert checks == {"backend-a": True, "unchecked-a": False}
    assert {part["loadBalancer"]["servers"][0]["url"] for part in services.values()} == {
        "http://a:8000"
    }


def test_each_backend_has_its_cap_and_its_own_key() -> None:
    whole = http(one("a", cap=7), one("b"))
    assert [(each["name"], each["cap"]) for each in door(whole)["backends"]] == [("a", 7), ("b", 4)]
    headers = whole["middlewares"]["key-a"]["headers"]["customRequestHeaders"]
    assert headers == {"X-Gateway-Route": "", "Authorization": "Bearer sk-a"}
    for way in ("backend-a", "unchecked-a"):
        assert whole["services"][way]["middlewares"] == ["key-a"]


def test_of_another_machine_v1_may_be_all_there_is_to_ask() -> None:
    services = http(one("a"), one("b", elsewhere=True))["services"]
    here, there = (services[f"backend-{name}"]["loadBalancer"]["healthCheck"] for name in "ab")
    assert here["path"] == "/health"
    assert "headers" not in here
    assert there["path"] == "/v1/models"
    assert there["headers"] == {"Authorization": "Bearer sk-b"}
    assert (there["status"], there["followRedirects"]) == (200, False)
    assert here["interval"] == there["interval"]


def test_a_backend_elsewhere_without_a_key_is_asked_without_one() -> None:
    open_ = Member("a", "https://a.ts.net", "gpu", 4, "", ("m",), elsewhere=True)
    assert http(open_)["services"]["backend-a"]["loadBalancer"]["healthCheck"]["headers"] == {}


def test_a_connection_to_another_machine_is_not_kept() -> None:
    whole = http(one("a"), one("b", elsewhere=True))
    named = [whole["services"][f"backend-{n}"]["loadBalancer"]["serversTransport"] for n in "ab"]
    here, there = (whole["serversTransports"][name] for name in named)
    assert here["maxIdleConnsPerHost"] > 0
    # Of HTTP/2 Go keeps one whatever this says.
    assert (there["maxIdleConnsPerHost"], there["disableHTTP2"]) == (-1, True)
    assert {each["forwardingTimeouts"]["dialTimeout"] for each in (here, there)} == {"2s"}


def test_the_door_knows_digests_limits_and_lengths() -> None:
    told = door(http(one("a", lengths={"m": 4096})))
    assert told["clients"] == [{"name": "alice", "sha256": ALICE.sha256, "rate": 60, "inFlight": 4}]
    assert told["models"] == [{"id": "m", "first": ["a"], "then": [], "maxLength": 4096}]
    assert "/v1/chat/completions" in told["paths"]
    assert "/v1/messages" in told["paths"]
    assert not any("metrics" in path for path in told["paths"])
    assert told["origins"] == []


def test_the_length_of_a_model_is_what_each_of_its_backends_takes() -> None:
    some = one("a", lengths={"m": 8192}), one("b", lengths={"m": 4096}), one("c", lengths={})
    assert door(http(*some))["models"][0]["maxLength"] == 4096


def test_a_server_that_nobody_started_is_not_behind_it() -> None:
    whole = http(one("a"), one("b", "gpu", "quiet", expected=False))
    assert [model["id"] for model in door(whole)["models"]] == ["m"]
    assert not any("-b" in name for name in whole["services"])


def test_pages_that_may_ask_are_told_to_the_door() -> None:
    text = routing.text([one("a")], [ALICE], ["https://chat.example.org"])
    assert door(json.loads(text)["http"])["origins"] == ["https://chat.example.org"]
    assert routing.revision(text) != routing.revision(routing.text([one("a")], [ALICE]))


def test_a_revision_is_of_its_content() -> None:
    text = routing.text([one("a")], [ALICE])
    assert routing.revision(text)
    assert routing.revision(text) == routing.revision(routing.text([one("a")], [ALICE]))
    assert routing.revision(text) != routing.revision(routing.text([one("a")], []))
    assert routing.revision("nothing") == ""


def test_nothing_in_it_is_a_template() -> None:
    odd = Member("a", "http://a:8000", "gpu", 4, '{{ env "HOME" }}', ("m",))
    text = routing.text([odd], [])
    assert "{{" not in text
    key = json.loads(text)["http"]["middlewares"]["key-a"]["headers"]["customRequestHeaders"]
    assert key["Authorization"] == 'Bearer {{ env "HOME" }}'


def test_without_backends_the_door_still_stands() -> None:
    whole = http()
    assert whole["routers"]["door"]["middlewares"] == ["door"]
    assert [r for r in whole["routers"].values() if r.get("parentRefs") == ["door"]]


def test_traefik_listens_on_loopback_only_and_calls_nobody() -> None:
    static = json.loads(traefik.text(8080))
    addresses = {name: point["address"] for name, point in static["entryPoints"].items()}
    assert addresses == {"front": "127.0.0.1:8082", "internal": "127.0.0.1:8081"}
    assert static["global"] == {"checkNewVersion": False, "sendAnonymousUsage": False}
    assert "api" not in static
    assert static["metrics"]["prometheus"]["entryPoint"] == "internal"


def test_the_door_lets_clients_in_where_it_is_told() -> None:
    text = traefik.front(8080, "100.64.0.1")
    assert json.loads(text) == {"outside": "100.64.0.1:8080", "inside": "127.0.0.1:8082"}
    assert traefik.listens(text) == ("100.64.0.1", 8080)
    assert traefik.listens(traefik.front(8080)) == (traefik.LOOPBACK, 8080)


def test_of_a_gateway_of_before_it_is_known_where_it_listens() -> None:
    old = {"entryPoints": {"front": {"address": "100.64.0.1:8080"}}}
    assert traefik.listens(json.dumps(old)) == ("100.64.0.1", 8080)


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"entryPoints": null}'])
def test_other_files_do_not_say_where_it_listens(text: str) -> None:
    assert traefik.listens(text) == ("", 0)


def test_the_log_keeps_what_is_listed_and_no_header_of_a_client() -> None:
    fields = json.loads(traefik.text(8080))["accessLog"]["fields"]
    assert fields["defaultMode"] == fields["headers"]["defaultMode"] == "drop"
    assert fields["queryParameters"]["defaultMode"] == "drop"
    assert set(fields["headers"]["names"]) == {
        "Gateway-Key", "Gateway-Model", "Gateway-First-Byte-Ms",
    }  # fmt: skip
