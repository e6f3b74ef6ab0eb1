"""What others reach of this machine: what is ours of it, what is too much, and the doctor's lines.

`inv expose` asks the same questions before it adds anything: see `steps/expose.py`.
"""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from lifecycle.host import Exposed, Host, Mount
from lifecycle.step import Step
from lifecycle.steps import bind
from lifecycle.steps.tailscale_join import BY, why_not

PATH = "/v1"


def steps(host: Host) -> list[Step]:
    """Where something is exposed or served: it is what was meant, and no more. Only advice."""
    serving = host.serving
    plan = [
        *([_kept(host)] if serving.written or serving.unreadable else []),
        *([_private(host), closed(host)] if serving.mounts else []),
        *([_inside(host)] if serving.wide else []),
    ]
    return [replace(step, advice=True) for step in plan]


# --- What is served


def mounted(now: Host, exposed: Exposed) -> bool:
    """Whether Tailscale serves it. Under another name, it can neither be reached nor taken back."""
    if exposed.name != now.tailnet.name:
        return False
    return any(same(mount, exposed) for mount in now.serving.mounts)


def same(mount: Mount, exposed: Exposed) -> bool:
    """Whether this is it. Whoever led it elsewhere since made it his own."""
    return replace(mount, public=False, foreground=False) == exposed.mount


def closed(host: Host) -> Step:
    """A server answers more than /v1 without a key: vLLM's /invocations generates text."""

    def missing(now: Host) -> str:
        return "\n".join(
            f"somebody serves all of {now.serving.engines[_leads(mount.target)[0]]}, also what it "
            f"answers without a key, on port {mount.port}"
            for mount in _whole(now)
        )

    return Step(
        id="exposure.closed",
        name="no server is open to the tailnet as a whole",
        missing=missing,
        fix="\n".join(_away(host, mount) for mount in _whole(host)),
    )


def _whole(now: Host) -> list[Mount]:
    """What leads to a server past its /v1."""
    found = []
    for mount in now.serving.mounts:
        port, path = _leads(mount.target)
        if port in now.serving.engines and not f"{path}/".startswith(f"{PATH}/"):
            found.append(mount)
    return found


def _leads(target: str) -> tuple[int, str]:
    """The port on this machine that something leads to, and the path there; 0 for elsewhere."""
    try:
        parts = urlsplit(target if "://" in target else f"//{target}")
        port = parts.port or 0
    except ValueError:
        return 0, ""
    return port if parts.hostname in {"127.0.0.1", "localhost", "::1"} else 0, parts.path


def _away(host: Host, mount: Mount) -> str:
    """What ends it. WSL finds Windows' programs by their whole name."""
    if mount.foreground:
        return "End the tailscale that serves it in some terminal."
    program = "tailscale.exe" if host.os.wsl and host.outward == "windows" else "tailscale"
    service = f" --service={mount.service}" if mount.service else ""
    path = f" --set-path={mount.path}" if mount.path else ""
    return f"Take it away: {program} serve{service} --{mount.kind}={mount.port}{path} off"


# --- The doctor's other lines


def _kept(host: Host) -> Step:
    def missing(now: Host) -> str:
        if now.serving.unreadable:
            return now.serving.unreadable
        if not now.tailnet.joined:
            return why_not(now.tailnet)
        if now.serving.problem:
            return f"Tailscale does not tell: {now.serving.problem}"
        return "\n".join(
            f"{one.mount.url} is written down as exposed, but Tailscale does not serve it"
            for one in _lost(now)
        )

    again = "\n".join(
        f"inv unexpose {one.flag}; then, if it is still wanted: inv expose {one.flag} "
        f"--port {one.port}"
        for one in _lost(host)
    )
    unknown = host.serving.unreadable or host.serving.problem
    fix = "Look yourself: tailscale serve status" if unknown else again
    return Step(
        id="exposure.kept",
        name="what was exposed is served",
        missing=missing,
        fix=fix if host.tailnet.joined else BY,
        found=lambda now: "; ".join(f"{one.what}: {one.mount.url}" for one in now.serving.written),
    )


def _lost(now: Host) -> list[Exposed]:
    """What is written down and not served: taken away, led elsewhere, or under another name."""
    return [one for one in now.serving.written if not mounted(now, one)]


def _private(host: Host) -> Step:
    def missing(now: Host) -> str:
        return "\n".join(
            f"a funnel is on: the whole internet reaches {what} through port {mount.port}"
            for mount, what in _public(now)
        )

    return Step(
        id="exposure.private",
        name="no server and no gateway is open to the internet",
        missing=missing,
        fix="\n".join(_unfunnel(host, mount) for mount, _ in _public(host)),
    )


def _public(now: Host) -> Iterator[tuple[Mount, str]]:
    """What leads the internet to one of our ports, and to what there."""
    ours = {**now.serving.engines, now.serving.gateway: "the gateway"}
    for mount in now.serving.mounts:
        port, _ = _leads(mount.target)
        if mount.public and port in ours:
            yield mount, ours[port]


def _unfunnel(host: Host, mount: Mount) -> str:
    """Ours goes by our own command, so that the note stays true."""
    own = [one.flag for one in host.serving.written if same(mount, one)]
    return f"inv unexpose {own[0]}" if own else _away(host, mount)


def _inside(host: Host) -> Step:
    def missing(now: Host) -> str:
        return "\n".join(_open(now, port) for port in _wide(now))

    own = [host.serving.engines[port] for port in _wide(host) if port != host.serving.gateway]
    ways = [f"inv restart --gpu {name.removeprefix('backend ')}" for name in own]
    return Step(
        id="exposure.inside",
        name="other machines reach no server by its own port",
        missing=missing,
        fix="\n".join([*ways, *(["inv gateway.up"] if len(ways) < len(_wide(host)) else [])]),
    )


def _wide(now: Host) -> list[int]:
    """Ports of ours that others reach and should not; the gateway's is shut behind its rule."""
    serving = now.serving
    return [
        port
        for port in sorted(serving.wide)
        if (bind.open_to_all(now, port) if port == serving.gateway else port in serving.engines)
    ]


def _open(now: Host, port: int) -> str:
    address = now.serving.wide[port]
    if port == now.serving.gateway:
        return f"the gateway listens on {address} and its firewall rule is gone"
    return (
        f"port {port}, of {now.serving.engines[port]}, is listened on at {address}: whoever "
        "reaches this machine gets what is answered without a key"
    )
