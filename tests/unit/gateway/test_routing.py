import hashlib
import json
from typing import Any

from lifecycle.clients import Client
from lifecycle.gateway import routing, traefik
from lifecycle.gateway.members import Member

ALICE = Client("alice", hashlib.sha256(b"sk").hexdigest(), "2026-11-22", rate=60, in_flight=4)


def one(name: str, tier: str = "gpu", *models: str, cap: int = 4, expected: bool = True) -> Member:
    return Member(name, f"http://{name}:8000", tier, cap, f"sk-{name}", models or ("m",),
                  expected=expected)  # fmt: skip


def http(*members: Member) -> dict[str, Any]:
    found = json.loads(routing.text(members, [ALICE]))["http"]
    assert isinstance(found, dict)
    return found


def orders(whole: dict[str, Any], route: str = "m0") -> list[list[str]]:
    """Whom Traefik asks for a model, in each of the orders that take turns."""
    found = []
    for start in whole["services"][route]["weighted"]["services"]:
        name, order = start["name"], []
        while "failover" in whole["services"][name]:
            order.append(whole["services"][name]["failover"]["service"])
            name = whole["services"][name]["failover"]["fallback"]
        found.append([each.removeprefix("backend-") for each in (*order, name)])
    return found


def test_every_order_begins_with_another_card_and_ends_on_the_cpu() -> None:
    assert orders(http(one("c", "cpu"), one("b"), one("a"))) == [["a", "b", "c"], ["b", "a", "c"]]
    assert orders(http(one("c", "cpu"), one("d", "cpu"))) == [["c", "d"], ["d", "c"]]
    assert orders(http(one("a"))) == [["a"]]


def test_every_name_that_is_used_is_there() -> None:
    whole = http(one("a"), one("b", "gpu", "m", "n"), one("c", "cpu"), one("d", "cpu", "x/y"))
    services, middlewares = whole["services"], whole["middlewares"]
    for service in services.values():
        assert set(service.get("middlewares", ())) <= set(middlewares)
        for link in service.get("weighted", {"services": ()})["services"]:
            assert link["name"] in services
        if "failover" in service:
            assert {service["failover"]["service"], service["failover"]["fallback"]} <= set(
                services
            )
    for router in whole["routers"].values():
        known = {*services, "ping@internal", "noop@internal", None}
        assert router.get("service") in known


def test_each_backend_has_its_cap_and_its_own_key() -> None:
    whole = http(one("a", cap=7), one("b"))
    assert whole["middlewares"]["cap-a"]["inFlightReq"]["amount"] == 7
    headers = whole["middlewares"]["key-a"]["headers"]["customRequestHeaders"]
    assert headers == {"X-Gateway-Route": "", "Authorization": "Bearer sk-a"}
    assert whole["services"]["backend-a"]["middlewares"] == ["cap-a", "key-a"]


def test_only_a_backend_with_a_substitute_is_put_aside_for_errors() -> None:
    whole = http(one("a", "gpu", "m", "n"), one("b"), one("c", "gpu", "x"))
    aside = {
        name
        for name, service in whole["services"].items()
        if "passiveHealthCheck" in service.get("loadBalancer", {})
    }
    assert aside == {"backend-b"}


def test_500_is_nothing_to_ask_another_for() -> None:
    whole = http(one("a"), one("b"))
    status = [s["failover"]["errors"]["status"] for s in whole["services"].values()
              if "failover" in s]  # fmt: skip
    assert status == [["429", "502-504"]] * 2


def test_the_door_knows_digests_and_limits() -> None:
    door = http(one("a"), one("b", "gpu", "quiet", expected=False))["middlewares"]["door"]
    told = door["plugin"]["door"]
    assert told["clients"] == [{"name": "alice", "sha256": ALICE.sha256, "rate": 60, "inFlight": 4}]
    assert told["models"] == [
        {"id": "m", "route": "m0", "listed": True},
        {"id": "quiet", "route": "m1", "listed": False},
    ]
    assert "/v1/chat/completions" in told["paths"]
    assert not any("metrics" in path or not path.startswith("/v1/") for path in told["paths"])


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
    assert addresses == {"front": "127.0.0.1:8080", "internal": "127.0.0.1:8081"}
    assert static["global"] == {"checkNewVersion": False, "sendAnonymousUsage": False}
    assert "api" not in static
    assert static["metrics"]["prometheus"]["entryPoint"] == "internal"


def test_the_log_keeps_what_is_listed_and_no_header_of_a_client() -> None:
    fields = json.loads(traefik.text(8080))["accessLog"]["fields"]
    assert fields["defaultMode"] == fields["headers"]["defaultMode"] == "drop"
    assert fields["queryParameters"]["defaultMode"] == "drop"
    assert set(fields["headers"]["names"]) == {
        "Gateway-Key", "Gateway-Model", "Gateway-First-Byte-Ms",
    }  # fmt: skip
