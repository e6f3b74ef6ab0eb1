"""Tailscale, on both sides of WSL: who is in the tailnet, under which name, and through what.

`tailscale status --json` prints `ipnstate.Status`; its makers warn that it may change, so only what
is needed is read, and anything may be absent or null.
https://github.com/tailscale/tailscale/blob/main/ipn/ipnstate/ipnstate.go
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lifecycle.backend import load_shared
from lifecycle.host import Os, Tailnet, Tailscale
from lifecycle.machine import Machine
from lifecycle.paths import ROOT

STATUS = ("status", "--json", "--peers=false")
INSTALLED = "Program Files/Tailscale/tailscale.exe"
"""Where its Windows installer puts it, below the drive."""


def look(machine: Machine, here: Os) -> Tailscale:
    """Both sides. Where neither is installed, no program is run. Never raises."""
    return Tailscale(
        windows=_windows(machine, here),
        linux=_linux(machine, here),
        mtu_outside=_mtu(machine, here, "eth0"),
        mtu_tailscale=_mtu(machine, here, "tailscale0"),
        key=machine.ask("tailscale.key", absent=False, question=_key),
    )


def parse(program: str, code: int, text: str, errors: str) -> Tailnet:
    """What `status --json` says; a problem when it is no status at all."""
    status = _object(text)
    if not status:
        said = (errors or text).strip().splitlines()
        return Tailnet(program, problem=said[0] if said else f"it ended with exit code {code}")
    return Tailnet(
        program,
        # 1.102.4-t3caf7d9e7-g084ee3b64: the rest names commits.
        version=str(status.get("Version") or "").partition("-")[0],
        state=str(status.get("BackendState") or ""),
        name=str(_part(status, "Self").get("DNSName") or "").removesuffix("."),
        # DNSName is set either way. Only a clear no counts: old versions do not tell.
        resolved=_part(status, "CurrentTailnet").get("MagicDNSEnabled") is not False,
        certificates=bool(status.get("CertDomains")),
        address=_address(_part(status, "Self").get("TailscaleIPs")),
    )


def _address(known: object) -> str:
    """The IPv4 address among them: `null`, or a list of both kinds."""
    some = known if isinstance(known, list) else []
    return next((one for one in some if isinstance(one, str) and ":" not in one), "")


def _windows(machine: Machine, here: Os) -> Tailnet:
    if not here.wsl and here.system != "win32":
        return Tailnet()
    drive = "C:/" if here.system == "win32" else "/mnt/c/"
    usual = drive + INSTALLED
    # The PATH of WSL leads over slow Windows folders: the usual place comes first.
    there = machine.exists(usual)
    program = usual if there else machine.ask("tailscale.windows", "", _on_path("tailscale.exe"))
    return _side(machine, program)


def _linux(machine: Machine, here: Os) -> Tailnet:
    if here.system == "win32":
        return Tailnet()
    side = _side(machine, machine.ask("tailscale.linux", "", _on_path("tailscale")))
    if not side.state:
        return side
    # Anybody may read these, whoever may change them.
    preferences = _object(machine.run(side.program, "debug", "prefs").text)
    operator = str(preferences.get("OperatorUser") or "")
    return replace(side, operator=operator)


def _side(machine: Machine, program: str) -> Tailnet:
    if not program:
        return Tailnet()
    output = machine.run(program, *STATUS)
    return parse(program, output.code, output.text, output.errors)


def _on_path(name: str) -> Callable[[], str]:
    return lambda: shutil.which(name) or ""


def _key() -> bool:
    return "TS_AUTHKEY" in load_shared(ROOT, os.environ, ("TS_AUTHKEY",))


def _mtu(machine: Machine, here: Os, interface: str) -> int:
    if here.system == "win32":
        return 0
    text = (machine.text(f"/sys/class/net/{interface}/mtu") or "").strip()
    return int(text) if text.isdecimal() else 0


def _object(text: str) -> dict[str, Any]:
    """The object in what a program printed: a warning may stand before or behind it."""
    begin = re.search(r"^\{", text, re.MULTILINE)
    try:
        found = json.JSONDecoder().raw_decode(text, begin.start())[0] if begin else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _part(status: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = status.get(name)
    return part if isinstance(part, dict) else {}
