"""The firewall in front of a gateway that listens on the tailnet's own address."""

import shutil
from os import environ

from lifecycle.facts import os, serve, tailscale
from lifecycle.host import Firewall, Host, Os, Serving
from lifecycle.machine import Machine
from lifecycle.paths import Paths
from lifecycle.tables.tailscale import INTERFACE, TABLE


def survey(machine: Machine, paths: Paths) -> Host:
    """A machine as far as listening on the tailnet matters. Never raises."""
    here = os.look(machine)
    return Host(
        os=here,
        tailscale=tailscale.look(machine, here),
        firewall=look(machine, here),
        serving=Serving(clients=serve.known_clients(paths)),
    )


def look(machine: Machine, here: Os) -> Firewall:
    """Only root may see the rules: without a password at hand, whether ours is there is hidden."""
    interface = machine.exists(f"/sys/class/net/{INTERFACE}")
    # /usr/sbin is not on everybody's PATH.
    places = f"{environ.get('PATH', '')}:/usr/sbin:/sbin"
    program = machine.ask("bind.nft", "", lambda: shutil.which("nft", path=places) or "")
    if not program:
        return Firewall(interface=interface)
    root = () if here.root else ("sudo", "-n")
    listed = machine.run(*root, program, "list", "table", *TABLE)
    if listed.code == 0:
        return Firewall(program, listed.text, interface)
    # What nft says of a table that is not there depends on the language; this always works.
    allowed = machine.run(*root, program, "list", "tables").code == 0
    return Firewall(program, interface=interface, hidden=not allowed)
