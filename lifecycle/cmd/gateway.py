"""The gateway: one address for all backends, for people with a key."""

from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd.command import command, log_of, shell_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.gateway.members import Member
    from lifecycle.host import Host
    from lifecycle.paths import Paths
    from lifecycle.shell import Shell
    from lifecycle.step import Step
    from lifecycle.steps.gateway_form import Wanted


@command()
def up(context: Context) -> None:
    """Start the gateway where GATEWAY_BIND says; does only what is still to be done."""
    from lifecycle import report
    from lifecycle.cmd import choose, tools
    from lifecycle.gateway import files, traefik
    from lifecycle.steps import bind
    from lifecycle.steps import gateway as steps

    where, shell, port = choose.places(), shell_for(context), _port()
    tailnet = choose.setting("GATEWAY_BIND") == "tailnet"
    with shell.lock(files.folder(where) / "gateway.lock", report.note):
        look = _looking(where, shell, outside=tailnet or None)
        host = look()
        if tailnet:
            _apply(bind.needed(), where, shell, host, look)
        address = host.tailscale.linux.address if tailnet else traefik.LOOPBACK
        wanted, members = _wanted(where, address)
        if steps.outdated(where, wanted, host):
            # What takes long, and what may be refused, while the old one still answers.
            _apply(steps.prepare(wanted, where, host, tools.own()), where, shell, host, look)
            report.note("it runs, but not as wanted: it is started anew")
            _stop(where, shell)
            host = look()
        if tailnet:
            plan = steps.up(wanted, where, host, tools.own(), bind.steps(host, where, port))
        else:
            # First: once the files say 127.0.0.1, nobody would think of a rule any more.
            plan = [*bind.removal(host), *steps.up(wanted, where, host, tools.own())]
        worked = _apply(plan, where, shell, host, look)
    if shell.dry:
        return
    if not worked:
        report.note("the gateway runs as wanted; nothing to do")
    report.gateway_address(wanted.url, members, clients=_clients(where))


@command()
def down(context: Context) -> None:
    """Stop the gateway, then take its firewall rule away; the backends stay as they are."""
    from lifecycle import report
    from lifecycle.cmd import choose
    from lifecycle.gateway import files
    from lifecycle.steps import bind

    where, shell = choose.places_to_stop(), shell_for(context)
    with shell.lock(files.folder(where) / "gateway.lock", report.note):
        ran = _runs(where)
        if ran:
            _stop(where, shell)
        look = _looking(where, shell)
        host = look()
        _apply(bind.removal(host), where, shell, host, look)
    if not shell.dry:
        report.note("stopped: the gateway" if ran else "the gateway did not run")


@command(name="reload")
def reload_(context: Context) -> None:
    """Take over changed backends, models and keys; no request is dropped."""
    from lifecycle import report
    from lifecycle.cmd import choose
    from lifecycle.errors import HostNotReady

    where, shell = choose.places(), shell_for(context)
    if not _runs(where):
        raise HostNotReady("the gateway does not run", fix="Start it: inv gateway.up")
    worked = _reload(where, shell)
    if not shell.dry:
        report.note("taken over" if worked else "nothing has changed")


@command(help={"json": "print JSON for programs"})
def status(context: Context, *, json: bool = False) -> None:
    """Show the gateway and each backend: tier, models, health, in flight, since when."""
    from lifecycle import report
    from lifecycle.cmd import choose
    from lifecycle.facts import members
    from lifecycle.steps import bind

    where = choose.places()
    host = _looking(where, shell_for(context))()
    gateway = host.gateway
    port = gateway.port if gateway.state else _port()
    rows = members.standing(_members(where), port)
    if gateway.state and bind.open_to_all(host, port):
        report.note("its firewall rule is gone, the local network reaches it: inv gateway.up")
    if json:
        report.document(report.gateway_data(gateway, port, rows))
    else:
        report.gateway(gateway, port, rows)


def reload_if_running(where: "Paths", shell: "Shell") -> None:
    """Have a running gateway take over what has changed; one that does not run finds it later.

    Raises:
        StepFailed: it did not; what it worked by before still counts.
        CommandFailed: likewise.
    """
    if _runs(where):
        _reload(where, shell)


def tell(where: "Paths", shell: "Shell") -> None:
    """The same after another command's work is done: what goes wrong is said, and no more."""
    from lifecycle import report
    from lifecycle.errors import LifecycleError

    try:
        reload_if_running(where, shell)
    except LifecycleError as error:
        report.note(f"the gateway did not take it over: {error.what}; try inv gateway.reload")


def _reload(where: "Paths", shell: "Shell") -> bool:
    from dataclasses import replace

    from lifecycle import report
    from lifecycle.cmd import tools
    from lifecycle.gateway import files
    from lifecycle.steps import gateway as steps

    with shell.lock(files.folder(where) / "gateway.lock", report.note):
        wanted, _ = _wanted(where, "")
        look = _looking(where, shell, outside=False)
        host = look()
        # Whatever .env says by now: neither where it listens nor what runs changes by this.
        now = host.gateway
        wanted = replace(wanted, address=now.address, port=now.port, runtime=now.runtime)
        plan = steps.reload(wanted, where, host, tools.own())
        return _apply(plan, where, shell, host, look)


def _runs(where: "Paths") -> bool:
    from lifecycle.gateway import files
    from lifecycle.runtimes import gateway

    return bool(gateway.ask(files.folder(where), files.ACCESS).state)


def _stop(where: "Paths", shell: "Shell") -> None:
    from lifecycle.gateway import files
    from lifecycle.runtimes import gateway

    gateway.stop(files.folder(where), shell)


def _port() -> int:
    from lifecycle.cmd import choose

    return int(choose.setting("GATEWAY_PORT"))


def _runtime() -> str:
    from lifecycle.cmd import choose

    return choose.setting("GATEWAY_RUNTIME")


def _looking(
    where: "Paths", shell: "Shell", *, outside: bool | None = None
) -> "Callable[[], Host]":
    """How to look at the gateway and what matters of the machine around it.

    Args:
        outside: others reach it, or should; unset: as its files say.
    """
    from lifecycle.facts import gateway as facts
    from lifecycle.facts import network
    from lifecycle.gateway import traefik
    from lifecycle.machine import Here

    if outside is None:
        outside = network.gateway_listens(where)[0] not in {"", traefik.LOOPBACK}
    here, port, runtime = Here(shell), _port(), _runtime()
    return lambda: facts.survey(here.again(), where, port, runtime, outside=outside)


def _wanted(where: "Paths", address: str) -> "tuple[Wanted, list[Member]]":
    from lifecycle import clients
    from lifecycle.cmd import choose
    from lifecycle.gateway import routing
    from lifecycle.steps.gateway_form import Wanted

    members = _members(where)
    # Browsers send them in small letters.
    origins = filter(None, choose.setting("GATEWAY_CORS_ORIGINS").lower().split(","))
    routes = routing.text(members, clients.read(where.home), origins)
    image = choose.setting("GATEWAY_IMAGE")
    return Wanted(_port(), routes, address, _runtime(), image), members


def _members(where: "Paths") -> "list[Member]":
    """Every backend, here and elsewhere."""
    from lifecycle import report
    from lifecycle.cmd import choose
    from lifecycle.facts import members

    ours = {f"http://{host}:{_port()}" for host in ("127.0.0.1", "localhost")}
    some = choose.everywhere()
    for one in some:
        if one.url in ours:
            report.note(f"left out: {one.name}: {one.url} is the gateway itself")
    found, refused = members.look([one for one in some if one.url not in ours], where)
    for name in refused:
        report.note(f"{name} refuses the gateway's key; in .env: REMOTE_KEYS={name}=<its key>")
    for member in found:
        if member.left_out:
            names = report.shortened(map(ascii, member.left_out))
            report.note(
                f"left out: {names}, of {member.name}: the name of a model may have letters, "
                "digits and ._:/@+- here. Give it another one there: SERVED_NAME"
            )
    return _one_each(found)


def _one_each(found: "list[Member]") -> "list[Member]":
    """One backend for each address."""
    from lifecycle import report
    from lifecycle.gateway.members import same_address

    pairs = same_address(found)
    for kept, other in pairs:
        report.note(
            f"left out: {other.name}: {other.url} is {kept.name} already. Give each backend a PORT "
            "of its own in env/<name>.env; one in .env or in the environment counts for all of them"
        )
    gone = {other.name for _, other in pairs}
    return [member for member in found if member.name not in gone]


def _apply(
    plan: "list[Step]", where: "Paths", shell: "Shell", host: "Host", look: "Callable[[], Host]"
) -> bool:
    from lifecycle import report
    from lifecycle.runner import Runner

    progress = report.Progress(live=not shell.dry)
    try:
        runner = Runner(where, shell, look, progress, log_of(where))
        return runner.apply(plan, host)
    finally:
        progress.stop()


def _clients(where: "Paths") -> int:
    from lifecycle import clients

    return len(clients.read(where.home))
