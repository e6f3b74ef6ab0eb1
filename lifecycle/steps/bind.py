"""Steps for a gateway that listens on the tailnet's own address, on a Linux without `serve`.

Linux answers for each of its addresses on every interface (RFC 1122's weak host model), so whoever
is on the local network and sends a packet for the tailnet's address there would get in. A rule by
interface keeps them out: https://wiki.nftables.org/wiki-nftables/index.php/Matching_packet_metainformation
"""

import re

from lifecycle.gateway.traefik import LOOPBACK
from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Action, Step, WriteFile
from lifecycle.steps.root import as_root, staging
from lifecycle.steps.tailscale_join import BY, why_not
from lifecycle.tables.tailscale import INTERFACE, TABLE

LIMIT = 120
"""Seconds for one change of the rules: a person may have to type a password."""


def steps(host: Host, paths: Paths, port: int) -> list[Step]:
    """The tailnet has an address here, and only the tailnet reaches a port.

    To be carried out before anything listens on that address: `host.tailscale.linux.address`.

    Args:
        port: the gateway's.
    """
    return [*needed(), _guarded(host, paths, port)]


def needed() -> list[Step]:
    """What must be so before; where it is not, nothing is changed."""
    return [_keyed(), _joined(), _device(), _nftables()]


def removal(host: Host) -> list[Step]:
    """Our table is gone; to be carried out when nothing listens there any more."""
    if not host.firewall.program:
        return []
    table = " ".join(TABLE)
    # Added first: it may be gone already, and to delete what is not there is an error.
    command = f"add table {table}; delete table {table}"
    return [
        Step(
            id="bind.no_rule",
            name="the firewall has no rule of the gateway's",
            missing=_still_there,
            actions=(as_root(host, host.firewall.program, command, limit=LIMIT),),
            fix="See the rules: sudo nft list ruleset",
            phase="firewall",
        )
    ]


def rules(port: int) -> str:
    """What `nft -f` takes: our table made anew in one go, so that there is no moment without."""
    table = " ".join(TABLE)
    return f"""\
# The gateway of vllm-lifecycle: its port is for the tailnet and this machine alone.
table {table}
delete table {table}
table {table} {{
    chain input {{
        type filter hook input priority filter; policy accept;
        tcp dport {port} iifname != {{ "lo", "{INTERFACE}" }} drop
    }}
}}
"""


def open_to_all(host: Host, port: int) -> bool:
    """Whether a gateway listens on the tailnet's address without the rule, as far as one sees."""
    if host.gateway.address in {"", LOOPBACK} or host.firewall.hidden:
        return False
    return not guards(host.firewall.table, port)


def guards(table: str, port: int) -> bool:
    """Whether a table, as `nft` lists it, has the rule and is where packets come by."""
    rule = re.search(rf"tcp dport {port} iifname != \{{ ([^}}]*) \}} drop", table)
    names = set(re.findall(r'"([^"]*)"', rule[1])) if rule else set()
    return "hook input" in table and names == {"lo", INTERFACE}


def _still_there(now: Host) -> str:
    if now.firewall.table:
        return "its table is still there"
    return "its table may be there: only root sees it" if now.firewall.hidden else ""


def _keyed() -> Step:
    return Step(
        id="bind.keyed",
        name="somebody has a key of the gateway's",
        missing=lambda now: (
            "" if now.serving.clients else "no client has a key yet, so nobody could use it"
        ),
        fix="inv key.add NAME; then the same again.",
    )


def _joined() -> Step:
    def missing(now: Host) -> str:
        side = now.tailscale.linux
        if not side.joined:
            return why_not(side)
        return "" if side.address else "Tailscale tells no IPv4 address of this machine"

    return Step(
        id="bind.joined",
        name="this Linux is in a tailnet, with an address",
        missing=missing,
        fix=f"{BY}\nUnder WSL, leave the tailnet to Windows, and use inv expose instead.",
    )


def _device() -> Step:
    return Step(
        id="bind.interface",
        name=f"the tailnet comes in through {INTERFACE}",
        missing=lambda now: (
            ""
            if now.firewall.interface
            else f"there is no {INTERFACE}: Tailscale runs in userspace, nobody could listen there"
        ),
        fix="Use inv expose instead: tailscale serve needs no interface.",
    )


def _nftables() -> Step:
    return Step(
        id="bind.nftables",
        name="nftables is installed",
        missing=lambda now: "" if now.firewall.program else "there is no nft command",
        fix="sudo apt-get install nftables (or what your distribution calls it), then the same "
        "again.",
    )


def _guarded(host: Host, paths: Paths, port: int) -> Step:
    file = staging(paths) / "gateway.nft"
    actions: tuple[Action, ...] = (
        WriteFile(file, rules(port)),
        as_root(host, host.firewall.program or "nft", "-f", str(file), limit=LIMIT),
    )

    def missing(now: Host) -> str:
        if guards(now.firewall.table, port):
            return ""
        return (
            "the local network would reach it, too. The rule, in a table of its own:\n"
            f"{rules(port)}"
        )

    return Step(
        id="bind.rule",
        name=f"only the tailnet and this machine reach port {port}",
        missing=missing,
        actions=actions,
        fix="See the rules: sudo nft list ruleset",
        phase="firewall",
    )
