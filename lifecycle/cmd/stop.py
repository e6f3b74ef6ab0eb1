"""What `inv down` does with each server: stops its own, leaves those of other checkouts."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.errors import HostNotReady, LifecycleError

if TYPE_CHECKING:
    from lifecycle.paths import Paths
    from lifecycle.runtimes.drain import Patience
    from lifecycle.runtimes.traces import Traces
    from lifecycle.shell import Shell

WAIT_SECONDS = 10
"""For another inv that is at work on the same backend, and may be about to start a server."""


@dataclass
class Done:
    """What became of the servers.

    Args:
        stopped: names of backends.
        left: names of those that belong to another checkout, and to which.
        failures: why others were not stopped.
    """

    stopped: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    failures: list[LifecycleError] = field(default_factory=list)


def every(
    names: Iterable[str],
    where: "Paths",
    shell: "Shell",
    patience: "Patience",
    *,
    take_over: bool = False,
) -> Done:
    """Stop each, whatever becomes of the others.

    Args:
        take_over: also those of other checkouts.
    """
    from lifecycle.facts import secrets
    from lifecycle.runtimes import launch, traces

    done = Done()
    key = launch.fingerprint(secrets.key(where))
    for name in names:
        found = traces.look(name, where)
        owner = traces.owner(found.launch, where, key)
        if owner and not take_over:
            if found.runtime or found.unknown:
                done.left[name] = _described(owner)
            continue
        try:
            if _stop(name, found, where, shell, patience):
                done.stopped.append(name)
        except LifecycleError as error:
            done.failures.append(error)
    return done


def fail(failures: list[LifecycleError]) -> None:
    """Report all but the last failure, and raise that.

    Raises:
        LifecycleError: the last one, when there is any.
    """
    from lifecycle import report

    for error in failures[:-1]:
        report.failure(error)
    if failures:
        raise failures[-1]


def _stop(name: str, found: "Traces", where: "Paths", shell: "Shell", patience: "Patience") -> bool:
    """Stop one server in whatever runtime it is; says whether there was anything to stop."""
    from lifecycle.runtimes import runtime, traces
    from lifecycle.step import StopServer

    if shell.dry:
        kind = found.runtime or found.launch.runtime
        if kind:
            shell.say(str(StopServer(name, kind, patience.now)))
        return bool(kind)
    with _alone(name, where, shell, patience) as holder:
        ran = False
        # Of either runtime: a crash in the middle of a change may leave both.
        for _ in ("venv", "docker"):
            found = traces.look(name, where)
            if found.unknown:
                raise _unknown(name, found, where)
            if found.any:
                kind = found.runtime or found.launch.runtime
                runtime(kind).down(name, where, shell, patience)
            ran = ran or bool(found.runtime)
        if holder and not ran:
            raise HostNotReady(
                f"{name} was not stopped: nothing runs yet, but {holder} is at work on it",
                why="it may start a server when it is done",
                fix="End it with Ctrl-C where it runs, or wait for it; then inv down.",
            )
    return ran


def _unknown(name: str, found: "Traces", where: "Paths") -> HostNotReady:
    from lifecycle.runtimes import launch

    note = where.run(name) / launch.FILE
    return HostNotReady(
        f"{name} was not stopped: whether it runs is unknown",
        why=found.unknown,
        fix="inv doctor tells the state of Docker. Then the same again.\n"
        f"If that engine is gone for good: rm {note}",
    )


@contextmanager
def _alone(name: str, where: "Paths", shell: "Shell", patience: "Patience") -> Iterator[str]:
    """Hold the backend's lock; yields who has it instead, when it is not let go of in time.

    A server that runs is stopped all the same: whoever waits for it is told so by its end.
    """
    from lifecycle import shell as door
    from lifecycle.runtimes import traces

    lock = where.run(name) / "up.lock"
    if not where.run(name).is_dir():
        yield ""
        return
    holder = door.holder(lock)

    def told(_: str) -> None:
        patience.tell(f"{holder} is at work on {name}; waiting for it, {WAIT_SECONDS} s at most")

    seconds = 0 if traces.look(name, where).runtime else WAIT_SECONDS
    try:
        with shell.lock(lock, told, limit=seconds):
            yield ""
    except door.Busy:
        yield holder


def _described(owner: str) -> str:
    from lifecycle.runtimes import traces

    return f"the checkout {owner}" + (", which is gone" if traces.gone(owner) else "")
