"""The answers of a simulated machine, and what all of its commands need."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from lifecycle import tables
from lifecycle.host import Host
from lifecycle.machine import LIMIT, Replay, run_key
from lifecycle.shell import Output
from tests.unit import recorded
from tests.unit.recorded import PATHS

Answer = TypeVar("Answer")
SOURCES = "/etc/apt/sources.list.d/"
DOCKERD = {"docker.io", "docker-ce"}


class Refused(AssertionError):
    """A command that a real machine would have refused, or that nobody has told us about."""


class State:
    """A machine over a recording's answers, whose answers follow what is done to it.

    Args:
        replay: the recording.
    """

    def __init__(self, replay: Replay) -> None:
        self.answers: dict[str, Output] = dict(replay._answers)
        self.replay = Replay(self.answers)
        self.recorded = {key.removeprefix("file: ") for key in self.answers}
        self.packages = dict(self.asked("packages"))
        said = self.asked("docker.engine")
        self.engine: dict[str, Any] = said.get("info") or {}
        self.engine_runs = bool(self.engine) or said.get("failure") in {"EACCES", "EPERM"}
        self.wsl_comes = False
        self.as_root = False

    def run(self, *argv: str, limit: float = LIMIT, keep: bool = False) -> Output:
        return self.replay.run(*argv, limit=limit, keep=keep)

    def text(self, path: str | Path) -> str | None:
        return self.replay.text(path)

    def names(self, folder: str | Path) -> tuple[str, ...]:
        return self.replay.names(folder)

    def exists(self, path: str | Path) -> bool:
        return self.replay.exists(path)

    def ask(self, key: str, absent: Answer, question: Callable[[], Answer]) -> Answer:
        if key == "packages":
            self.tell(key, self.packages)
        return self.replay.ask(key, absent, question)

    def host(self) -> Host:
        return recorded.host(self)

    def need_root(self, what: str) -> None:
        if not self.as_root:
            raise Refused(f"{what} needs root")

    def expect(self, so: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as it is meant
        if not so:
            raise Refused(otherwise)

    def installed(self, some: set[str]) -> bool:
        return bool(some & self.packages.keys())

    def release(self) -> str:
        return self.text("/etc/os-release") or ""

    def asked(self, key: str) -> Any:
        answer = self.answers.get(f"ask: {key}")
        return json.loads(answer.text) if answer else {}

    def tell(self, key: str, value: object) -> None:
        self.answers[f"ask: {key}"] = Output(0, json.dumps(value))

    def says(self, argv: tuple[str, ...], text: str) -> None:
        self.answers[run_key(argv)] = Output(0, text)

    def put(self, path: str | Path, text: str) -> None:
        self.answers[f"file: {path}"] = Output(0, text)
        self.answers[f"exists: {path}"] = Output(0, "")
        folder = str(Path(path).parent)
        names = {*self.replay.names(folder), Path(path).name}
        self.answers[f"folder: {folder}"] = Output(0, "\n".join(sorted(names)))
        if Path(path) == PATHS.home / tables.cuda.container_toolkit().stamp:
            self.tell("nvidia.verified", text.strip())

    def away(self, path: str | Path) -> None:
        self.answers[f"file: {path}"] = Output(1, "", "No such file or directory")
        self.answers[f"exists: {path}"] = Output(1, "")

    def files_below(self, folder: str) -> dict[str, str]:
        """Paths and texts; "" is what the distribution itself came with."""
        return {"": ""} | {
            key.removeprefix("file: "): output.text
            for key, output in self.answers.items()
            if key.startswith(f"file: {folder}") and output.code == 0
        }
