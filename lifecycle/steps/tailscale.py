"""Steps about Tailscale: other machines reach a server through it. A server runs without it."""

from dataclasses import replace

from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Step
from lifecycle.steps.root import as_root
from lifecycle.steps.tailscale_join import (
    APPROVE,
    BY,
    NAMES,
    WHY_WINDOWS,
    nameless,
    on_linux,
    on_windows,
    operator,
    repository,
    why_not,
)

WIREGUARD = 80
"""Bytes that each packet grows by: https://github.com/tailscale/tailscale/blob/main/net/tstun/mtu.go"""


def steps(host: Host, paths: Paths) -> list[Step]:
    """What the doctor says: a tailnet is joined, on one side, and large packets get through."""
    del paths
    if host.os.wsl and host.windows.problem and not host.tailscale.linux.joined:
        return []  # Windows may be in a tailnet; nobody can ask.
    # Of a side that is to be given up nothing else matters.
    known = bool(host.tailscale.mtu_outside and host.tailscale.mtu_tailscale)
    mends = [*([_packets(host)] if known else []), *operator(host)]
    mends = [] if host.tailscale.windows.joined else mends
    here = [*_one_side(host), *mends]
    plan = [
        _joined(host),
        *([_found_by_name()] if _unnamed(host) else []),
        *(here if host.tailscale.linux.joined else []),
    ]
    return [replace(step, advice=True) for step in plan]


def setup(host: Host, paths: Paths) -> list[Step]:
    """Join the tailnet: on the Windows side under WSL (if this side is out of it), else here."""
    windows = host.os.wsl or host.os.system == "win32"
    if not windows or (host.tailscale.linux.joined and not host.tailscale.windows.joined):
        return [*on_linux(host, paths), _packets(host)]
    return on_windows(host, paths)


# --- What the doctor asks


def _joined(host: Host) -> Step:
    return Step(
        id="tailscale.joined",
        name="other machines can reach this one through a tailnet",
        missing=_not_joined,
        fix=_by_hand(host) or BY,
        found=lambda now: "; ".join(_described(now)),
    )


def _not_joined(host: Host) -> str:
    sides = (host.tailscale.windows, host.tailscale.linux)
    if any(side.joined for side in sides):
        return ""
    known = next((side for side in sides if side.program), None)
    if known is None:
        return "Tailscale is not installed; servers can be used on this machine only"
    return why_not(known)


def _found_by_name() -> Step:
    return Step(
        id="tailscale.named",
        name="other machines find this one by its name",
        missing=_unnamed,
        fix=f"{NAMES}\nWithout it, inv expose has nothing to offer.",
    )


def _unnamed(host: Host) -> str:
    return nameless(host.tailnet) if host.tailnet.joined else ""


def _by_hand(host: Host) -> str:
    """What only a person can do about it; "" when our command can."""
    windows, linux = host.tailscale.windows, host.tailscale.linux
    if "NeedsMachineAuth" in (windows.state, linux.state):
        return APPROVE
    if (host.os.wsl or host.os.system == "win32") and not windows.program:
        return "On Windows: winget install Tailscale.Tailscale, log in there, then look again."
    if host.os.system == "linux" and not host.os.wsl and not linux.program and not repository(host):
        return "https://tailscale.com/download, then: inv setup.tailscale"
    return ""


def _described(host: Host) -> list[str]:
    sides = (("Windows", host.tailscale.windows), ("Linux", host.tailscale.linux))
    return [
        f"{side.name or 'a machine without a name'} ({name} side, Tailscale {side.version}"
        f"{', with HTTPS certificates' if side.certificates else ''})"
        for name, side in sides
        if side.joined
    ]


def _one_side(host: Host) -> list[Step]:
    if not host.os.wsl:
        return []
    return [
        Step(
            id="tailscale.one_side",
            name="under WSL, Windows alone holds the tailnet",
            missing=_inside_wsl,
            fix=_over(host),
        )
    ]


def _over(host: Host) -> str:
    away = "sudo tailscale down"
    away += " && sudo systemctl disable --now tailscaled" if host.os.systemd else ""
    if host.tailscale.windows.joined:
        return f"Leave it here: {away}"
    if host.tailscale.windows.program:
        return f"Join on Windows (Tailscale's icon in the taskbar: Log in), then here: {away}"
    return f"Join on Windows (winget install Tailscale.Tailscale), then here: {away}"


def _inside_wsl(host: Host) -> str:
    if not host.tailscale.linux.joined:
        return ""
    if host.tailscale.windows.joined:
        return f"both sides are in a tailnet, as two machines. {WHY_WINDOWS}"
    return f"it is held inside WSL. {WHY_WINDOWS}"


def _packets(host: Host) -> Step:
    return Step(
        id="tailscale.packets",
        name="large packets get through the tailnet",
        missing=_too_narrow,
        actions=(as_root(host, "ip", "link", "set", "dev", "eth0", "mtu", "1500"),),
        fix="Run Tailscale on the Windows side instead.",
        phase="network",
        by=BY,
    )


def _too_narrow(host: Host) -> str:
    outside, inside = host.tailscale.mtu_outside, host.tailscale.mtu_tailscale
    if not outside or not inside or outside >= inside + WIREGUARD:
        return ""
    return (
        f"eth0 takes packets of {outside} bytes, tailscale0 sends {inside} + {WIREGUARD}: pings "
        "pass, TLS and SSH hang (tailscale#6189). Until the next start: "
        "sudo ip link set dev eth0 mtu 1500; for good, below [boot] in /etc/wsl.conf: "
        "command=ip link set dev eth0 mtu 1500"
    )
