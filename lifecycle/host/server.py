"""An engine, a model on disk, and the server made of both."""

from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.host.answers import NOT_CHECKED, Answers
from lifecycle.model import Model


@dataclass(frozen=True)
class Venv:
    """An engine's virtual environment, and what is compiled with when a GPU server starts in it.

    Args:
        made_from: digest of the lock it was completely installed from; "" while there is none.
        compiler: the C compiler on the PATH; "" when there is none.
        header: the `Python.h` of the Python that engines are made with; "" when it is missing.
    """

    made_from: str = ""
    compiler: str = ""
    header: str = ""


@dataclass(frozen=True)
class Weights:
    """A model on disk.

    Args:
        path: the folder vLLM loads.
        root: the folder to mount so that links inside `path` resolve.
        size: bytes.
        problem: why it cannot be served; "" when it can.
        written: when its config.json was written; a server must be restarted for a newer one.
        model: its figures, for the planner; None when nobody knows them.
        asked: the hub told them, be they readable to the planner or not.
        rank: of a LoRA adapter; 0 of anything else.
    """

    path: Path | None = None
    root: Path | None = None
    size: int = 0
    problem: str = ""
    written: str = ""
    model: Model | None = None
    asked: bool = False
    rank: int = 0


@dataclass(frozen=True)
class Launch:
    """What a server was started with, kept beside it and compared on the next `up`."""

    runtime: str = ""
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """A server of ours, alive or not.

    Args:
        phase: stopped, start, load, warm-up, ready, failed, or unanswering.
        pid: the process that holds the port; 0 in a container we cannot look into.
        since: start of the present process, seconds since the epoch.
        restarts: how often the supervisor brought it back.
        memory: bytes of RAM of all its processes.
        models: names that /v1/models lists.
        detail: the last thing its log said about its progress or its death.
        answers: what the last check of this start's answers concluded.
    """

    phase: str = "stopped"
    launch: Launch = Launch()
    pid: int = 0
    since: float = 0
    restarts: int = 0
    memory: int = 0
    models: tuple[str, ...] = ()
    detail: str = ""
    log: str = ""
    answers: Answers = NOT_CHECKED

    @property
    def alive(self) -> bool:
        """Whether a process or container exists, ready or not."""
        return self.phase not in {"stopped", "failed"}
