"""The firewall in front of a gateway that listens on the tailnet's own address."""

import shutil
from os import environ

from lifecycle.facts import os, tailscale
from lifecycle.host import Firewall, Host, Os
from lifecycle.machine import Machine
from lifecycle.tables.tailscale import INTERFACE, TABLE


def survey(machine: Machine) -> Host:
    """A machine as far as listening on the tailnet matters. Never raises."""
    here = os.look(machine)
    return Host(os=here, tailscale=tailscale.look(machine, here), firewall=look(machine, here))


def look(machine: Machine, here: Os) -> Firewall:
    """Only root may see the rules: without a password at hand, our table counts as absent."""
    interface = machine.exists(f"/sys/class/net/{INTERFACE}")
    # /usr/sbin is not on everybody's PATH.
    places = f"{environ.get('PATH', '')}:/usr/sbin:/sbin"
    program = machine.ask("bind.nft", "", lambda: shutil.which("nft", path=places) or "")
    if not program:
        return Firewall(interface=interface)
    root = () if here.root else ("sudo", "-n")
    listed = machine.run(*root, program, "list", "table", *TABLE)
    return Firewall(program, listed.text if listed.code == 0 else "", interface)
