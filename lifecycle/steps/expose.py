"""Steps that offer `/v1` of a gateway or a server to a tailnet, and take exactly that back.

Nobody has tried the Windows side on hardware. How `serve` and `serve … off` behave is from
https://github.com/tailscale/tailscale/blob/main/cmd/tailscale/cli/serve_v2.go
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from urllib.parse import urlsplit

from lifecycle.host import Exposed, Host, Mount
from lifecycle.paths import Paths
from lifecycle.step import Action, Command, Remove, Step, WriteFile
from lifecycle.steps import tailscale
from lifecycle.steps.tailscale_join import APPROVE, BY, operator, why_not

PATH = "/v1"
LIMIT = 30
"""Seconds for one call: where something is not enabled yet, `serve` waits for a person for ever."""
DNS = "https://login.tailscale.com/admin/dns"


@dataclass(frozen=True)
class Wanted:
    """What is to be exposed.

    Args:
        what: in words, e.g. `the gateway`.
        root: its address on this machine, without `/v1`.
        start: the command that starts it.
        port: on the tailnet; 0: the usual one, 443 or 80.
        clients: it is the clients' keys that guard it.
        keyed: whether it has a key at all.
        engines: ports of ours that must stay closed, and what listens there.
    """

    what: str
    root: str
    start: str
    port: int = 0
    clients: bool = True
    keyed: bool = True
    engines: Mapping[int, str] = field(default_factory=dict)


def planned(host: Host, wanted: Wanted) -> Exposed:
    """What would be added on this machine: HTTPS where the tailnet gives certificates.

    What is exposed already stays as it is, whatever the tailnet has learned since.
    """
    old = host.serving.written
    same = old and (old.name, old.target) == (host.tailnet.name, wanted.root + PATH)
    if old and same and wanted.port in (0, old.port):
        return old
    kind = "https" if host.tailnet.certificates else "http"
    port = wanted.port or {"https": 443, "http": 80}[kind]
    return Exposed(
        side=host.outward,
        what=wanted.what,
        name=host.tailnet.name,
        port=port,
        kind=kind,
        path=PATH,
        target=wanted.root + PATH,
    )


def steps(host: Host, paths: Paths, wanted: Wanted) -> list[Step]:
    """Guarded, joined, allowed, free, and then served."""
    new = planned(host, wanted)
    return [
        *_reachable(host),
        _keyed(wanted),
        _guarded(wanted),
        _readable(paths),
        _one_at_a_time(new),
        _private(new),
        _free(new),
        _closed(host, wanted),
        *_allowed(host),
        _served(host, paths, new),
    ]


def removal(host: Host, paths: Paths) -> list[Step]:
    """What was written down is off, and nothing else is touched; the note goes last."""
    old = host.serving.written
    if old is None:
        return [_readable(paths)] if host.serving.unreadable else []
    there = mounted(host, old)
    return [
        _answering(paths),
        _readable(paths),
        *(_allowed(host) if there else []),
        Step(
            name=f"the tailnet has no way to {old.what} any more",
            missing=lambda now: f"it is served at {old.mount.url}" if mounted(now, old) else "",
            actions=(Command((host.tailnet.program, *off(old)), limit=LIMIT),),
            phase="unexpose",
        ),
        Step(
            name="nothing is written down as exposed",
            missing=lambda now: "the note is still there" if now.serving.written else "",
            actions=(Remove(paths.exposed),),
            phase="unexpose",
        ),
    ]


def notes(host: Host, paths: Paths) -> list[str]:
    """What a person should know that stands in nobody's way."""
    found = []
    if host.os.wsl:
        found += [why for step in tailscale.steps(host, paths) if (why := step.missing(host))]
    written = host.serving.written
    if written and written.kind == "http":
        found.append(
            "The tailnet gives out no HTTPS certificates, so the address is http. Between machines "
            f"it is encrypted all the same, by WireGuard. For https: enable it at {DNS}, then "
            "inv unexpose, inv expose."
        )
    public = {mount.port for mount in host.serving.mounts if mount.public}
    found += [
        f"A funnel is on: the whole internet reaches port {port}. It is not ours."
        for port in sorted(public)
    ]
    return found


def on(exposed: Exposed) -> tuple[str, ...]:
    """Tailscale's words that add it."""
    return ("serve", "--bg", *_where(exposed), exposed.target)


def off(exposed: Exposed) -> tuple[str, ...]:
    """Tailscale's words that take it away, and nothing beside it."""
    return ("serve", *_where(exposed), "off")


def _where(exposed: Exposed) -> tuple[str, str]:
    return (f"--{exposed.kind}={exposed.port}", f"--set-path={exposed.path}")


# --- The way in


def _reachable(host: Host) -> list[Step]:
    side = host.tailnet
    return [
        Step(
            name="this machine is in a tailnet",
            missing=lambda now: "" if now.tailnet.joined else why_not(now.tailnet),
            fix=APPROVE if side.state == "NeedsMachineAuth" else BY,
        ),
        Step(
            name="this machine has a name in the tailnet",
            missing=lambda now: "" if now.tailnet.name else "the tailnet gives out no names",
            fix=f"Switch MagicDNS on: {DNS}",
        ),
    ]


def _allowed(host: Host) -> list[Step]:
    """Who may change what is served: root, or one account. Not on Windows, where all may."""
    if host.outward == "windows":
        return []
    steps = operator(host)
    return [replace(one, actions=(), fix=str(_operator(host)), by="") for one in steps]


def _operator(host: Host) -> Command:
    return Command(("sudo", "tailscale", "set", f"--operator={host.os.account}"))


# --- What stands behind it


def _keyed(wanted: Wanted) -> Step:
    def missing(now: Host) -> str:
        if wanted.clients:
            return "" if now.serving.clients else "nobody has a key yet: nobody could use it"
        return "" if wanted.keyed else "it has no key: everybody could use it"

    return Step(
        name=f"there is a key to {wanted.what}",
        missing=missing,
        fix="inv key.add NAME" if wanted.clients else wanted.start,
    )


def _guarded(wanted: Wanted) -> Step:
    def missing(now: Host) -> str:
        if not now.serving.guard:
            return f"nothing answers at {wanted.root}"
        if now.serving.guard == HTTPStatus.UNAUTHORIZED:
            return ""
        return (
            f"{wanted.root}{PATH}/models answers HTTP {now.serving.guard} without a key: it must "
            "be 401"
        )

    return Step(
        name=f"{wanted.what} lets nobody in without a key",
        missing=missing,
        fix=f"Start it: {wanted.start}\nIf something else listens there, stop that first.",
    )


# --- What is served already


def _readable(paths: Paths) -> Step:
    def missing(now: Host) -> str:
        if now.serving.problem:
            return f"Tailscale does not tell: {now.serving.problem}"
        return now.serving.unreadable

    return Step(
        name="it is known what the tailnet gets of this machine",
        missing=missing,
        fix="Look yourself: tailscale serve status\n"
        f"If it is {paths.exposed} that is broken: take out there what leads to us, delete the "
        "file, then the same again.",
    )


def _answering(paths: Paths) -> Step:
    """Of a tailnet nobody is logged in to, nothing is served, and nothing can be taken back."""

    def missing(now: Host) -> str:
        return "" if now.tailnet.state in {"Running", "Stopped"} else why_not(now.tailnet)

    return Step(
        name="Tailscale can be asked to take it back",
        missing=missing,
        fix=f"Log in again ({BY}), then the same again. Is Tailscale gone for good: delete "
        f"{paths.exposed}",
    )


def _one_at_a_time(new: Exposed) -> Step:
    def missing(now: Host) -> str:
        old = now.serving.written
        if old is None or old == new:
            return ""
        return f"{old.what} is exposed already, at {old.mount.url}"

    return Step(
        name="nothing else is exposed",
        missing=missing,
        fix="inv unexpose, then the same again.",
    )


def _free(new: Exposed) -> Step:
    def missing(now: Host) -> str:
        return next((why for one in now.serving.mounts if (why := _clash(one, new, now))), "")

    return Step(
        name=f"{PATH} is free on port {new.port} of the tailnet",
        missing=missing,
        fix=f"{_elsewhere(new)}\nOr take it away, if it is yours: see tailscale serve status",
    )


def _elsewhere(new: Exposed) -> str:
    other = 8443 if new.port != 8443 else 10443
    return f"Take another port: inv expose --port {other} (or any other)"


def _clash(other: Mount, new: Exposed, now: Host) -> str:
    """Why something that is served keeps us from serving; it is never ours to change."""
    if other.port != new.port:
        return ""
    if other.foreground:
        return f"a tailscale serve in some terminal holds port {new.port}"
    if other.kind != new.kind:
        return f"port {new.port} is {other.kind} already, to {other.target}; one port is one kind"
    # "/v1/" comes before "/v1", and all that is below it before both.
    if other.name != new.name or not f"{other.path}/".startswith(f"{new.path}/"):
        return ""
    if _is(other, new) and now.serving.written == new:
        return ""
    return f"somebody serves {other.target} at {other.url}"


def _private(new: Exposed) -> Step:
    """To serve where a funnel is on would end it; and who turns it on again would share ours."""

    def missing(now: Host) -> str:
        public = {mount.port for mount in now.serving.mounts if mount.public}
        if new.port not in public:
            return ""
        return f"a funnel is on: the whole internet reaches port {new.port}"

    return Step(
        name="only the tailnet reaches it",
        missing=missing,
        fix=f"{_elsewhere(new)}\n"
        f"Or end the funnel, if it is yours: tailscale funnel --{new.kind}={new.port} off",
    )


def _closed(host: Host, wanted: Wanted) -> Step:
    """A server answers more than /v1 without a key: vLLM's /invocations generates text."""

    def missing(now: Host) -> str:
        open_to_all = _whole(now, wanted)
        if open_to_all is None:
            return ""
        port, _ = _leads(open_to_all.target)
        return (
            f"somebody serves all of {wanted.engines[port]}, also what it answers without a key, "
            f"on port {open_to_all.port}"
        )

    found = _whole(host, wanted)
    path = f" --set-path={found.path}" if found and found.path else ""
    return Step(
        name="no server is open to the tailnet as a whole",
        missing=missing,
        fix=f"Take it away: tailscale serve --{found.kind}={found.port}{path} off" if found else "",
    )


def _whole(now: Host, wanted: Wanted) -> Mount | None:
    """What leads to a server past its /v1."""
    for mount in now.serving.mounts:
        port, path = _leads(mount.target)
        if port in wanted.engines and not f"{path}/".startswith(f"{PATH}/"):
            return mount
    return None


def _leads(target: str) -> tuple[int, str]:
    """The port on this machine that something leads to, and the path there; 0 for elsewhere."""
    try:
        parts = urlsplit(target if "://" in target else f"//{target}")
        port = parts.port or 0
    except ValueError:
        return 0, ""
    return port if parts.hostname in {"127.0.0.1", "localhost", "::1"} else 0, parts.path


# --- The change


def _served(host: Host, paths: Paths, new: Exposed) -> Step:
    def missing(now: Host) -> str:
        if not mounted(now, new):
            return f"the tailnet has no {new.mount.url} yet"
        return "" if now.serving.written == new else "it is not written down who added it"

    # Written down first: what is killed in between can be taken back all the same.
    actions: tuple[Action, ...] = (
        WriteFile(paths.exposed, json.dumps(asdict(new), indent=2) + "\n", mode=0o600),
        Command((host.tailnet.program, *on(new)), limit=LIMIT),
    )
    return Step(
        name=f"the tailnet reaches {new.what} at {new.mount.url}",
        missing=missing,
        actions=actions,
        fix="See what Tailscale says: tailscale serve status",
        phase="expose",
    )


def mounted(now: Host, exposed: Exposed) -> bool:
    """Whether Tailscale serves it. Under another name, it can neither be reached nor taken back."""
    if exposed.name != now.tailnet.name:
        return False
    return any(_is(mount, exposed) for mount in now.serving.mounts)


def _is(mount: Mount, exposed: Exposed) -> bool:
    """Whether this is it. Whoever led it elsewhere since made it his own."""
    return replace(mount, public=False, foreground=False) == exposed.mount
