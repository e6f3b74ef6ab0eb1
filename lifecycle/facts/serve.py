"""What a tailnet gets of this machine: everything served, what is ours of it, and how it answers.

`tailscale serve status --json` prints `ipn.ServeConfig`, `{}` or `null` when nothing is served.
https://github.com/tailscale/tailscale/blob/main/ipn/serve.go
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from lifecycle import clients, http, processes
from lifecycle.errors import ConfigError
from lifecycle.facts import network, os, tailscale
from lifecycle.host import Exposed, Host, Mount, Probe, Serving, Tailnet
from lifecycle.machine import Machine
from lifecycle.paths import Paths

STATUS = ("serve", "status", "--json")
CLOSED = (0, 400, 401, 403, 404)
"""HTTP statuses of a path that leads nowhere. 405 is none: there it is, for another method."""
NO_ANSWER = "no answer"
LOST = (0, 502, 503, 504)
"""No answer, or Tailscale's own: what it leads to does not answer it. That lets nobody in."""
OUTSIDE = ("/metrics", "/invocations", "/docs", "/v1/..%2Fmetrics")
"""Paths that vLLM answers without a key, and one that only looks like `/v1`."""
AGAIN = 0.5
"""Seconds between two tries of a page that does not answer yet."""


def survey(machine: Machine, paths: Paths, target: str = "") -> Host:
    """A machine as far as exposing something matters.

    Args:
        target: the address that is to be exposed, with its `/v1`; "" where that does not matter.
    """
    guard = http.status(f"{target}/models") if target else 0
    return look(machine, replace(own(paths), guard=guard))


def look(machine: Machine, known: Serving) -> Host:
    """Tailscale, and what it serves beside what is known already. Never raises."""
    here = os.look(machine)
    host = Host(os=here, tailscale=tailscale.look(machine, here), serving=known)
    mounts, problem = _mounts(machine, host.tailnet)
    return replace(host, serving=replace(known, mounts=mounts, problem=problem))


def own(paths: Paths) -> Serving:
    """What this program has written down and started."""
    written, unreadable = _written(paths)
    port = network.gateway(paths)
    made = (port,) if network.gateway_listens(paths)[1] else ()
    return Serving(
        written=written,
        unreadable=unreadable,
        engines=network.engines(paths),
        gateway=port,
        wide=processes.beyond_loopback((*network.started(paths), *made)),
        clients=known_clients(paths),
    )


def parse(text: str) -> tuple[Mount, ...]:
    """Everything that `serve status --json` lists: background, foreground, and services.

    Raises:
        ValueError: it is no JSON.
        TypeError: it is no such status.
    """
    config = json.loads(text)
    if config is None:
        return ()
    if not isinstance(config, dict):
        message = "no ServeConfig"
        raise TypeError(message)
    found = list(_of(config, foreground=False))
    for session in _part(config, "Foreground").values():
        if isinstance(session, dict):
            found += _of(session, foreground=True)
    for name, service in _part(config, "Services").items():
        if isinstance(service, dict):
            own = _of(service, foreground=False)
            found += [replace(mount, service=name) for mount in own]
    return tuple(sorted(found, key=lambda one: (one.port, one.name, one.path)))


def probe(exposed: Exposed, serving: Serving, patience: float) -> list[Probe]:
    """Ask what is exposed under its name on the tailnet, as anybody there could.

    Args:
        patience: seconds for the first answer: a certificate is made for the first one who asks.
    """
    guard = _patiently(f"{exposed.mount.url}/models", patience)
    found = [Probe(f"{exposed.path}/models without a key", _told(guard), _good(guard))]
    if guard in LOST:
        return found
    return [*found, *_paths(exposed, serving.mounts), *_ports(exposed, serving)]


def _paths(exposed: Exposed, others: tuple[Mount, ...]) -> Iterator[Probe]:
    for other in others:
        if (other.name, other.port, other.path) == (exposed.name, exposed.port, "/"):
            question = f"all outside {exposed.path}"
            yield Probe(question, f"somebody else serves {other.target} there", good=True)
            return
    root = exposed.mount.url.removesuffix(exposed.path)
    for path in OUTSIDE:
        answer = http.status(root + path)
        yield Probe(path, _told(answer), answer in CLOSED)


def _ports(exposed: Exposed, serving: Serving) -> Iterator[Probe]:
    """Ports that Tailscale serves are somebody's, whatever listens there on this machine."""
    here = (mount.port for mount in serving.mounts if not mount.service)
    served = {exposed.port, *here}
    for port, name in serving.engines.items():
        if port not in served:
            answer = http.status(f"http://{exposed.name}:{port}/health")
            told = f"it answers HTTP {answer}" if answer else "closed"
            yield Probe(f"port {port}, of {name}", told, not answer)


def _patiently(url: str, patience: float) -> int:
    until = time.monotonic() + patience
    while True:
        left = until - time.monotonic()
        answer = http.status(url, max(left, http.QUICK))
        if answer or left <= AGAIN:
            return answer
        time.sleep(AGAIN)


def _told(status: int) -> str:
    return f"HTTP {status}" if status else NO_ANSWER


def _good(status: int) -> bool | None:
    return None if status in LOST else status == HTTPStatus.UNAUTHORIZED


def _mounts(machine: Machine, side: Tailnet) -> tuple[tuple[Mount, ...], str]:
    if not side.state:
        return (), ""
    output = machine.run(side.program, *STATUS)
    try:
        return parse(output.text), ""
    except (ValueError, TypeError):
        said = (output.errors or output.text).strip().splitlines()
        return (), said[0] if said else f"it ended with exit code {output.code}"


def _of(config: Mapping[str, Any], *, foreground: bool) -> Iterator[Mount]:
    ports, public = _part(config, "TCP"), _part(config, "AllowFunnel")
    for address, web in _part(config, "Web").items():
        name, _, port = address.rpartition(":")
        handlers = _part(web, "Handlers") if isinstance(web, dict) else {}
        kind = "http" if _part(ports, port).get("HTTP") else "https"
        for path, handler in handlers.items():
            if port.isdecimal() and isinstance(handler, dict):
                target = _target(handler)
                on = bool(public.get(address))
                yield Mount(name, int(port), kind, path, target, on, foreground)
    for port, handler in ports.items():
        if port.isdecimal() and isinstance(handler, dict) and handler.get("TCPForward"):
            kind = "tls-terminated-tcp" if handler.get("TerminateTLS") else "tcp"
            on = any(value and key.endswith(f":{port}") for key, value in public.items())
            yield Mount("", int(port), kind, "", str(handler["TCPForward"]), on, foreground)


def _target(handler: Mapping[str, Any]) -> str:
    words = (handler.get(word) for word in ("Proxy", "Path", "Text", "Redirect"))
    return str(next((word for word in words if word), ""))


def _part(whole: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = whole.get(name)
    return part if isinstance(part, dict) else {}


def _written(paths: Paths) -> tuple[tuple[Exposed, ...], str]:
    try:
        return _read(paths.exposed.read_text(encoding="utf-8")), ""
    except (FileNotFoundError, NotADirectoryError):
        return (), ""
    except (OSError, ValueError, TypeError, RecursionError) as error:
        return (), f"{paths.exposed} cannot be read: {error}"


def _read(text: str) -> tuple[Exposed, ...]:
    kept = json.loads(text)
    if not isinstance(kept, list):
        message = "it holds no list"
        raise TypeError(message)
    found = tuple(Exposed(**one) for one in kept)
    if {one.side for one in found} not in (set(), {"linux"}, {"windows"}):
        message = "side is windows or linux, and the same for all"
        raise ValueError(message)
    return found


def known_clients(paths: Paths) -> int:
    """How many people have a key of the gateway's. Never raises."""
    try:
        return len(clients.read(paths.home))
    except (ConfigError, OSError):
        return 0
