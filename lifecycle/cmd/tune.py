"""`inv tune`: which CPU settings are fastest on this machine."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd.command import command, shell_for

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.machine import Here
    from lifecycle.paths import Paths

WORTH = 1.05
"""So much faster must a later row be than the leanest: less is chance, and it costs more."""


@dataclass(frozen=True)
class Trial:
    """One row, measured: seconds until it answered, tokens a second at 8 streams."""

    name: str
    seconds: float
    speed: float


@command(help={"gpu": "which CPU backend"})
def tune(context: Context, gpu: str = "cpu") -> None:
    """Measure the CPU settings on this machine and keep the fastest; restarts the server."""
    from lifecycle import facts, report, tables
    from lifecycle.cmd import choose, start
    from lifecycle.errors import ConfigError
    from lifecycle.machine import Here
    from lifecycle.steps import tune as steps

    where, shell = choose.places(), shell_for(context)
    backend, _ = choose.to_start(gpu)
    if backend.gpu != "cpu":
        raise ConfigError(
            f"inv tune measures CPU settings, and {backend.name} has GPU={backend.gpu}",
            fix="Name a CPU backend: inv tune --gpu cpu",
        )
    start.refuse_strangers(backend, facts.server.look(backend, where))
    names = [row.name for row in tables.serving.cpu_settings()]
    if shell.dry:
        for name in names:
            shell.say(f"restart {backend.name} with {steps.KEY}={name}, and measure it")
        shell.say(f"write the fastest into {where.secrets}")
        return
    here = Here(shell)
    with shell.lock(where.run(backend.name) / "up.lock", report.note):
        # Again: another checkout may have started one while we waited.
        start.refuse_strangers(backend, facts.server.look(backend, where))
        trials = [_try(backend, name, where, here) for name in names]
        choice = fastest(trials)
        report.trials(trials, choice)
        text = where.secrets.read_bytes().decode() if where.secrets.exists() else ""
        shell.write(steps.keep(where, text, choice.name))
        if choice is not trials[-1]:
            _start(choose.load(backend.name), where, here)
    report.note(f"{steps.KEY}={choice.name} is in .env")


def fastest(trials: list[Trial]) -> Trial:
    """The fastest, unless a leaner one is as good."""
    best = max(trials, key=lambda trial: trial.speed)
    return next(trial for trial in trials if trial.speed * WORTH >= best.speed)


def _try(backend: "Backend", name: str, where: "Paths", here: "Here") -> Trial:
    from lifecycle.runtimes import load
    from lifecycle.steps import tune as steps

    candidate = backend.with_setting(steps.KEY, name, "inv tune")
    begun = time.monotonic()
    candidate = _start(candidate, where, here)
    seconds = time.monotonic() - begun
    return Trial(name, seconds, load.tokens_per_second(candidate))


def _start(backend: "Backend", where: "Paths", here: "Here") -> "Backend":
    """Start it anew, whatever runs; returns it with its key."""
    from lifecycle.cmd import start

    backend, made = start.with_key(backend)
    host, _ = start.prepare(backend, where, here, made, replacing=True)
    start.start(backend, where, here, host, again=True)
    return backend
