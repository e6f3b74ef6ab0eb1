"""Traefik's dynamic configuration: who may come in, and which backend gets what.

https://doc.traefik.io/traefik/v3.7/reference/routing-configuration/dynamic-configuration-methods/
"""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from lifecycle import tables
from lifecycle.clients import Client
from lifecycle.gateway.members import Member, by_model
from lifecycle.tables.gateway import Limits

REVISION = re.compile(r"/revision/([0-9a-f]{16})")
ROUTE = "X-Gateway-Route"
BUCKET = "X-Gateway-Bucket"
"""Nobody sends it, and the door lets no such header in: one bucket for all requests."""
NEXT = ["429", "502-504"]
"""Answers after which another backend is asked. 500 is not among them: what makes a model fail
should not be computed twice.
"""
HERE, ELSEWHERE = "here", "elsewhere"
"""How backends are connected to: on this machine, and on others."""
KEPT = 256
"""Connections to a backend of this machine that wait for the next request."""
NONE_KEPT = -1
"""Each request to another machine dials. A machine that is switched off, asleep or gone to another
address does not close what is open: a request sent there would wait until Linux gives up, after a
quarter of an hour. Dialling is limited, and looks the name up anew. 0 would be Go's default of 2:
https://pkg.go.dev/net/http#Transport (tryPutIdleConn in its transport.go).
"""
Part = dict[str, Any]


def text(members: Iterable[Member], clients: Iterable[Client]) -> str:
    """The whole file. It holds the backends' keys: mode 600."""
    some = list(members)
    http = _http(some, list(clients), tables.gateway.limits())
    digest = hashlib.sha256(json.dumps(http, sort_keys=True).encode()).hexdigest()[:16]
    # To ask a running gateway which configuration it is working by.
    http["routers"]["revision"] = {
        "entryPoints": ["internal"], "rule": f"Path(`/revision/{digest}`)",
        "service": "ping@internal",
    }  # fmt: skip
    # Traefik takes the file for a Go template; in JSON two braces in a row are inside a string.
    return json.dumps({"http": http}, indent=1).replace("{{", "{\\u007b") + "\n"


def revision(written: str) -> str:
    """Which configuration a file holds; "" when it holds none."""
    found = REVISION.search(written)
    return found[1] if found else ""


def _http(members: list[Member], clients: list[Client], limits: Limits) -> Part:
    routes = {name: f"m{number}" for number, name in enumerate(by_model(members))}
    served = by_model(members).items()
    alone = {some[0].name for _, some in served if len(some) == 1}
    services: Part = {one.name: _backend(one, limits, alone=one.name in alone) for one in members}
    services = {f"backend-{name}": part for name, part in services.items()}
    routers: Part = {
        "door": {"entryPoints": ["front"], "rule": "PathPrefix(`/`)", "middlewares": ["door"]},
        # Traefik wants a child for each parent, and the door may have no model at all.
        "nobody": _child("none", "noop@internal"),
    }
    for name, some in served:
        route = routes[name]
        services |= _orders(route, some)
        routers[route] = _child(route, route)
    told = {name for name, some in served if any(one.expected for one in some)}
    door = _door(routes, told, clients, limits)
    middlewares: Part = {"door": {"plugin": {"door": door}}}
    for one in members:
        middlewares |= _towards(one)
    return {
        "routers": routers, "services": services, "middlewares": middlewares,
        "serversTransports": {
            HERE: {"maxIdleConnsPerHost": KEPT, "forwardingTimeouts": _timeouts(limits)},
            ELSEWHERE: {
                "maxIdleConnsPerHost": NONE_KEPT,
                # Over HTTP/2 all requests would share one connection, and keep it.
                "disableHTTP2": True,
                "forwardingTimeouts": _timeouts(limits),
            },
        },
    }  # fmt: skip


def _child(route: str, service: str) -> Part:
    return {"parentRefs": ["door"], "rule": f"Header(`{ROUTE}`, `{route}`)", "service": service}


def _door(routes: dict[str, str], told: set[str], clients: list[Client], limits: Limits) -> Part:
    return {
        "clients": [
            {"name": c.name, "sha256": c.sha256, "rate": c.rate, "inFlight": c.in_flight}
            for c in clients
        ],
        "models": [
            {"id": name, "route": route, "listed": name in told} for name, route in routes.items()
        ],
        "paths": list(tables.gateway.paths()),
        "maxBody": limits.body_bytes,
    }


def _towards(one: Member) -> Part:
    """What happens to a request on its way to one backend: counted, and given that one's key."""
    headers = {ROUTE: "", **({"Authorization": f"Bearer {one.key}"} if one.key else {})}
    source = {"requestHeaderName": BUCKET}
    return {
        f"cap-{one.name}": {"inFlightReq": {"amount": one.cap, "sourceCriterion": source}},
        f"key-{one.name}": {"headers": {"customRequestHeaders": headers}},
    }


def _backend(one: Member, limits: Limits, *, alone: bool) -> Part:
    """A service of its own for each: so each has its cap, its key, and its name in the log."""
    balancer: Part = {
        "servers": [{"url": one.url}],
        "passHostHeader": False,
        "serversTransport": ELSEWHERE if one.elsewhere else HERE,
        "healthCheck": {
            **_question(one),
            "interval": f"{limits.check_seconds}s",
            "unhealthyInterval": f"{limits.check_seconds}s",
            "timeout": f"{limits.check_limit_seconds}s",
        },
    }
    if not alone:
        # A backend that nobody can stand in for is not put aside for its errors.
        balancer["passiveHealthCheck"] = {
            "failureWindow": f"{limits.failure_seconds}s",
            "maxFailedAttempts": limits.failures,
        }
    return {"middlewares": [f"cap-{one.name}", f"key-{one.name}"], "loadBalancer": balancer}


def _question(one: Member) -> Part:
    """What a backend is asked to know whether it is well.

    vLLM's own `/health` knows when the engine is dead. Of another machine `/v1` may be all there is
    to see (`inv expose --backend`), and below it vLLM asks for the key.
    """
    if not one.elsewhere:
        return {"path": "/health"}
    return {
        "path": "/v1/models",
        "headers": {"Authorization": f"Bearer {one.key}"} if one.key else {},
        # A page that leads to a login is no backend, and the key is for this address alone.
        "status": 200,
        "followRedirects": False,
    }


def _orders(route: str, some: list[Member]) -> Part:
    """Whom to ask for a model, and whom after that.

    Requests take turns in beginning with each backend of the best tier; where that one is full,
    down or failing, they go on to the others of its tier, then to the next tier.
    """
    best = [one for one in some if one.tier == some[0].tier]
    rest = some[len(best) :]
    services: Part = {}
    starts = []
    for number, one in enumerate(best):
        order = [*best[number:], *best[:number], *rest]
        first, parts = _chain(f"{route}-{one.name}", [f"backend-{each.name}" for each in order])
        services |= parts
        starts.append({"name": first, "weight": 1})
    return {**services, route: {"weighted": {"services": starts}}}


def _chain(name: str, order: list[str]) -> tuple[str, Part]:
    """One after the other; a link for each that has another one behind it."""
    last, parts = order[-1], Part()
    for place in range(len(order) - 2, -1, -1):
        link = f"{name}-{place}"
        parts[link] = {
            "failover": {
                "service": order[place],
                "fallback": last,
                # -1: a limit here would be set aside in memory for each request.
                "errors": {"status": NEXT, "maxRequestBodyBytes": -1},
            }
        }
        last = link
    return last, parts


def _timeouts(limits: Limits) -> Part:
    return {
        "dialTimeout": f"{limits.dial_seconds}s",
        # An answer that is not streamed takes as long as it takes.
        "responseHeaderTimeout": "0s",
        "idleConnTimeout": f"{limits.keep_seconds}s",
    }
