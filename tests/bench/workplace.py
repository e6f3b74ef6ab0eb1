"""A copy of the checkout with a backend of its own, and what the package would start there."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from lifecycle import backend as backends
from lifecycle import facts
from lifecycle.backend import Backend
from lifecycle.host import Host
from lifecycle.machine import Here
from lifecycle.paths import Paths, paths
from lifecycle.shell import Shell
from tests.bench.results import NotMeasured
from tests.integration.checkout import Checkout, free_port, interrupt

TAIL_LINES = 8
STOPPING = (signal.SIGINT, signal.SIGTERM)
UP_LIMIT = 900
"""Seconds; a machine's first time installs the engine."""


@dataclass
class Workplace:
    """Where the servers of the benchmark live; engine and model are the user's."""

    folder: Path
    checkout: Checkout
    rounds: int
    console: Console
    prepared: set[str] = field(default_factory=set)

    def say(self, text: str) -> None:
        """One line, so that a person sees what takes the time."""
        self.console.print(f"[dim]{time.strftime('%H:%M:%S')}[/]  {text}", highlight=False)

    @property
    def paths(self) -> Paths:
        environ = self.checkout.environment()
        shared = backends.load_shared(self.checkout.root, environ, ("LIFECYCLE_HOME", "MODELS_DIR"))
        return paths({key: one.text for key, one in shared.items()}, self.checkout.root)

    def backend(self, **settings: str) -> Backend:
        """Ours as `inv` reads it, with some values replaced."""
        root, environ = self.checkout.root, self.checkout.environment()
        found = backends.load(self.checkout.backend, root, environ)
        for key, text in settings.items():
            found = found.with_setting(key, text, "bench")
        return found

    def look(self, backend: Backend) -> Host:
        return facts.gather(backend, self.paths, Here(Shell()))

    def prepare(self, runtime: str) -> None:
        """Bring engine, model and a warm disk cache about: neither side shall pay for them."""
        if runtime in self.prepared:
            return
        self.say(f"not measured: one inv up and down, {runtime} (installs what is missing)")
        self.up(runtime)
        self.down()
        self.prepared.add(runtime)

    def up(self, runtime: str) -> float:
        """`inv up` until it returns, in seconds."""
        started = time.monotonic()
        process = self.checkout.begin("up", "--gpu", self.checkout.backend, "--runtime", runtime)
        try:
            out, _ = process.communicate(timeout=UP_LIMIT)
        except BaseException:
            # Ctrl-C, passed on: a killed `inv up` would leave its children at work.
            with uninterrupted(), suppress(ProcessLookupError):
                interrupt(process)
            raise
        seconds = time.monotonic() - started
        if process.returncode:
            raise NotMeasured(f"inv up failed: {tail(out)}")
        return seconds

    def down(self) -> None:
        done = self.checkout.inv("down", "--gpu", self.checkout.backend, limit=60)
        if done.returncode:
            raise NotMeasured(f"inv down failed: {tail(done.stderr)}")


@contextmanager
def workplace(rounds: int, console: Console) -> Iterator[Workplace]:
    """Leaves no server and no folder behind, whatever ends it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        checkout = Checkout.copy(folder / "checkout", f"bench-{os.getpid()}", free_port())
        made = Workplace(folder, checkout, rounds, console)
        try:
            yield made
        finally:
            with uninterrupted():
                _clean(made)


def _clean(made: Workplace) -> None:
    state = made.paths.run(made.checkout.backend)
    if not state.is_dir():
        return
    try:
        made.down()
    except (NotMeasured, subprocess.TimeoutExpired) as problem:
        # Its state stays: `down` needs it to find what is left.
        made.say(f"[red]a server may be left: {problem}[/]")
        return
    shutil.rmtree(state)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Stopping servers must not be broken off by a second Ctrl-C; children inherit this."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tail(text: str) -> str:
    """The end of an output, for a reason."""
    return "\n".join(text.strip().splitlines()[-TAIL_LINES:])
