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


def test_on_the_tailnet_only_the_front_listens_there() -> None:
    text = traefik.text(8080, "100.64.0.1")
    addresses = [point["address"] for point in json.loads(text)["entryPoints"].values()]
    assert addresses == ["100.64.0.1:8080", "127.0.0.1:8081"]
    assert traefik.listens(text) == ("100.64.0.1", 8080)
    assert traefik.listens(traefik.text(8080)) == (traefik.LOOPBACK, 8080)


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
