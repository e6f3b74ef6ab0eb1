"""The plan behind `inv gateway.up`: the gateway is installed, runs, and works by what is wanted."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lifecycle import tables
from lifecycle.gateway import files, routing, traefik, trial
from lifecycle.host import GIB, Host
from lifecycle.paths import Paths
from lifecycle.runtimes import guard, venv
from lifecycle.step import Command, Remove, Step, WriteFile
from lifecycle.steps import disk
from lifecycle.steps.venv import Tools

PATIENCE = 30
"""Seconds until a started gateway answers."""
SOON = 10
"""Seconds until a running one has taken over a new configuration."""


@dataclass(frozen=True)
class Wanted:
    """What the gateway should be.

    Args:
        port: where clients come in.
        routes: the configuration that may change while it runs; it holds keys.
        address: where clients come in: 127.0.0.1, or this machine's on the tailnet.
    """

    port: int
    routes: str = field(repr=False)
    address: str = traefik.LOOPBACK

    @property
    def url(self) -> str:
        """Its root, without `/v1`."""
        return f"http://{self.address}:{self.port}"

    @property
    def revision(self) -> str:
        """What tells this configuration from others."""
        return routing.revision(self.routes)

    @property
    def inside(self) -> str:
        """Where it says by which configuration it works."""
        return f"http://{traefik.LOOPBACK}:{self.port + 1}/revision/{self.revision}"


def up(
    wanted: Wanted, paths: Paths, host: Host, tools: Tools, before: Iterable[Step] = ()
) -> list[Step]:
    """From a bare machine to a gateway that runs and refuses who has no key.

    Args:
        before: what must be so before anything listens. After the files: by them `inv gateway.down`
            knows that there is a firewall rule.
    """
    return [
        *_install(paths, host, tools),
        _ports(wanted),
        _files(wanted, paths),
        _tried(wanted, paths),
        *before,
        _runs(wanted, paths),
        _works(wanted, paths),
    ]


def reload(wanted: Wanted, paths: Paths) -> list[Step]:
    """The running gateway works by the wanted configuration; no request is dropped for it."""
    return [_tried(wanted, paths), _works(wanted, paths)]


def fixed(paths: Paths, wanted: Wanted) -> dict[str, str]:
    """The files that take a new start to change, by their place in the folder."""
    return {
        files.STATIC: traefik.text(wanted.port, wanted.address),
        files.SUPERVISOR: _supervisor(paths),
        "guard.py": Path(guard.__file__).read_text(encoding="utf-8"),
        "trial.py": Path(trial.__file__).read_text(encoding="utf-8"),
        **files.plugin(paths),
    }


def outdated(paths: Paths, wanted: Wanted, host: Host) -> bool:
    """It runs, and must be started anew to be what is wanted."""
    return bool(host.gateway.state) and host.gateway.started != files.digest(fixed(paths, wanted))


def _install(paths: Paths, host: Host, tools: Tools) -> list[Step]:
    row = tables.gateway.traefik()
    there = host.gateway.made_from == row.fingerprint()
    folder = paths.engine(row.name)
    python = str(folder / "bin" / "python")
    return [
        disk.room("home", int(row.disk_gib * GIB), "the gateway", unless=there),
        Step(
            name=f"Traefik {row.version} is installed",
            missing=lambda now: (
                "" if now.gateway.made_from == row.fingerprint() else "it is not (completely)"
            ),
            actions=(
                # First: whatever is interrupted from here on is not taken for complete.
                Remove(folder / venv.STAMP),
                Command((tools.uv, "venv", "--quiet", "--clear", "--python", tools.python,
                         str(folder))),
                Command((tools.uv, "pip", "install", "--no-deps", "--require-hashes",
                         "--python", python, "-r", str(row.lock_file)),
                        env={"UV_NO_PROGRESS": "1"}),
                WriteFile(folder / venv.STAMP, row.fingerprint()),
            ),
            fix=f"Remove {folder} and run the same again.",
            phase="install",
        ),
    ]  # fmt: skip


def _ports(wanted: Wanted) -> Step:
    def missing(now: Host) -> str:
        return ", ".join(f"port {one} is taken by {who}" for one, who in now.gateway.taken.items())

    return Step(
        name=f"ports {wanted.port} and {wanted.port + 1} are free",
        missing=missing,
        fix="Stop that program, or give the gateway another port: GATEWAY_PORT= in .env.",
    )


def _files(wanted: Wanted, paths: Paths) -> Step:
    texts = fixed(paths, wanted)
    where = files.folder(paths)
    return Step(
        name="the gateway's files are written",
        missing=lambda now: (
            "" if now.gateway.files == files.digest(texts) else "they are not, or are others"
        ),
        actions=tuple(WriteFile(where / name, text, 0o600) for name, text in texts.items()),
    )


def _tried(wanted: Wanted, paths: Paths) -> Step:
    """Only what a Traefik took without an error gets to the place of the one that works."""
    row, where = tables.gateway.traefik(), files.folder(paths)
    bin_ = paths.engine(row.name) / "bin"
    return Step(
        name="the configuration is tried and in its place",
        missing=lambda now: (
            "" if now.gateway.written == wanted.revision else "there is none, or another one"
        ),
        actions=(
            WriteFile(where / files.CANDIDATE, wanted.routes, 0o600),
            Command(
                (str(bin_ / "python"), "trial.py", "try", str(bin_ / "traefik"),
                 files.CANDIDATE, files.ROUTES, wanted.revision),
                cwd=where, limit=60,
            ),
        ),
        fix=f"What runs is as before. The refused one: {where / files.CANDIDATE}",
        phase="check",
    )  # fmt: skip


def _runs(wanted: Wanted, paths: Paths) -> Step:
    where = files.folder(paths)
    python = paths.engine(tables.gateway.traefik().name) / "bin"
    digest = files.digest(fixed(paths, wanted))

    def missing(now: Host) -> str:
        if now.gateway.state != "RUNNING":
            return now.gateway.detail if now.gateway.state else "it does not run"
        return "" if now.gateway.started == digest else "it was started with other files"

    return Step(
        name="the gateway runs",
        missing=missing,
        actions=(
            WriteFile(where / files.STARTED, digest),
            Command(
                (str(python / "supervisord"), "--configuration", str(where / files.SUPERVISOR)),
                clean_env=True,
                limit=60,
            ),
            _await(wanted, paths, PATIENCE),
        ),
        fix=f"Look at its log: {where / files.ERRORS}",
        phase="start",
    )


def _works(wanted: Wanted, paths: Paths) -> Step:
    def missing(now: Host) -> str:
        found = now.gateway
        if found.live != wanted.revision:
            return "it works by another configuration, or by none"
        if found.unkeyed != 401:
            return f"a request without a key got {found.unkeyed or 'no answer'} and not 401"
        return "" if found.metrics in {401, 404} else f"/metrics answers with {found.metrics}"

    return Step(
        name=f"{wanted.url}/v1 answers as configured, and only to who has a key",
        missing=missing,
        actions=(_await(wanted, paths, SOON),),
        fix=f"Look at its log: {files.folder(paths) / files.ERRORS}",
        phase="load",
    )


def _await(wanted: Wanted, paths: Paths, seconds: int) -> Command:
    python = paths.engine(tables.gateway.traefik().name) / "bin" / "python"
    trial_ = str(files.folder(paths) / "trial.py")
    return Command((str(python), trial_, "await", wanted.inside, str(seconds)), limit=seconds + 10)


def _supervisor(paths: Paths) -> str:
    """Supervisord's file: https://supervisord.org/configuration.html.

    Its program is named from the folder it runs in: a path written out would be cut at " ;".
    """
    where, socket = files.folder(paths), venv.socket(files.folder(paths))
    place = f"%(here)s/{socket.name}" if socket.parent == where else str(socket).replace("%", "%%")
    bin_ = f"../engines/{tables.gateway.traefik().name}/bin"
    return f"""\
; Written by inv gateway.up; changes here are lost.
[unix_http_server]
file={place}
chmod=0700

[supervisord]
identifier=vllm-gateway
directory=%(here)s
logfile=%(here)s/supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile=%(here)s/supervisord.pid
childlogdir=%(here)s
umask=077

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[program:gateway]
command={bin_}/python -u guard.py . {bin_}/traefik --configFile={files.STATIC}
directory=%(here)s
autostart=true
autorestart=true
startsecs=1
startretries=5
stopsignal=TERM
stopwaitsecs={venv.STOP_SECONDS - 1}
killasgroup=true
stdout_logfile=%(here)s/server.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=1
stderr_logfile=%(here)s/{files.ACCESS}
stderr_logfile_maxbytes=20MB
stderr_logfile_backups=5
"""
