"""What a command did, kept for later: `LIFECYCLE_HOME/log/<time>-<command>.log`.

One file for each command that had work to do: each step with its reason, each action with what it
printed and how long it took, and the failure. Never raises: a log must not stop the work.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from lifecycle.errors import LifecycleError
from lifecycle.redact import HIDDEN, without_credentials
from lifecycle.step import Step

KEPT = 40
"""Files; the oldest go first."""


class RunLog:
    """The file is made with its first line.

    Args:
        folder: where the files are.
        command: for the file's name, e.g. `up`.
        secrets: texts that must not be written down.
    """

    def __init__(self, folder: Path, command: str, secrets: Iterable[str] = ()) -> None:
        self._folder = folder
        self._command = command
        self._secrets = tuple(filter(None, secrets))
        self._began = 0.0
        self.path: Path | None = None

    def step(self, step: Step, why: str) -> None:
        """A state is not reached: work begins."""
        self._write(f"\n{step.id}: {step.name}", *why.splitlines())

    def action(self, text: str) -> None:
        """Something is done about it."""
        self._began = time.monotonic()
        self._write(*(f"$ {line}" for line in text.splitlines()))

    def line(self, text: str) -> None:
        """What it prints."""
        self._write(text)

    def ended(self, how: str = "done") -> None:
        """And how it ended."""
        self._write(f"[{how}, {time.monotonic() - self._began:.1f} s]")

    def failure(self, error: BaseException) -> None:
        """Why the command ends here. Without work before it the terminal has all of it."""
        if self.path is None:
            return
        if isinstance(error, LifecycleError):
            parts = f"\nfailed: {error.what}", *error.why.splitlines(), *error.fix.splitlines()
            self._write(*parts)
            error.log = str(self.path)
        else:
            self._write(f"\nended: {type(error).__name__}")

    def _write(self, *lines: str) -> None:
        with contextlib.suppress(OSError):
            self.path = self.path or self._made()
            # Closed each time: whoever is killed has written all that was done.
            with self.path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
                stream.writelines(f"{self._clean(line)}\n" for line in lines)

    def _clean(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, HIDDEN)
        return without_credentials(line)

    def _made(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        path = self._folder / f"{stamp}-{self._command}-{os.getpid()}.log"
        path.touch(0o600)
        head = f"inv {self._command}, {time.strftime('%Y-%m-%d %H:%M:%S %Z')}\n"
        path.write_text(head, encoding="utf-8")
        for old in files(self._folder)[:-KEPT]:
            old.unlink(missing_ok=True)
        return path


def of_this_command(home: Path, secrets: Iterable[str] = ()) -> RunLog:
    """The log of the command that runs now, named after the task on the command line."""
    plain = (word for word in sys.argv[1:] if not word.startswith("-"))
    name = next(plain, "inv").replace("/", "_")
    return RunLog(folder(home), name, secrets)


def folder(home: Path) -> Path:
    """Where the logs are, there or not."""
    return home / "log"


def files(place: Path) -> list[Path]:
    """The logs, oldest first."""
    with contextlib.suppress(OSError):
        return sorted(place.glob("*.log"))
    return []
