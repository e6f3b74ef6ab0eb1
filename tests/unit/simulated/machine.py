"""The machine as a whole: what it answers, what is done to it, and how a person goes on."""

import shlex
from collections.abc import Callable, Iterator

from lifecycle import wslconfig
from lifecycle.errors import RestartNeeded
from lifecycle.machine import LIMIT, Replay, run_key
from lifecycle.shell import Output
from lifecycle.step import Action, Command, Download, EditFile, Remove, Step, WriteFile
from tests.unit import recorded
from tests.unit.simulated import docker, linux, packages, rocm, tailscale, wsl
from tests.unit.simulated.state import DOCKERD, Refused, State

TIMES = 5
"""How often a person runs the same command again, after each restart it asks for."""
COMMANDS: dict[str, Callable[..., None]] = {
    "amdgpu-install": packages.amdgpu_install,
    "apt-get": packages.apt_get,
    "chgrp": linux.chgrp,
    "chmod": linux.chmod,
    "docker": docker.docker,
    "dpkg": packages.dpkg,
    "groupadd": linux.groupadd,
    "install": linux.install,
    "ip": linux.ip,
    "ldconfig": linux.ldconfig,
    "nvidia-ctk": docker.nvidia_ctk,
    "rocminfo": rocm.rocminfo,
    "service": linux.service,
    "sh": linux.shell,
    "start-stop-daemon": linux.start_stop_daemon,
    "systemctl": linux.systemctl,
    "tailscale": tailscale.tailscale,
    "tailscale.exe": tailscale.of_windows,
    "true": linux.nothing,
    "usermod": linux.usermod,
    "wsl.exe": wsl.wsl,
}


class Simulated(State):
    """A machine that can be set up.

    Args:
        gpu: what its owner writes after `--gpu`.
    """

    def __init__(self, replay: Replay, gpu: str = "auto") -> None:
        super().__init__(replay)
        self.gpu = gpu

    def run(self, *argv: str, limit: float = LIMIT, keep: bool = False) -> Output:
        """What programs say that see all of the machine; the rest is as it was recorded."""
        if argv[-1].endswith("rocminfo") and run_key(argv) not in self.answers:
            return rocm.seen(self, argv)
        return super().run(*argv, limit=limit, keep=keep)

    def set_up(self) -> None:
        """Every setup command, each as often as it asks for a restart."""
        for command, _ in list(recorded.setups(self.host(), self.gpu)):
            for _ in range(TIMES):
                if not self._carry_out(command):
                    break
            else:
                raise Refused(f"{command} asks for a restart again and again")

    def unreached(self) -> Iterator[tuple[str, Step]]:
        """What each command would still do, up to what only a person can."""
        seen = self.host()
        for command, steps in recorded.setups(seen, self.gpu):
            for step in steps:
                if not step.missing(seen) or (step.advice and not step.actions):
                    continue
                yield command, step
                if not step.actions:
                    break

    def _carry_out(self, command: str) -> bool:
        """As the runner does; says whether the same must be run again after a restart."""
        seen = self.host()
        for step in dict(recorded.setups(seen, self.gpu))[command]:
            why = step.missing(seen)
            if not why or (step.advice and not step.actions):
                continue
            if not step.actions:
                if step.failure is RestartNeeded:
                    self.restarted()
                return step.failure is RestartNeeded
            for action in step.actions:
                self.perform(action)
            if step.restart:
                self.restarted()
            seen = self.host()
            why = step.missing(seen)
            assert not why, f"{command}: {step.name}: {why}"
            if step.restart:
                return True
        return False

    def restarted(self) -> None:
        """Signed in again; under WSL after `wsl --shutdown`; on Windows after its restart."""
        known = self.asked("os")
        if known["groups"] != known["listed"]:
            known["groups"] = known["listed"]
            rocm.forget(self)
        if known["wsl"]:
            conf = wslconfig.values(self.text("/etc/wsl.conf") or "")
            known["systemd"] = conf.get("boot.systemd") == "true"
            wsl.give_memory(self)
        self.tell("os", known)
        if self.installed(DOCKERD) and known["wsl"]:
            docker.boot(self, systemd=known["systemd"])
        if self.engine_runs:
            docker.answer(self)
        if self.wsl_comes:
            wsl.came(self)

    def perform(self, action: Action) -> None:
        """Change the answers as the real action would.

        Raises:
            Refused: it would have failed, or is unknown here.
        """
        match action:
            case WriteFile(path=path, text=text):
                self.put(path, text)
            case EditFile(path=path, old=old, new=new):
                now = self.text(path)
                self.expect((now and now.replace("\r\n", "\n")) == old, f"{path} has changed")
                self.put(path, new)
            case Remove(path=path):
                self.away(path)
            case Download(url=url, path=path):
                self.put(path, f"downloaded from {url}")
            case Command(argv=argv):
                self._command(argv)
            case _:
                raise Refused(f"no setup command does this: {action}")

    def _command(self, argv: tuple[str, ...]) -> None:
        words = list(argv)
        self.as_root = bool(self.asked("os")["root"])
        if words[0] == "sudo":
            words.pop(0)
            self.as_root = True
        if words[0] == "timeout":
            words = words[2:]
        if words[0] == "env":
            words.pop(0)
            while "=" in words[0]:
                words.pop(0)
        command = COMMANDS.get(words[0].rpartition("/")[2])
        if command is None:
            raise Refused(f"a command nobody has told us about: {shlex.join(argv)}")
        command(self, *words[1:])
