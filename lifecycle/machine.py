"""The door for looking: whatever the doctor learns of a machine is read through here.

So that a look can be written down on one machine and taken again, word for word, on another.
"""

import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lifecycle.shell import Output, Shell, decoded

if TYPE_CHECKING:
    from cattrs.preconf.json import JsonConverter

LIMIT = 10.0
"""Seconds for one look, when nobody says otherwise."""
HURRY = 1.4
"""Seconds for the doctor's look: it must be over before a person wonders."""

SHORTEST, SPARE = 0.05, 0.1
"""Seconds: what a program gets in any case, and what a fact keeps to make sense of its silence."""

Answer = TypeVar("Answer")

UNKNOWN = "not in this recording"


class Machine(Protocol):
    """What facts may ask. No question raises, hangs, or changes anything."""

    def run(self, *argv: str, limit: float = LIMIT, keep: bool = False) -> Output:
        """What a read-only program says; code 127: no such program, 124: no answer in time.

        Args:
            limit: seconds; what is left of the whole look's time, if that is less.
            keep: ask until it succeeds, then never again: slow, and nothing we do changes it.
        """

    def text(self, path: str | Path) -> str | None:
        """A small file's text; None when it is absent or cannot be read."""

    def names(self, folder: str | Path) -> tuple[str, ...]:
        """What a folder holds, sorted; () when it is absent."""

    def exists(self, path: str | Path) -> bool:
        """Whether there is a file, folder, device or socket."""

    def ask(self, key: str, absent: Answer, question: Callable[[], Answer]) -> Answer:
        """What Python itself knows. `absent` stands for "could not be learned"."""


class Here:
    """The machine we are on, with a memory of everything it answered.

    Args:
        limit: seconds for one look.
    """

    def __init__(self, shell: Shell, limit: float = LIMIT) -> None:
        self.shell = shell
        self._limit = limit
        self._kept: dict[str, Output] = {}
        self.answers: dict[str, Output] = {}
        self.asked: dict[str, object] = {}
        self._until = time.monotonic() + limit

    def again(self) -> "Here":
        """Begin a new look, with the whole time before it."""
        self._until = time.monotonic() + self._limit
        return self

    def run(self, *argv: str, limit: float = LIMIT, keep: bool = False) -> Output:
        """See `Machine`."""
        key = run_key(argv)
        if key in self._kept:
            return self._kept[key]
        left = max(SHORTEST, min(limit, self._until - time.monotonic() - SPARE))
        output = self.shell.read(*argv, limit=left, env={"LC_ALL": "C.UTF-8"})
        self.answers[key] = output
        if keep and output.code == 0:
            self._kept[key] = output
        return output

    def text(self, path: str | Path) -> str | None:
        """See `Machine`."""
        try:
            text = decoded(Path(path).read_bytes())
        except OSError as error:
            self.answers[f"file: {path}"] = Output(1, "", error.strerror or str(error))
            return None
        self.answers[f"file: {path}"] = Output(0, text)
        return text

    def names(self, folder: str | Path) -> tuple[str, ...]:
        """See `Machine`."""
        try:
            found = tuple(sorted(entry.name for entry in Path(folder).iterdir()))
        except OSError:
            found = ()
        self.answers[f"folder: {folder}"] = Output(0, "\n".join(found))
        return found

    def exists(self, path: str | Path) -> bool:
        """See `Machine`."""
        try:
            there = Path(path).exists()
        except OSError:
            there = False
        self.answers[f"exists: {path}"] = Output(0 if there else 1, "")
        return there

    def ask(self, key: str, absent: Answer, question: Callable[[], Answer]) -> Answer:
        """See `Machine`."""
        try:
            self.asked[key] = question()
        except Exception:  # noqa: BLE001 - a look never raises
            self.asked[key] = absent
        return self.asked[key]  # type: ignore[return-value]

    def recorded(self) -> dict[str, Output]:
        """Every answer so far, as text."""
        import json

        told = {
            f"ask: {key}": Output(0, json.dumps(plain(value), sort_keys=True))
            for key, value in self.asked.items()
        }
        return {**self.answers, **told}


class Replay:
    """A machine that was written down."""

    def __init__(self, answers: Mapping[str, Output]) -> None:
        self._answers = answers

    def run(self, *argv: str, limit: float = LIMIT, keep: bool = False) -> Output:
        """See `Machine`."""
        del limit, keep
        return self._answers.get(run_key(argv), Output(127, "", f"{argv[0]}: {UNKNOWN}"))

    def text(self, path: str | Path) -> str | None:
        """See `Machine`."""
        answer = self._answers.get(f"file: {path}")
        return answer.text if answer and answer.code == 0 else None

    def names(self, folder: str | Path) -> tuple[str, ...]:
        """See `Machine`."""
        answer = self._answers.get(f"folder: {folder}")
        return tuple(answer.text.splitlines()) if answer else ()

    def exists(self, path: str | Path) -> bool:
        """See `Machine`."""
        answer = self._answers.get(f"exists: {path}")
        return bool(answer and answer.code == 0)

    def ask(self, key: str, absent: Answer, question: Callable[[], Answer]) -> Answer:
        """See `Machine`."""
        del question
        answer = self._answers.get(f"ask: {key}")
        if answer is None:
            return absent
        return _converter().loads(answer.text, type(absent))


def plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON holds
    """A fact as JSON holds it; sets in order, so that two recordings can be compared."""
    return _converter().unstructure(value)


@cache
def _converter() -> "JsonConverter":
    """One for all: it compiles a function for each type it meets."""
    from cattrs.preconf.json import make_converter

    return make_converter(unstruct_collection_overrides={frozenset: sorted})


def run_key(argv: tuple[str, ...]) -> str:
    """How a program's answer is called in a recording."""
    import shlex

    return f"run: {shlex.join(argv)}"


def side_by_side(
    looks: Mapping[str, Callable[[], object]], limit: float
) -> tuple[dict[str, object], dict[str, str]]:
    """Take many looks at once: what each found, and why some found nothing.

    Daemon threads and not an executor: that one would wait at exit for a look that hangs.
    """
    found: dict[str, object] = {}
    problems: dict[str, str] = {}

    def look(name: str, question: Callable[[], object]) -> None:
        try:
            found[name] = question()
        except Exception as error:  # noqa: BLE001 - a look never raises
            problems[name] = f"could not be read: {type(error).__name__}: {error}"

    threads = {
        name: threading.Thread(target=look, args=(name, question), daemon=True)
        for name, question in looks.items()
    }
    for thread in threads.values():
        thread.start()
    until = time.monotonic() + limit
    for name, thread in threads.items():
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            problems[name] = f"no answer in {limit:g} s"
    return dict(found), dict(problems)
