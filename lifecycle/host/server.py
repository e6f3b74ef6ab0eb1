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
        unread: why the planner cannot read what is known of it; "" when it can, or none is.
        rank: of a LoRA adapter; 0 of anything else.
    """

    path: Path | None = None
    root: Path | None = None
    size: int = 0
    problem: str = ""
    written: str = ""
    model: Model | None = None
    asked: bool = False
    unread: str = ""
    rank: int = 0


@dataclass(frozen=True)
class Launch:
    """What a server was started with: it carries that itself, and a copy is kept beside it.

    Args:
        checkout: the folder it was started from; "" when that was not written down.
    """

    runtime: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    checkout: str = ""


@dataclass(frozen=True)
class Server:
    """A server of ours, alive or not.

    Args:
        phase: stopped, start, load, warm-up, ready, failed, unanswering, or unknown: whoever
            could tell does not answer.
        pid: the process that holds the port; 0 in a container we cannot look into.
        since: start of the present process, seconds since the epoch.
        restarts: how often the supervisor brought it back.
        memory: bytes of RAM of all its processes.
        models: names that /v1/models lists.
        detail: the last thing its log said about its progress or its death; why it is unknown.
        answers: what the last check of this start's answers concluded.
        owner: the checkout it belongs to, when that is not this one.
        owner_gone: there is no such checkout any more.
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
    owner: str = ""
    owner_gone: bool = False

    @property
    def alive(self) -> bool:
        """Whether a process or container is known to exist, ready or not."""
        return self.phase not in {"stopped", "failed", "unknown"}
