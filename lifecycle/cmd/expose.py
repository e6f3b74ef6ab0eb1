"""`inv expose` and `inv unexpose`: what the tailnet gets of this machine, and nothing more."""

import re
from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd.command import command, shell_for

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
    "port": "port on the tailnet; unset: 443 with certificates, 80 without",
    "status": "show what is exposed and how it answers; change nothing",
})  # fmt: skip
def expose(context: Context, backend: str = "", port: int = 0, *, status: bool = False) -> None:
    """Offer /v1 of the gateway to the tailnet, ask it from outside, and show how to use it."""
    from lifecycle import report
    from lifecycle.cmd import choose
    from lifecycle.facts import serve
    from lifecycle.machine import Here
    from lifecycle.steps import expose as steps

    where, shell = choose.places(), shell_for(context)
    here = Here(shell)
    if status:
        _status(where, here)
        return
    wanted = _wanted(backend, port)
    with shell.lock(where.exposed.with_name("expose.lock"), report.note):
        host = serve.survey(here, where, wanted.root + steps.PATH)
        plan = steps.steps(host, where, wanted)
        worked = _apply(plan, host, where, here, wanted.root + steps.PATH)
        if shell.dry:
            return
        host = serve.survey(here.again(), where)
        written = host.serving.written
        assert written is not None  # noqa: S101 - for mypy; the last step is about it
        found = _probed(written, host, wanted.engines, PATIENCE[written.kind])
        _take_back_if_open(written, found, host, where, here)
    if not worked:
        report.note(f"{written.what} is exposed already; nothing to do")
    report.exposed(written, found, steps.notes(host, where))
    _require_answer(written, found, host)


@command()
def unexpose(context: Context) -> None:
    """Take back what inv expose added, and nothing else."""
    from lifecycle import report
    from lifecycle.cmd import choose
    from lifecycle.facts import serve
    from lifecycle.machine import Here
    from lifecycle.steps import expose as steps

    where, shell = choose.places(), shell_for(context)
    here = Here(shell)
    with shell.lock(where.exposed.with_name("expose.lock"), report.note):
        host = serve.survey(here, where)
        worked = _apply(steps.removal(host, where), host, where, here)
    if not shell.dry:
        report.note("no longer exposed" if worked else "nothing was exposed")


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
    engines = _closed()
    if not name:
        if choose.setting("GATEWAY_BIND") != "loopback":
            raise ConfigError(
                "the gateway listens on the tailnet by itself: GATEWAY_BIND=tailnet",
                why="tailscale serve would offer a second way in, to an address nobody listens on",
                fix="Leave it so, and see inv gateway.status; or take GATEWAY_BIND out of .env, "
                "then inv gateway.up and inv expose.",
            )
        root = f"http://127.0.0.1:{_gateway_port()}"
        return Wanted("the gateway", root, "inv gateway.up", port, engines=engines)
    one = choose.to_start(name)[0]
    return Wanted(
        f"backend {one.name}",
        one.url,
        f"inv up --gpu {one.name}",
        port,
        clients=False,
        keyed=bool(one.api_key),
        engines=engines,
    )


def _closed() -> dict[int, str]:
    """Ports of ours that nobody outside may reach, and what listens there."""
    from lifecycle.cmd import choose

    figures = _gateway_port() + 1
    backends = {one.port: f"backend {one.name}" for one in choose.readable()}
    return {**backends, figures: "the gateway's figures"}


def _gateway_port() -> int:
    from lifecycle.cmd import choose

    return int(choose.setting("GATEWAY_PORT"))


def _apply(
    plan: "Iterable[Step]", host: "Host", where: "Paths", here: "Here", target: str = ""
) -> bool:
    """Carry it out; says whether anything had to be done.

    Raises:
        HostNotReady: a state only a person can bring about; Tailscale's own refusals, explained.
    """
    from lifecycle import report
    from lifecycle.errors import CommandFailed, StepFailed
    from lifecycle.facts import serve
    from lifecycle.runner import Runner

    shell = here.shell
    progress = report.Listening(live=not shell.dry)
    runner = Runner(where, shell, lambda: serve.survey(here.again(), where, target), progress)
    try:
        return runner.apply(plan, host)
    except (CommandFailed, StepFailed) as error:
        progress.stop()
        _forget_what_is_not_there(where, here)
        raise _explained(error, progress.heard, host) from None
    finally:
        progress.stop()


def _forget_what_is_not_there(where: "Paths", here: "Here") -> None:
    """It was written down first. What Tailscale then refused is not there to be taken back."""
    from lifecycle.facts import serve
    from lifecycle.step import Remove
    from lifecycle.steps.expose import mounted

    host = serve.survey(here.again(), where)
    written = host.serving.written
    if written and not host.serving.problem and not mounted(host, written):
        here.shell.remove(Remove(where.exposed))


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


def _probed(
    written: "Exposed", host: "Host", engines: "Mapping[int, str]", patience: float
) -> "list[Probe]":
    from lifecycle import report
    from lifecycle.facts import serve

    report.note(f"asking {written.mount.url} as anybody in the tailnet could")
    return serve.probe(written, host.serving.mounts, engines, patience)


def _take_back_if_open(
    written: "Exposed", found: "list[Probe]", host: "Host", where: "Paths", here: "Here"
) -> None:
    """Whatever lets strangers in must not stay, not even to be looked at.

    Raises:
        ServerUnhealthy: it did.
    """
    from lifecycle.errors import ServerUnhealthy
    from lifecycle.steps import expose as steps

    wrong = [one for one in found if one.good is False]
    if not wrong:
        return
    _apply(steps.removal(host, where), host, where, here)
    raise ServerUnhealthy(
        f"{written.mount.url} let strangers in; it is taken back",
        why="\n".join(f"{one.question}: {one.answer}" for one in wrong),
        fix="Nothing is exposed now. See what else is served: tailscale serve status",
    )


def _require_answer(written: "Exposed", found: "list[Probe]", host: "Host") -> None:
    """Say so where nobody answered.

    Raises:
        ServerUnhealthy: nobody did. Inside WSL, Windows' name may lead nowhere: a note then.
    """
    from lifecycle import report
    from lifecycle.errors import ServerUnhealthy

    if all(one.good for one in found):
        return
    if host.os.wsl and written.side == "windows":
        report.note("WSL cannot reach it under that name. Try it from another machine.")
        return
    raise ServerUnhealthy(
        f"nobody answers at {written.mount.url}",
        why="it is exposed, but this machine could not ask it under its name in the tailnet",
        fix="Is MagicDNS in use here (tailscale dns status)? Try it from another machine; then "
        "inv expose --status. To take it back: inv unexpose",
    )


def _status(where: "Paths", here: "Here") -> None:
    from lifecycle import report
    from lifecycle.errors import HostNotReady, ServerUnhealthy
    from lifecycle.facts import serve
    from lifecycle.http import QUICK
    from lifecycle.steps import expose as steps

    host = serve.survey(here, where)
    written = host.serving.written
    why = host.serving.unreadable or host.serving.problem
    if why:
        raise HostNotReady("it is not known what is exposed", why=why, fix="tailscale serve status")
    if written is None:
        report.note("nothing is exposed")
        return
    if not steps.mounted(host, written):
        raise ServerUnhealthy(
            f"{written.mount.url} is written down as exposed, but Tailscale does not serve it",
            why="somebody took it away or led it elsewhere, or the machine has another name now",
            fix="inv unexpose; then, if it is still wanted: inv expose",
        )
    found = _probed(written, host, _closed(), QUICK)
    report.exposed(written, found, steps.notes(host, where), brief=True)
    wrong = [one for one in found if one.good is False]
    public = [one for one in host.serving.mounts if one.public and one.port == written.port]
    if wrong or public:
        raise ServerUnhealthy(
            f"{written.mount.url} is open to more than it should be",
            why="\n".join(
                [
                    *(f"{one.question}: {one.answer}" for one in wrong),
                    *(["a funnel is on: the whole internet reaches it"] if public else []),
                ]
            ),
            fix="inv unexpose",
        )
    _require_answer(written, found, host)
