"""The gateway in a plain environment: Traefik from a Python package, kept by supervisord."""

from pathlib import Path

from lifecycle import tables
from lifecycle.gateway import files as places
from lifecycle.host import GIB, Host
from lifecycle.paths import Paths
from lifecycle.runtimes import gateway as process
from lifecycle.runtimes import guard
from lifecycle.step import Action, Command, Step
from lifecycle.steps import disk
from lifecycle.steps.gateway_form import Wanted
from lifecycle.steps.venv import SOCKET, Tools, from_lock

STOP_SECONDS = 7
"""Traefik gives requests in flight five, and ends."""


def needs(wanted: Wanted, paths: Paths, host: Host, tools: Tools) -> list[Step]:
    """Traefik is installed."""
    del wanted
    row = tables.gateway.traefik()
    there = host.gateway.made_from == row.fingerprint()
    folder = paths.engine(row.name)
    return [
        disk.room("home", int(row.disk_gib * GIB), "the gateway", unless=there),
        Step(
            id="gateway.traefik",
            name=f"Traefik {row.version} is installed",
            missing=lambda now: (
                "" if now.gateway.made_from == row.fingerprint() else "it is not (completely)"
            ),
            actions=from_lock(row, folder, tools, "--require-hashes"),
            fix=f"Remove {folder} and run the same command again.",
            phase="install",
        ),
    ]


def files(wanted: Wanted, paths: Paths) -> dict[str, str]:
    """Supervisord's configuration, and the guard that leaves no orphans."""
    del wanted, paths
    return {
        places.SUPERVISOR: _supervisor(),
        "guard.py": Path(guard.__file__).read_text(encoding="utf-8"),
    }


def traefik(wanted: Wanted, paths: Paths, host: Host) -> tuple[str, ...]:
    """The program itself: it runs in the folder it is started in."""
    del wanted, host
    return (str(_programs(paths) / "traefik"),)


def sweep(paths: Paths) -> tuple[Action, ...]:
    """Nothing: a trial ends with the process that began it."""
    del paths
    return ()


def begin(wanted: Wanted, paths: Paths, host: Host) -> tuple[Action, ...]:
    """Start its supervisord."""
    del wanted, host
    configuration = str(places.folder(paths) / places.SUPERVISOR)
    words = (str(_programs(paths) / "supervisord"), "--configuration", configuration)
    return (Command(words, clean_env=True, limit=60, cwd=places.folder(paths)),)


def _programs(paths: Paths) -> Path:
    return paths.engine(tables.gateway.traefik().name) / "bin"


def _supervisor() -> str:
    """Supervisord's file: https://supervisord.org/configuration.html.

    Its program is named from the folder it runs in: a path written out would be cut at " ;".
    """
    bin_ = f"../engines/{tables.gateway.traefik().name}/bin"
    return f"""\
; Written by inv gateway.up; changes here are lost.
[unix_http_server]
file={SOCKET}
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

[program:{process.PROGRAM}]
command={bin_}/python -u guard.py . {bin_}/traefik --configFile={places.STATIC}
directory=%(here)s
autostart=true
autorestart=true
startsecs=1
startretries=5
stopsignal=TERM
stopwaitsecs={STOP_SECONDS}
killasgroup=true
stdout_logfile=%(here)s/server.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=1
stderr_logfile=%(here)s/{places.ACCESS}
stderr_logfile_maxbytes=20MB
stderr_logfile_backups=5
"""
