"""Steps that offer `/v1` of a gateway or a server to a tailnet, and take exactly that back.

Nobody has tried the Windows side on hardware. How `serve` and `serve … off` behave is from
https://github.com/tailscale/tailscale/blob/main/cmd/tailscale/cli/serve_v2.go
"""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus

from lifecycle.host import Exposed, Host, Mount
from lifecycle.paths import Paths
from lifecycle.step import Command, Remove, Step, WriteFile
from lifecycle.steps import exposure, tailscale
from lifecycle.steps.exposure import PATH, mounted
from lifecycle.steps.tailscale_join import APPROVE, BY, DNS, NAMES, nameless, operator, why_not

LIMIT = 30
"""Seconds for one call: where something is not enabled yet, `serve` waits for a person for ever."""


@dataclass(frozen=True)
class Wanted:
    """What is to be exposed.

    Args:
        root: its address on this machine, without `/v1`.
        start: the command that starts it.
        backend: the server's name; "": the gateway, which its clients' keys guard.
        port: on the tailnet; 0: the usual one, 443 or 80.
        keyed: whether it has a key at all.
    """

    root: str
    start: str
    backend: str = ""
    port: int = 0
    keyed: bool = True

    @property
    def target(self) -> str:
        """What is offered of it."""
        return self.root + PATH


def planned(host: Host, wanted: Wanted) -> Exposed:
    """What would be added on this machine: HTTPS where the tailnet gives certificates.

    What is exposed already stays as it is, whatever the tailnet has learned since.
    """
    kind = "https" if host.tailnet.certificates else "http"
    new = Exposed(
        side=host.outward,
        backend=wanted.backend,
        name=host.tailnet.name,
        port=wanted.port or {"https": 443, "http": 80}[kind],
        kind=kind,
        path=PATH,
        target=wanted.target,
    )
    for old in host.serving.written:
        same = replace(old, kind=kind, port=new.port) == new
        if same and wanted.port in (0, old.port):
            return old
    return new


def steps(host: Host, paths: Paths, wanted: Wanted) -> list[Step]:
    """Guarded, joined, allowed, free, and then served."""
    new = planned(host, wanted)
    return [
        *_reachable(host),
        _keyed(wanted, new.what),
        _guarded(wanted, new.what),
        _readable(paths),
        _once(new),
        _private(host, new),
        _free(host, new),
        exposure.closed(host),
        *_allowed(host),
        _served(host, paths, new),
    ]


def removal(host: Host, paths: Paths, some: Collection[Exposed]) -> list[Step]:
    """Some of what was written down is off, and nothing else is touched; the note goes last."""
    if host.serving.unreadable:
        return [_readable(paths)]
    if not some:
        return []
    there = [one for one in some if mounted(host, one)]
    return [
        _answering(paths),
        _readable(paths),
        *(_allowed(host) if there else []),
        *(_off(host, one) for one in there),
        _forgotten(host, paths, some),
    ]


def forget(host: Host, paths: Paths, one: Exposed) -> WriteFile | Remove | None:
    """The note without what Tailscale refused to serve: it is not there to be taken back."""
    if one not in host.serving.written or host.serving.problem or mounted(host, one):
        return None
    return _note(paths, [old for old in host.serving.written if old != one])


def notes(host: Host, paths: Paths) -> list[str]:
    """What a person should know that stands in nobody's way."""
    found = []
    if host.os.wsl:
        found += [why for step in tailscale.steps(host, paths) if (why := step.missing(host))]
    if any(one.kind == "http" for one in host.serving.written):
        found.append(
            "The tailnet gives out no HTTPS certificates, so the address is http. Between machines "
            f"it is encrypted all the same, by WireGuard. For https: enable it at {DNS}, then "
            "take it back (inv unexpose) and expose it again."
        )
    public = {mount.port for mount in host.serving.mounts if mount.public}
    found += [
        f"A funnel is on: the whole internet reaches port {port}. It is not ours."
        for port in sorted(public)
    ]
    return found


def mend(exposed: Exposed, host: Host) -> str:
    """What to do when Tailscale leads to something that does not answer it."""
    ways = [f"inv up --gpu {exposed.backend}" if exposed.backend else "inv gateway.up"]
    if host.os.wsl and exposed.side == "windows":
        ways.append("If it runs: Windows must reach WSL under 127.0.0.1. See inv doctor.")
    return "\n".join([*ways, f"To take it back: inv unexpose {exposed.flag}"])


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
            id="tailscale.joined",
            name="this machine is in a tailnet",
            missing=lambda now: "" if now.tailnet.joined else why_not(now.tailnet),
            fix=APPROVE if side.state == "NeedsMachineAuth" else BY,
        ),
        Step(
            id="tailscale.named",
            name="this machine has a name in the tailnet",
            missing=lambda now: nameless(now.tailnet),
            fix=NAMES,
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


def _keyed(wanted: Wanted, what: str) -> Step:
    def missing(now: Host) -> str:
        if wanted.backend:
            return "" if wanted.keyed else "it has no key: everybody could use it"
        return "" if now.serving.clients else "nobody has a key yet: nobody could use it"

    return Step(
        id="expose.keyed",
        name=f"there is a key to {what}",
        missing=missing,
        fix=wanted.start if wanted.backend else "inv key.add NAME",
    )


def _guarded(wanted: Wanted, what: str) -> Step:
    def missing(now: Host) -> str:
        if not now.serving.guard:
            return f"nothing answers at {wanted.root}"
        if now.serving.guard == HTTPStatus.UNAUTHORIZED:
            return ""
        return (
            f"{wanted.target}/models answers HTTP {now.serving.guard} without a key: it must be 401"
        )

    return Step(
        id="expose.guarded",
        name=f"{what} lets nobody in without a key",
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
        id="expose.readable",
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
        id="expose.tailscale_answers",
        name="Tailscale can be asked to take it back",
        missing=missing,
        fix=f"Log in again ({BY}), then run the same command again. If Tailscale has been removed "
        f"for good, delete {paths.exposed}",
    )


def _once(new: Exposed) -> Step:
    """A second way to the same would double what there is to watch."""

    def missing(now: Host) -> str:
        for old in now.serving.written:
            if old.backend == new.backend and old != new:
                return f"{old.what} is exposed already, at {old.mount.url}, to {old.target}"
        return ""

    return Step(
        id="expose.once",
        name=f"{new.what} is exposed once",
        missing=missing,
        fix=f"inv unexpose {new.flag}, then the same again.",
    )


def _free(host: Host, new: Exposed) -> Step:
    def missing(now: Host) -> str:
        for ours in now.serving.written:
            if ours.port == new.port and ours.backend != new.backend:
                return f"{ours.what} is exposed there already; one port is for one of them"
        return next((why for one in now.serving.mounts if (why := _clash(one, new, now))), "")

    return Step(
        id="expose.path_free",
        name=f"{PATH} is free on port {new.port} of the tailnet",
        missing=missing,
        fix=f"{_elsewhere(host, new)}\nSee what is served: tailscale serve status",
    )


def _elsewhere(host: Host, new: Exposed) -> str:
    """The same on a port that nothing has, and that is none of ours."""
    serving = host.serving
    served = {mount.port for mount in serving.mounts} | {one.port for one in serving.written}
    taken = {*served, *serving.engines, new.port}
    other = next(port for port in (8443, 10443, *range(8444, 1 << 16)) if port not in taken)
    return f"Take another port: inv expose {new.flag} --port {other}"


def _clash(other: Mount, new: Exposed, now: Host) -> str:
    """Why something that is served keeps us from serving; it is never ours to change."""
    if other.port != new.port or other.service:
        return ""
    if other.foreground:
        return f"a tailscale serve in some terminal holds port {new.port}"
    if other.kind != new.kind:
        return f"port {new.port} is {other.kind} already, to {other.target}; one port is one kind"
    # "/v1/" comes before "/v1", and all that is below it before both.
    if other.name != new.name or not f"{other.path}/".startswith(f"{new.path}/"):
        return ""
    if exposure.same(other, new) and new in now.serving.written:
        return ""
    return f"somebody serves {other.target} at {other.url}"


def _private(host: Host, new: Exposed) -> Step:
    """To serve where a funnel is on would end it; and who turns it on again would share ours."""

    def missing(now: Host) -> str:
        public = {mount.port for mount in now.serving.mounts if mount.public}
        if new.port not in public:
            return ""
        return f"a funnel is on: the whole internet reaches port {new.port}"

    return Step(
        id="expose.private",
        name="only the tailnet reaches it",
        missing=missing,
        fix=f"{_elsewhere(host, new)}\n"
        f"Or end the funnel, if it is yours: tailscale funnel --{new.kind}={new.port} off",
    )


# --- The change


def _served(host: Host, paths: Paths, new: Exposed) -> Step:
    def missing(now: Host) -> str:
        if not mounted(now, new):
            return f"the tailnet has no {new.mount.url} yet"
        return "" if new in now.serving.written else "it is not written down who added it"

    # Written down first: what is killed in between can be taken back all the same.
    others = [one for one in host.serving.written if one != new]
    return Step(
        id="expose.served",
        name=f"the tailnet reaches {new.what} at {new.mount.url}",
        missing=missing,
        actions=(
            _note(paths, [*others, new]),
            Command((host.tailnet.program, *on(new)), limit=LIMIT),
        ),
        fix="See what Tailscale says: tailscale serve status",
        phase="expose",
    )


def _off(host: Host, one: Exposed) -> Step:
    return Step(
        id="expose.off",
        name=f"the tailnet has no way to {one.what} any more",
        missing=lambda now: f"it is served at {one.mount.url}" if mounted(now, one) else "",
        actions=(Command((host.tailnet.program, *off(one)), limit=LIMIT),),
        phase="unexpose",
    )


def _forgotten(host: Host, paths: Paths, some: Collection[Exposed]) -> Step:
    def missing(now: Host) -> str:
        kept = [one.what for one in now.serving.written if one in some]
        return f"{', '.join(kept)} is still in it" if kept else ""

    return Step(
        id="expose.note",
        name="the note of what is exposed is true",
        missing=missing,
        actions=(_note(paths, [one for one in host.serving.written if one not in some]),),
        phase="unexpose",
    )


def _note(paths: Paths, some: Collection[Exposed]) -> WriteFile | Remove:
    if not some:
        return Remove(paths.exposed)
    text = json.dumps([asdict(one) for one in some], indent=2) + "\n"
    return WriteFile(paths.exposed, text, mode=0o600)
