"""`inv setup.*`: everything a program may do to make a machine ready, safe to repeat."""

from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd.command import command, log_of, shell_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.host import Host
    from lifecycle.machine import Machine
    from lifecycle.paths import Paths
    from lifecycle.shell import Shell
    from lifecycle.step import Step

    Plan = Callable[[Host, Paths], list[Step]]

REPLAY = "show the commands for the machine recorded in this folder; changes nothing"


@command(help={
    "distro": "the distribution to use; Ubuntu-22.04 and Ubuntu-26.04 work too",
    "replay": REPLAY,
})  # fmt: skip
def wsl(context: Context, distro: str = "", replay: str = "") -> None:
    """Make WSL2 ready: a distribution, systemd, memory, no idle stop (Windows or WSL)."""
    from lifecycle.steps import wsl as steps

    carry_out(context, lambda host, paths: steps.setup(host, paths, distro), replay)


@command(help={"source": "vendor or distribution; unset: what suits the system", "replay": REPLAY})
def docker(context: Context, source: str = "", replay: str = "") -> None:
    """Install Docker Engine with Compose v2, start it, and let this user use it."""
    from lifecycle.steps import docker_engine

    carry_out(context, lambda host, paths: docker_engine.setup(host, paths, source), replay)


@command(
    help={"toolkit": "also the CUDA toolkit (nvcc); servers start without it", "replay": REPLAY}
)
def cuda(context: Context, *, toolkit: bool = False, replay: str = "") -> None:
    """Let containers see NVIDIA cards; never a display driver inside WSL."""
    from lifecycle.cmd import choose
    from lifecycle.steps import cards, nvidia

    # The one that will run decides which card counts, and which driver is new enough.
    backend = next((one for one in choose.readable() if one.gpu == "cuda"), None)

    def plan(host: "Host", paths: "Paths") -> "list[Step]":
        if backend is None:
            return nvidia.setup(host, paths, toolkit=toolkit)
        mine, image = cards.as_used(backend, host), backend.get("IMAGE")
        steps = nvidia.setup(mine, paths, toolkit=toolkit, image=image)
        return cards.asked_of(backend, steps)

    carry_out(context, plan, replay)


@command(help={"recipe": "a recipe of data/rocm.toml; unset: chosen by machine", "replay": REPLAY})
def rocm(context: Context, recipe: str = "", replay: str = "") -> None:
    """Install ROCm for AMD cards, on WSL2 or native Linux."""
    from lifecycle.steps import amd

    carry_out(context, lambda host, paths: amd.setup(host, paths, recipe), replay)


@command(help={"replay": REPLAY})
def tailscale(context: Context, replay: str = "") -> None:
    """Join the tailnet: on the Windows side under WSL, else here."""
    from lifecycle.steps import tailscale as steps

    carry_out(context, steps.setup, replay)


def carry_out(context: Context, plan: "Plan", replay: str = "") -> None:
    """Look, decide, apply; the same again does nothing.

    Args:
        plan: the steps for a machine; asked once, before anything is changed.
        replay: a recorded machine instead of this one; then nothing is changed.
    """
    from lifecycle import facts, recording, report
    from lifecycle.cmd import choose
    from lifecycle.machine import Here, Replay
    from lifecycle.runner import Runner

    where, shell = choose.places(), shell_for(context, elsewhere=bool(replay))
    here = Here(shell)
    machine: Machine = Replay(recording.read(Path(replay))) if replay else here
    host = facts.survey(where, machine)
    steps = plan(host, where)
    progress = report.Progress(live=not shell.dry)
    try:
        with shell.lock(where.home / "setup.lock", report.note):
            _may_be_root(steps, host, shell)
            runner = Runner(
                where, shell, lambda: facts.survey(where, here.again()), progress, log_of(where)
            )
            worked = runner.apply(steps, host)
    finally:
        progress.stop()
    if not worked:
        report.note("all of it is so already; nothing to do")


def _may_be_root(steps: "list[Step]", host: "Host", shell: "Shell") -> None:
    """Ask for the password once, before a live display hides the question.

    Raises:
        HostNotReady: root is needed, and there is no way to become it.
    """
    from lifecycle.errors import HostNotReady
    from lifecycle.step import Command

    todo = [action for step in steps if step.missing(host) for action in step.actions]
    asked = [one for one in todo if isinstance(one, Command) and one.argv[0] == "sudo"]
    if shell.dry or not asked or shell.read("sudo", "-n", "true").code == 0:
        return
    if not host.os.sudo:
        raise HostNotReady(
            "this needs root, and there is no sudo here",
            why=str(asked[0]),
            fix="Become root (su -), install sudo for your account, then run the same command "
            "again.",
        )
    if shell.replace(Command(("sudo", "-v"))):
        raise HostNotReady(
            "this needs root, and sudo let nobody in",
            why=str(asked[0]),
            fix="Run it on a terminal, as an account that may use sudo.",
        )
