"""Commands of every Linux: files, accounts, services, and the lines of shell that steps have."""

import re
import shlex

from tests.unit.simulated import docker, rocm, tailscale
from tests.unit.simulated.state import DOCKERD, Refused, State


def install(on: State, *words: str) -> None:
    on.need_root("install")
    if "-d" in words:
        return
    source, target = words[-2:]
    text = on.text(source)
    if text is None:
        raise Refused(f"install: cannot stat '{source}'")
    on.put(target, text)


def nothing(on: State) -> None:
    pass


def chmod(on: State, *_: str) -> None:
    on.need_root("chmod")


def chgrp(on: State, group: str, path: str) -> None:
    on.need_root("chgrp")
    if path != "/var/run/docker.sock":
        raise Refused(f"chgrp: cannot access '{path}'")
    on.tell("docker.socket", f"root:{group}")
    docker.answer(on)


def groupadd(on: State, *words: str) -> None:
    on.need_root("groupadd")
    if "--force" not in words:
        raise Refused(f"groupadd: group '{words[-1]}' already exists")


def usermod(on: State, option: str, groups: str, account: str) -> None:
    on.need_root("usermod")
    known = on.asked("os")
    if option != "-aG" or account != known["account"]:
        raise Refused(f"usermod {option} {groups} {account}")
    known["listed"] = sorted({*known["listed"], *groups.split(",")})
    on.tell("os", known)


def ip(on: State, *words: str) -> None:
    on.need_root("ip link")
    match words:
        case ("link", "set", "dev", interface, "mtu", size):
            on.put(f"/sys/class/net/{interface}/mtu", size)
        case _:
            raise Refused(f"ip {shlex.join(words)}")


def ldconfig(on: State) -> None:
    on.need_root("ldconfig")
    rocm.loader(on)


def shell(on: State, option: str, script: str, *words: str) -> None:
    """The few lines of shell that steps are made of, each known by what it is for."""
    assert option == "-c"
    if match := re.fullmatch(r"echo (\S+) > (\S+) && ldconfig", script):
        on.need_root("a file below /etc")
        return on.put(match[2], match[1])
    if script.startswith("service docker start || { setsid dockerd"):
        return service(on, "docker", "start")
    if script.startswith("until docker version >/dev/null"):
        return on.expect(on.engine_runs, "the engine never answers")
    if "tailscale status --json" in script:
        return on.expect(tailscale.runs(on), "tailscaled never answers")
    if match := re.search(r"\| (?:sudo )?(tailscale up .*)$", script):
        on.as_root = on.as_root or "sudo" in script
        return tailscale.tailscale(on, *shlex.split(match[1])[1:])
    if 'auth-key="file:$(wslpath' in script and words[-1].endswith("tailscale.exe"):
        return tailscale.of_windows(on, "up")
    raise Refused(f"a script nobody has told us about: {script}")


def systemctl(on: State, *words: str) -> None:
    on.need_root("systemctl")
    on.expect(on.asked("os")["systemd"], "System has not been booted with systemd")
    unit = words[-1].removesuffix(".service")
    if words[0] not in {"enable", "restart", "start"} or unit not in {"docker", "tailscaled"}:
        raise Refused(f"systemctl {shlex.join(words)}")
    _started(on, unit)


def service(on: State, unit: str, verb: str) -> None:
    on.need_root("service")
    if verb not in {"start", "restart"}:
        raise Refused(f"service {unit} {verb}")
    _started(on, unit)


def start_stop_daemon(on: State, *words: str) -> None:
    on.need_root("start-stop-daemon")
    on.expect("/usr/sbin/tailscaled" in words, shlex.join(words))
    _started(on, "tailscaled")


def _started(on: State, unit: str) -> None:
    if unit == "docker":
        on.expect(on.installed(DOCKERD), "Unit docker.service could not be found.")
        docker.start(on)
        docker.answer(on)
    elif unit == "tailscaled":
        on.expect("tailscale" in on.packages, "Unit tailscaled.service not found.")
        tailscale.says(on, tailscale.state(on) or "NeedsLogin")
