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


OTHER_TYPE = {"float32": "bfloat16", "bfloat16": "float32", "auto": "float32", "": "float32"}
"""What is tried beside `DTYPE`: which is faster depends on the processor."""


@dataclass(frozen=True)
class Trial:
    """One row, measured: seconds until it answered, tokens a second at 8 streams."""

    name: str
    seconds: float
    speed: float
    dtype: str = ""


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
    dtype = _other_type(backend)
    names = [row.name for row in tables.serving.cpu_settings()]
    if shell.dry:
        for name in names:
            shell.say(f"restart {backend.name} with {steps.KEY}={name}, and measure it")
        if dtype:
            shell.say(f"the same with the fastest of them and DTYPE={dtype}")
        shell.say(f"write the fastest into {where.secrets}")
        return
    here = Here(shell)
    with shell.lock(where.run(backend.name) / "up.lock", report.note):
        # Again: another checkout may have started one while we waited.
        start.refuse_strangers(backend, facts.server.look(backend, where))
        trials = [_try(backend, name, where, here) for name in names]
        choice = fastest(trials)
        other = _try_type(backend, choice, dtype, where, here) if dtype else []
        report.trials([*trials, *other], choice)
        text = where.secrets.read_bytes().decode() if where.secrets.exists() else ""
        shell.write(steps.keep(where, text, choice.name))
        if dtype or choice is not trials[-1]:
            _start(choose.load(backend.name), where, here)
    report.note(f"{steps.KEY}={choice.name} is in .env")
    for trial in other:
        if trial.speed > choice.speed * WORTH:
            report.note(
                f"DTYPE={trial.dtype} is {trial.speed / choice.speed:.1f} times as fast: put it "
                f"into {backend.model_file}"
            )


def fastest(trials: list[Trial]) -> Trial:
    """The fastest, unless a leaner one is as good."""
    best = max(trials, key=lambda trial: trial.speed)
    return next(trial for trial in trials if trial.speed * WORTH >= best.speed)


def _other_type(backend: "Backend") -> str:
    """The type to measure beside the backend's own; "" for none."""
    return "" if backend.get("QUANTIZATION") else OTHER_TYPE.get(backend.get("DTYPE"), "")


def _try_type(
    backend: "Backend", choice: Trial, dtype: str, where: "Paths", here: "Here"
) -> list[Trial]:
    """The fastest row once more, in the other type; nothing where that cannot be started."""
    from lifecycle import report
    from lifecycle.errors import LifecycleError

    try:
        return [_try(backend, choice.name, where, here, dtype)]
    except LifecycleError as error:
        report.note(f"DTYPE={dtype} was not measured: {error.what}")
        return []


def _try(backend: "Backend", name: str, where: "Paths", here: "Here", dtype: str = "") -> Trial:
    from lifecycle.runtimes import load
    from lifecycle.steps import tune as steps

    candidate = backend.with_setting(steps.KEY, name, "inv tune")
    if dtype:
        candidate = candidate.with_setting("DTYPE", dtype, "inv tune")
    begun = time.monotonic()
    candidate = _start(candidate, where, here)
    seconds = time.monotonic() - begun
    return Trial(name, seconds, load.tokens_per_second(candidate), dtype)


def _start(backend: "Backend", where: "Paths", here: "Here") -> "Backend":
    """Start it anew, whatever runs; returns it with its key."""
    from lifecycle.cmd import start

    backend, made = start.with_key(backend)
    host, _ = start.prepare(backend, where, here, made, replacing=True)
    start.start(backend, where, here, host, again=True)
    return backend
