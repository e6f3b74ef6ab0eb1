"""What `up`, `restart` and `switch` share: all that a start needs, then the start itself."""

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from lifecycle.cmd.command import log_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.backend import Backend
    from lifecycle.host import Gpu, Host, Server
    from lifecycle.machine import Here
    from lifecycle.paths import Paths
    from lifecycle.runner import Runner
    from lifecycle.shell import Shell
    from lifecycle.step import Step


def with_key(backend: "Backend") -> tuple["Backend", str]:
    """The backend with its key, and the key to write down when it is new."""
    if backend.api_key:
        return backend, ""
    import secrets

    new = f"sk-local-{secrets.token_urlsafe(32)}"
    return backend.with_setting("VLLM_API_KEY", new, ".env"), new


def prepare(  # noqa: PLR0913 - two by name
    backend: "Backend",
    where: "Paths",
    here: "Here",
    made: str = "",
    *,
    replacing: bool = False,
    force: bool = False,
) -> tuple["Host", bool]:
    """Bring about everything but the start; a running server is not touched.

    Args:
        made: the key to write down; "" when there is one already.
        replacing: the running server will make room: what it holds counts as free.
        force: also a model that does not fit.

    Returns:
        the machine as it is now, and whether anything had to be done.
    """
    from lifecycle import facts
    from lifecycle.cmd import measure
    from lifecycle.cmd.tools import tools
    from lifecycle.steps import secrets, serve

    def look() -> "Host":
        seen = facts.gather(backend, where, here.again())
        return _without_server(seen) if replacing else seen

    host = look()
    # As bytes: reading as text would change Windows line ends.
    text = where.secrets.read_bytes().decode() if where.secrets.exists() else ""
    plan = secrets.steps(where, text, made)
    plan += serve.prepare(
        backend, where, host, tools(here.shell, backend, host),
        measured=measure.earlier(backend, where, host), force=force,
    )  # fmt: skip
    with _one_installs(plan, host, where, here) as held, _runner(where, here, look) as runner:
        # Another inv may have installed it while we waited.
        worked = runner.apply(plan, look() if held else host)
    seen_as_is = not worked and not replacing
    return host if seen_as_is else facts.gather(backend, where, here.again()), worked


def refuse_strangers(backend: "Backend", runs: "Server", *, take_over: bool = False) -> None:
    """Leave what another checkout started alone, unless to take it over was asked for.

    Raises:
        HostNotReady: and says whose it is, and what can be done.
    """
    from lifecycle import report
    from lifecycle.steps import ownership

    if not runs.owner:
        return
    if not take_over:
        raise ownership.refusal(backend, runs)
    report.note(f"taking over the server of {backend.name}: {ownership.described(runs)}")


def start(  # noqa: PLR0913 - two by name
    backend: "Backend",
    where: "Paths",
    here: "Here",
    host: "Host",
    *,
    again: bool = False,
    now: bool = False,
) -> bool:
    """Stop what runs otherwise, start the server, wait until its answers are found sane; whether
    there was anything to do.

    Args:
        host: the machine after `prepare`.
        again: not the process that runs now, but a new one.
        now: what runs is stopped without waiting for requests in flight.
    """
    from lifecycle import facts, report
    from lifecycle.cmd import measure
    from lifecycle.steps import answers, fit, serve

    planned = fit.plan(backend, host, measure.earlier(backend, where, host))
    steps = serve.start(backend, where, host, again=again, now=now, planned=planned)
    if any(step.missing(host) for step in steps):
        for text in (*serve.notes(backend, host), *fit.notes(backend, planned)):
            report.note(text)
    steps.append(answers.step(backend, host))
    with _runner(where, here, lambda: facts.gather(backend, where, here.again())) as runner:
        worked = runner.apply(steps, host)
    if worked and not here.shell.dry:
        measure.after_start(backend, where, host, here.shell, planned)
        report.answers(facts.server.look(backend, where).answers)
    return worked


@contextmanager
def _one_installs(
    plan: "list[Step]", host: "Host", where: "Paths", here: "Here"
) -> "Iterator[bool]":
    """Two backends may share an engine: one `up` installs it, the other waits. Says whether it is
    missing.
    """
    from lifecycle import report

    if not any(step.phase == "install" and step.missing(host) for step in plan):
        yield False
        return
    with here.shell.lock(where.home / "install.lock", report.note):
        yield True


@contextmanager
def alone_without_key(backend: "Backend", where: "Paths", shell: "Shell") -> "Iterator[None]":
    """Until there is a key one `up` at a time works on a checkout: two would make two keys."""
    from lifecycle import report

    if backend.api_key:
        yield
        return
    with shell.lock(where.home / "key.lock", report.note):
        yield


@contextmanager
def _runner(where: "Paths", here: "Here", look: "Callable[[], Host]") -> "Iterator[Runner]":
    from lifecycle import report
    from lifecycle.runner import Runner

    progress = report.Progress(live=not here.shell.dry)
    try:
        yield Runner(where, here.shell, look, progress, log_of(where))
    finally:
        progress.stop()


def _without_server(host: "Host") -> "Host":
    """The machine as it will be when the running server is gone.

    What that holds of a card nobody tells (WSL names no processes), so a card's free memory counts
    as unknown: the whole card decides.
    """
    from lifecycle.host import Server

    if not host.server.alive:
        return host
    free = host.memory.available + host.server.memory
    return replace(
        host,
        server=Server(),
        memory=replace(host.memory, available=free),
        nvidia=replace(host.nvidia, gpus=_unread(host.nvidia.gpus)),
        amd=replace(host.amd, gpus=_unread(host.amd.gpus)),
    )


def _unread(cards: "tuple[Gpu, ...]") -> "tuple[Gpu, ...]":
    return tuple(replace(card, free=None) for card in cards)
