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
CHECKED, ALWAYS = "backend", "unchecked"
"""Two ways to each backend: one is closed while it misses its checks. The door takes the other when
nobody else can answer: one that is busy misses them, too.
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


def text(members: Iterable[Member], clients: Iterable[Client], origins: Iterable[str] = ()) -> str:
    """The whole file. It holds the backends' keys: mode 600.

    Args:
        origins: of pages whose browsers may ask, as `https://chat.example.org`, or `*` for all.
    """
    behind = [one for one in members if one.expected]
    http = _http(behind, list(clients), list(origins), tables.gateway.limits())
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


def _http(members: list[Member], clients: list[Client], origins: list[str], limits: Limits) -> Part:
    services, middlewares = Part(), Part()
    routers: Part = {
        "door": {"entryPoints": ["front"], "rule": "PathPrefix(`/`)", "middlewares": ["door"]},
        # Traefik wants a child for each parent, and the door may have no backend at all.
        "nobody": _child("none", "noop@internal"),
    }
    for one in members:
        checked, always = f"{CHECKED}-{one.name}", f"{ALWAYS}-{one.name}"
        services[checked] = _backend(one, _checks(one, limits))
        services[always] = _backend(one, {})
        routers |= {name: _child(name, name) for name in (checked, always)}
        middlewares |= _towards(one)
    door = _door(members, clients, origins, limits)
    return {
        "routers": routers, "services": services,
        "middlewares": {"door": {"plugin": {"door": door}}, **middlewares},
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


def _door(members: list[Member], clients: list[Client], origins: list[str], limits: Limits) -> Part:
    return {
        "clients": [
            {"name": c.name, "sha256": c.sha256, "rate": c.rate, "inFlight": c.in_flight}
            for c in clients
        ],
        "backends": [
            {
                "name": one.name, "cap": one.cap,
                "checked": f"{CHECKED}-{one.name}", "always": f"{ALWAYS}-{one.name}",
            }
            for one in members
        ],
        "models": [_model(name, serving) for name, serving in by_model(members).items()],
        "paths": list(tables.gateway.paths()),
        "origins": origins,
        "maxBody": limits.body_bytes,
        "keyBytes": limits.key_bytes,
        "keyAtOnce": limits.key_at_once,
    }  # fmt: skip


def _model(name: str, serving: list[Member]) -> Part:
    """Whom the door asks for a model, in which order; and the length that each of them takes."""
    best = [one.name for one in serving if one.tier == serving[0].tier]
    lengths = [one.lengths[name] for one in serving if one.lengths.get(name)]
    return {
        "id": name,
        "first": best,
        "then": [one.name for one in serving[len(best) :]],
        "maxLength": min(lengths, default=0),
    }


def _towards(one: Member) -> Part:
    """What happens to a request on its way to one backend: it is given that one's key."""
    headers = {ROUTE: "", **({"Authorization": f"Bearer {one.key}"} if one.key else {})}
    return {f"key-{one.name}": {"headers": {"customRequestHeaders": headers}}}


def _backend(one: Member, checks: Part) -> Part:
    """A service of its own for each: so each has its key, and its name in the log."""
    balancer: Part = {
        "servers": [{"url": one.url}],
        "passHostHeader": False,
        "serversTransport": ELSEWHERE if one.elsewhere else HERE,
        **checks,
    }
    return {"middlewares": [f"key-{one.name}"], "loadBalancer": balancer}


def _checks(one: Member, limits: Limits) -> Part:
    return {
        "healthCheck": {
            **_question(one),
            "interval": f"{limits.check_seconds}s",
            "unhealthyInterval": f"{limits.check_again_seconds}s",
            "timeout": f"{limits.check_limit_seconds:g}s",
        }
    }


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


def _timeouts(limits: Limits) -> Part:
    return {
        "dialTimeout": f"{limits.dial_seconds}s",
        # An answer that is not streamed takes as long as it takes.
        "responseHeaderTimeout": "0s",
        "idleConnTimeout": f"{limits.keep_seconds}s",
    }
