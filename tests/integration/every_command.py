"""Every command of the task list, typed into `./inv` of a copy, and what must hold of each end."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lifecycle import errors
from lifecycle.errors import LifecycleError
from tasks import namespace
from tests.integration.checkout import ROOT, Checkout, free_port

WORDS = {
    "chat": ("hello",),
    "key.add": ("somebody",),
    "key.remove": ("somebody",),
    "key.rotate": ("somebody",),
    "switch": ("smollm2-135m-instruct",),
}
"""What a command cannot do without."""
HARMLESS = {
    "chat", "doctor", "down", "gateway.status", "key.add", "key.list", "key.remove", "key.rotate",
    "logs", "models", "plan", "render", "status",
}  # fmt: skip
"""Run as they are; any other command, new ones included, only says what it would do."""
COMMANDS = sorted(namespace.task_names)
HELPS = [("--list",), ("--help",), *(("--help", name) for name in COMMANDS)]
DOCUMENTED = {0, errors.INTERRUPTED, errors.READER_GONE} | {
    kind.exit_code
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, LifecycleError) and kind is not LifecycleError
}
BUGS = ("Traceback", "Exception ignored", "most recent call last")
AT_ONCE = 3


@dataclass(frozen=True)
class Case:
    """A command line and the circumstances under which it is typed.

    Args:
        redirection: as a shell writes it, e.g. `>&-`.
        env: what is set; None for what is not there.
    """

    words: tuple[str, ...]
    redirection: str = ""
    env: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class End:
    """How it ended; the output as far as it was not redirected."""

    case: Case
    code: int
    output: str
    errors: str

    @property
    def problem(self) -> str:
        """What must never be; "" when nothing is wrong."""
        said = f"{self.output}\n{self.errors}"
        if not any(mark in said for mark in BUGS) and self.code in DOCUMENTED:
            return ""
        return f"{self.case}\nexit code {self.code}\n{said}"


def typed(name: str) -> tuple[str, ...]:
    """What a person types to run a command, safe to be run here."""
    dry = () if name in HARMLESS else ("--dry",)
    return (*dry, name, *WORDS.get(name, ()))


def copy(folder: Path) -> Checkout:
    """A checkout whose `inv` finds its `.venv` made: this interpreter has everything it has."""
    made = Checkout.copy(folder / "checkout", "dtest", free_port())
    python = made.root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    shutil.copy(ROOT / ".env.example", made.root)
    shutil.copy(ROOT / "requirements" / "inv.txt", made.root / ".venv" / ".made-from.txt")
    made.env["LIFECYCLE_HOME"] = str(folder / "home")
    return made


def run(made: Checkout, case: Case) -> End:
    """Type it into a shell; the code is that of `inv`, whatever it is piped into."""
    changed = {**made.environment(), **case.env}
    script = f'./inv "$@" {case.redirection}; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", script, "bash", *case.words], cwd=made.root, stdin=subprocess.DEVNULL,
        env={name: text for name, text in changed.items() if text is not None},
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    said = (done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
    return End(case, done.returncode, *said)


def all_of(made: Checkout, cases: Iterable[Case]) -> list[End]:
    """Several at once: most of a command's time is Python's start."""
    with ThreadPoolExecutor(min(AT_ONCE, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda case: run(made, case), cases))
