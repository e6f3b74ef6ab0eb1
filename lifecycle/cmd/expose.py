"""`inv expose` and `inv unexpose`: what the tailnet gets of this machine, and nothing more."""

import re
from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd.command import command, log_of, shell_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lifecycle.errors import LifecycleError
    from lifecycle.host import Exposed, Host, Probe
    from lifecycle.machine import Here
    from lifecycle.paths import Paths
    from lifecycle.step import Step
    from lifecycle.steps.expose import Wanted

PATIENCE = {"https": 75.0, "http": 15.0}
"""Seconds for the first answer from outside: Tailscale may take a minute to get a certificate."""


@command(help={
    "backend": "one server instead of the gateway; its clients then share VLLM_API_KEY",
    "gateway": "the gateway: as without --backend",
    "port": "port on the tailnet; unset: 443 with certificates, 80 without",
    "status": "show all that is exposed and how it answers; change nothing",
})  # fmt: skip
def expose(
    context: Context,
    backend: str = "",
    port: int = 0,
    *,
    gateway: bool = False,
    status: bool = False,
) -> None:
    """Offer /v1 of the gateway to the tailnet, ask it from outside, and show how to use it."""
    from lifecycle import report
    from lifecycle.cmd import choose
    from lifecycle.facts import serve
    from lifecycle.machine import Here
    from lifecycle.steps import expose as steps

    _one_of(backend, gateway=gateway)
    where, shell = choose.places(), shell_for(context)
    here = Here(shell)
    if status:
        _status(where, here)
        return
    wanted = _wanted(backend, port)
    with shell.lock(where.exposed.with_name("expose.lock"), report.note):
        new, worked = _add(wanted, where, here)
        if shell.dry:
            return
        host = serve.survey(here.again(), where)
        found = _probed(new, host, PATIENCE[new.kind])
        _take_back_if_open(new, found, host, where, here)
    if not worked:
        report.note(f"{new.what} is exposed already; nothing to do")
    report.exposed(new, found)
    report.how_to(new)
    _tell(steps.notes(host, where))
    _require_answer(new, found, host)


@command(help={
    "backend": "only this server",
    "gateway": "only the gateway",
})  # fmt: skip
def unexpose(context: Context, backend: str = "", *, gateway: bool = False) -> None:
    """Take back what inv expose added, and nothing else: all of it, or one."""
    from lifecycle import report
    from lifecycle.cmd import choose
    from lifecycle.facts import serve
    from lifecycle.machine import Here
    from lifecycle.steps import expose as steps

    _one_of(backend, gateway=gateway)
    where, shell = choose.places(), shell_for(context)
    here = Here(shell)
    with shell.lock(where.exposed.with_name("expose.lock"), report.note):
        host = serve.survey(here, where)
        some = _meant(host.serving.written, backend, gateway=gateway)
        _apply(steps.removal(host, where, some), host, where, here)
    if shell.dry:
        return
    for one in some:
        report.note(f"no longer exposed: {one.what}")
    if not some:
        report.note("it was not exposed" if backend or gateway else "nothing was exposed")


def _one_of(backend: str, *, gateway: bool) -> None:
    """Refuse two answers to one question.

    Raises:
        ConfigError: both were given.
    """
    from lifecycle.errors import ConfigError

    if backend and gateway:
        raise ConfigError("--backend and --gateway exclude each other", fix="Take one of them.")


def _meant(written: "tuple[Exposed, ...]", name: str, *, gateway: bool) -> "tuple[Exposed, ...]":
    """What is to be taken back. By the name in the note first: its env file may be gone.

    Raises:
        ConfigError: there is no such backend, and there was none.
    """
    from lifecycle.cmd import choose

    if not name and not gateway:
        return written
    if name and name not in {one.backend for one in written}:
        name = choose.to_start(name)[0].name
    return tuple(one for one in written if one.backend == name)


def _wanted(name: str, port: int) -> "Wanted":
    """What is meant: the gateway, or one backend of this machine.

    Raises:
        ConfigError: there is no such backend, or no such port.
    """
    from lifecycle.cmd import choose
    from lifecycle.errors import ConfigError
    from lifecycle.steps.expose import Wanted

    if not 0 <= port < 1 << 16:
        raise ConfigError(f"--port {port}: there is no such port")
    if name:
        one = choose.to_start(name)[0]
        return Wanted(one.url, f"inv up --gpu {one.name}", one.name, port, keyed=bool(one.api_key))
    if choose.setting("GATEWAY_BIND") != "loopback":
        raise ConfigError(
            "the gateway listens on the tailnet by itself: GATEWAY_BIND=tailnet",
            why="tailscale serve would offer a second way in, to an address nobody listens on",
            fix="Leave it so, and see inv gateway.status; or take GATEWAY_BIND out of .env, "
            "then inv gateway.up and inv expose.",
        )
    root = f"http://127.0.0.1:{int(choose.setting('GATEWAY_PORT'))}"
    return Wanted(root, "inv gateway.up", port=port)


def _add(wanted: "Wanted", where: "Paths", here: "Here") -> "tuple[Exposed, bool]":
    """Have it served; says what that is, and whether anything had to be done."""
    from lifecycle.errors import LifecycleError
    from lifecycle.facts import serve
    from lifecycle.steps import expose as steps

    host = serve.survey(here, where, wanted.target)
    new = steps.planned(host, wanted)
    try:
        worked = _apply(steps.steps(host, where, wanted), host, where, here, wanted.target)
    except LifecycleError:
        if new not in host.serving.written:
            _forget(new, where, here)
        raise
    return new, worked


def _apply(
    plan: "Iterable[Step]",
    host: "Host",
    where: "Paths",
    here: "Here",
    target: str = "",
) -> bool:
    """Carry it out; says whether anything had to be done.

    Args:
        target: what is to be exposed: it is asked in each look.

    Raises:
        HostNotReady: a state only a person can bring about; Tailscale's own refusals, explained.
    """
    from lifecycle import report
    from lifecycle.errors import CommandFailed, StepFailed
    from lifecycle.facts import serve
    from lifecycle.runner import Runner

    shell = here.shell
    progress = report.Listening(live=not shell.dry)
    runner = Runner(
        where, shell, lambda: serve.survey(here.again(), where, target), progress, log_of(where)
    )
    try:
        return runner.apply(plan, host)
    except (CommandFailed, StepFailed) as error:
        raise _explained(error, progress.heard, host) from None
    finally:
        progress.stop()


def _forget(new: "Exposed", where: "Paths", here: "Here") -> None:
    """It was written down first. What Tailscale then refused is not there to be taken back."""
    from lifecycle.facts import serve
    from lifecycle.step import Remove
    from lifecycle.steps import expose as steps

    match steps.forget(serve.survey(here.again(), where), where, new):
        case None:
            return
        case Remove() as gone:
            here.shell.remove(gone)
        case shorter:
            here.shell.write(shorter)


def _explained(error: "LifecycleError", heard: "Iterable[str]", host: "Host") -> "LifecycleError":
    """The same failure in words that help, where we know Tailscale's."""
    from lifecycle.errors import HostNotReady
    from lifecycle.tables import tailscale

    said = "\n".join(heard) or error.why
    known = tailscale.refusal(said)
    if known is None:
        return error
    address = re.search(r"https://\S+", said)
    fix = known.fix.format(
        url=address[0] if address else "https://login.tailscale.com/admin/dns",
        account=host.os.account or "$USER",
    )
    return HostNotReady(known.what, why=said, fix=fix)


def _probed(one: "Exposed", host: "Host", patience: float) -> "list[Probe]":
    from lifecycle import report
    from lifecycle.facts import serve

    report.note(f"asking {one.mount.url} as anybody in the tailnet could")
    return serve.probe(one, host.serving, patience)


def _take_back_if_open(
    new: "Exposed", found: "list[Probe]", host: "Host", where: "Paths", here: "Here"
) -> None:
    """Whatever lets strangers in must not stay, not even to be looked at.

    Raises:
        ServerUnhealthy: it did.
    """
    from lifecycle.errors import ServerUnhealthy
    from lifecycle.steps import expose as steps

    wrong = _wrong(found)
    if not wrong:
        return
    _apply(steps.removal(host, where, (new,)), host, where, here)
    raise ServerUnhealthy(
        f"{new.mount.url} accepted a request without a key; it has been unexposed",
        why="\n".join(wrong),
        fix="See what else is served: inv expose --status, and tailscale serve status",
    )


def _wrong(found: "list[Probe]") -> list[str]:
    return [f"{one.question}: {one.answer}" for one in found if one.good is False]


def _require_answer(new: "Exposed", found: "list[Probe]", host: "Host") -> None:
    """Say so where nobody answered.

    Raises:
        ServerUnhealthy: nobody did. Inside WSL, Windows' name may lead nowhere: a note then.
    """
    from lifecycle import report
    from lifecycle.errors import ServerUnhealthy
    from lifecycle.facts import serve
    from lifecycle.steps import expose as steps

    if all(one.good for one in found):
        return
    if found[0].answer != serve.NO_ANSWER:
        raise ServerUnhealthy(
            f"{new.mount.url} leads to nobody: {found[0].answer}",
            why=f"Tailscale on the {new.side.capitalize()} side gets no answer from {new.target}",
            fix=steps.mend(new, host),
        )
    if host.os.wsl and new.side == "windows":
        report.note("WSL cannot reach it under that name. Try it from another machine.")
        return
    raise ServerUnhealthy(
        f"nobody answers at {new.mount.url}",
        why="it is exposed, but this machine could not ask it under its name in the tailnet",
        fix="Is MagicDNS in use here (tailscale dns status)? Try it from another machine; then "
        f"inv expose --status. To take it back: inv unexpose {new.flag}",
    )


def _status(where: "Paths", here: "Here") -> None:
    """Show and ask all.

    Raises:
        HostNotReady: nobody can tell what is exposed.
        ServerUnhealthy: something is open to more than it should be, or not there.
    """
    from lifecycle import report
    from lifecycle.errors import HostNotReady
    from lifecycle.facts import serve
    from lifecycle.http import QUICK
    from lifecycle.steps import expose as steps
    from lifecycle.steps import exposure

    host = serve.survey(here, where)
    why = host.serving.unreadable or host.serving.problem
    if why:
        raise HostNotReady("it is not known what is exposed", why=why, fix="tailscale serve status")
    found = {
        one: _probed(one, host, QUICK)
        for one in host.serving.written
        if exposure.mounted(host, one)
    }
    for one, probes in found.items():
        report.exposed(one, probes)
    if not host.serving.written:
        report.note("nothing is exposed")
    _tell(steps.notes(host, where))
    _require_as_meant(found, host)
    for one, probes in found.items():
        _require_answer(one, probes, host)


def _require_as_meant(found: "Mapping[Exposed, list[Probe]]", host: "Host") -> None:
    """What the doctor says, and what the answers tell.

    Raises:
        ServerUnhealthy: with everything that is wrong.
    """
    from lifecycle.errors import ServerUnhealthy
    from lifecycle.steps import exposure

    said = [(step.missing(host), step.fix) for step in exposure.steps(host)]
    heard = [("\n".join(_wrong(some)), f"inv unexpose {one.flag}") for one, some in found.items()]
    wrong = [(why, fix) for why, fix in (*heard, *said) if why]
    if wrong:
        raise ServerUnhealthy(
            "what others reach of this machine is not what was meant",
            why="\n".join(why for why, _ in wrong),
            fix="\n".join(dict.fromkeys(fix for _, fix in wrong)),
        )


def _tell(notes: list[str]) -> None:
    from lifecycle import report

    for note in notes:
        report.note(note)
