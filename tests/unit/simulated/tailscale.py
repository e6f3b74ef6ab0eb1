"""Tailscale on both sides; whoever is shown a login address uses it."""

import json
import re
import shlex

from lifecycle.machine import run_key
from lifecycle.shell import Output
from tests.unit.simulated.state import Refused, State
from tests.unit.simulated.world import TAILSCALED_STOPPED, tailscale_status


def tailscale(on: State, *words: str) -> None:
    on.need_root("tailscale")
    on.expect(runs(on), "failed to connect to local tailscaled")
    operator = next((w.partition("=")[2] for w in words if w.startswith("--operator=")), "")
    if operator:
        preferences = json.dumps({"OperatorUser": operator})
        on.says(("/usr/bin/tailscale", "debug", "prefs"), preferences)
    if words[0] == "up":
        says(on, "Running")
    elif words[0] != "set":
        raise Refused(f"tailscale {shlex.join(words)}")


def of_windows(on: State, *words: str) -> None:
    if words == ("set", "--unattended"):
        return
    on.expect(words[0] == "up", f"tailscale.exe {shlex.join(words)}")
    known = on.host().tailscale.windows
    on.expect(bool(known.state), "tailscaled does not run on Windows")
    says(on, "Running", known.program)


def runs(on: State) -> bool:
    return bool(state(on))


def state(on: State) -> str:
    if not on.asked("tailscale.linux"):
        return ""
    said = on.run("/usr/bin/tailscale", "status", "--json", "--peers=false").text
    found = re.search(r'"BackendState": "(\w+)"', said)
    return found[1] if found else ""


def says(on: State, state: str, program: str = "/usr/bin/tailscale") -> None:
    asked = run_key((program, "status", "--json", "--peers=false"))
    stopped = Output(1, "", TAILSCALED_STOPPED)
    on.answers[asked] = Output(0, tailscale_status(state)) if state else stopped
