"""The plan behind `inv gateway.up`: the gateway is installed, runs, and works by what is wanted."""

from collections.abc import Iterable
from pathlib import Path

from lifecycle.gateway import files, traefik, trial
from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.runtimes import gateway as process
from lifecycle.step import Command, Step, WriteFile
from lifecycle.steps import gateway_docker, gateway_plain
from lifecycle.steps.gateway_form import Form, Wanted
from lifecycle.steps.venv import Tools

FORMS: dict[str, Form] = {"venv": gateway_plain, "docker": gateway_docker}

PATIENCE = 30
"""Seconds until a started gateway answers."""
SOON = 10
"""Seconds until a running one has taken over a new configuration."""


def up(
    wanted: Wanted, paths: Paths, host: Host, tools: Tools, before: Iterable[Step] = ()
) -> list[Step]:
    """From a bare machine to a gateway that runs and refuses who has no key.

    Args:
        before: what must be so before anything listens. After the files: by them `inv gateway.down`
            knows that there is a firewall rule.
    """
    return [
        *prepare(wanted, paths, host, tools),
        _files(wanted, paths),
        _tried(wanted, paths, host, tools),
        *before,
        _runs(wanted, paths, host, tools),
        _works(wanted, paths, tools),
    ]


def prepare(wanted: Wanted, paths: Paths, host: Host, tools: Tools) -> list[Step]:
    """The program is there, its ports are free: all that can be had while another one answers."""
    return [*FORMS[wanted.runtime].needs(wanted, paths, host, tools), _ports(wanted)]


def reload(wanted: Wanted, paths: Paths, host: Host, tools: Tools) -> list[Step]:
    """The running gateway works by the wanted configuration; no request is dropped for it."""
    return [_tried(wanted, paths, host, tools), _works(wanted, paths, tools)]


def fixed(paths: Paths, wanted: Wanted) -> dict[str, str]:
    """The files that take a new start to change, by their place in the folder."""
    return {
        files.STATIC: traefik.text(wanted.port, wanted.runtime),
        files.FRONT: traefik.front(wanted.port, wanted.address),
        **FORMS[wanted.runtime].files(wanted, paths),
        "trial.py": Path(trial.__file__).read_text(encoding="utf-8"),
        **files.plugin(paths),
    }


def outdated(paths: Paths, wanted: Wanted, host: Host) -> bool:
    """It runs, and must be started anew to be what is wanted."""
    now = host.gateway
    wants = (wanted.runtime, files.digest(fixed(paths, wanted)))
    return bool(now.state) and (now.runtime, now.started) != wants


def _ports(wanted: Wanted) -> Step:
    def missing(now: Host) -> str:
        return ", ".join(f"port {one} is taken by {who}" for one, who in now.gateway.taken.items())

    return Step(
        id="gateway.ports",
        name=f"ports {wanted.port} to {traefik.ports(wanted.port)[-1]} are free",
        missing=missing,
        fix="Stop that program, or give the gateway another port: GATEWAY_PORT= in .env.",
    )


def _files(wanted: Wanted, paths: Paths) -> Step:
    texts = fixed(paths, wanted)
    where = files.folder(paths)
    return Step(
        id="gateway.files",
        name="the gateway's files are written",
        missing=lambda now: (
            "" if now.gateway.files == files.digest(texts) else "missing or out of date"
        ),
        actions=tuple(WriteFile(where / name, text, 0o600) for name, text in texts.items()),
    )


def _tried(wanted: Wanted, paths: Paths, host: Host, tools: Tools) -> Step:
    """Only what a Traefik took without an error gets to the place of the one that works."""
    form, where = FORMS[wanted.runtime], files.folder(paths)
    words = ("try", files.CANDIDATE, files.ROUTES, wanted.revision)
    return Step(
        id="gateway.tried",
        name="the configuration is tried and in its place",
        missing=lambda now: (
            "" if now.gateway.written == wanted.revision else "there is none, or another one"
        ),
        actions=(
            WriteFile(where / files.CANDIDATE, wanted.routes, 0o600),
            *form.sweep(paths),
            Command(
                (tools.python, "trial.py", *words, *form.traefik(wanted, paths, host)),
                cwd=where,
                limit=60,
            ),
        ),
        fix=f"What runs is as before. The refused one: {where / files.CANDIDATE}",
        phase="check",
    )


def _runs(wanted: Wanted, paths: Paths, host: Host, tools: Tools) -> Step:
    where = files.folder(paths)
    digest = files.digest(fixed(paths, wanted))

    def missing(now: Host) -> str:
        if now.gateway.state != "RUNNING":
            return now.gateway.detail if now.gateway.state else "it does not run"
        return "" if now.gateway.started == digest else "it was started with other files"

    return Step(
        id="gateway.runs",
        name="the gateway runs",
        missing=missing,
        actions=(
            # First: whoever is interrupted from here on finds what there may be to stop.
            WriteFile(where / process.STARTED, process.started(wanted.runtime, digest)),
            *FORMS[wanted.runtime].begin(wanted, paths, host),
            _await(wanted.inside, paths, tools, PATIENCE),
            # The door opens after that.
            _await(f"{wanted.url}/health", paths, tools, PATIENCE),
        ),
        fix=f"Look at its log: {where / files.ERRORS}",
        phase="start",
    )


def _works(wanted: Wanted, paths: Paths, tools: Tools) -> Step:
    def missing(now: Host) -> str:
        found = now.gateway
        if found.live != wanted.revision:
            return "it is running a different configuration, or none"
        if found.unkeyed != 401:
            return f"a request without a key got {found.unkeyed or 'no answer'} and not 401"
        return "" if found.metrics in {401, 404} else f"/metrics answers with {found.metrics}"

    return Step(
        id="gateway.answers",
        name=f"{wanted.url}/v1 answers as configured, and only to clients with a key",
        missing=missing,
        actions=(_await(wanted.inside, paths, tools, SOON),),
        fix=f"Look at its log: {files.folder(paths) / files.ERRORS}",
        phase="load",
    )


def _await(address: str, paths: Paths, tools: Tools, seconds: int) -> Command:
    trial_ = str(files.folder(paths) / "trial.py")
    return Command((tools.python, trial_, "await", address, str(seconds)), limit=seconds + 10)
