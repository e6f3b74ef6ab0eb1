"""Steps of a server in a plain Python environment: install the engine, start it supervised."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.host import GIB, Host, Launch
from lifecycle.paths import Paths
from lifecycle.runtimes import guard, launch, venv
from lifecycle.step import Action, Command, Remove, Step, WriteFile, not_read
from lifecycle.steps import cards, disk, serve_arguments, venv_cuda
from lifecycle.tables.locked import Locked
from lifecycle.tables.serving import Engine

START_SECONDS = 600
"""A server that ends within so many seconds counts as not having started (back-off, in the end
given up); one that ends later is started again at once. A cold start must fit in."""
TRIES = 5
SOCKET = "/proc/self/cwd/supervisor.sock"


@dataclass(frozen=True)
class Tools:
    """The programs an installation is made with.

    Args:
        uv: the uv binary of the project's own environment.
        python: the base interpreter the engine gets.
        wheels: a folder of wheels this machine's pip is configured with; None when there is none.
    """

    uv: str
    python: str
    python_version: str
    wheels: Path | None = None


def machine(backend: Backend, host: Host, tools: Tools) -> list[Step]:
    """What the machine must be, whatever is installed on it."""
    engine = tables.serving.engine_for(backend.gpu, backend.runtime)
    if not engine.cuda:
        return []
    plan = venv_cuda.steps(cards.as_used(backend, host), engine, tools.python_version)
    return [*cards.steps(backend), *cards.asked_of(backend, plan)]


def install(backend: Backend, paths: Paths, host: Host, tools: Tools) -> list[Step]:
    """The engine is completely installed from its lock."""
    engine = tables.serving.engine_for(backend.gpu, backend.runtime)
    need = int(engine.disk_gib * GIB)
    return [
        Step(
            id="engine.python",
            name=f"Python {tools.python_version} can run {engine.distribution} {engine.version}",
            missing=lambda _: _python(engine, tools.python_version),
            fix="Make .venv with another Python: rm -r .venv; PATH=<its folder>:$PATH ./inv up",
        ),
        disk.room("home", need, f"the engine {engine.name}", unless=installed(backend, host)),
        Step(
            id="engine.installed",
            name=f"the engine {engine.distribution} {engine.version} is installed",
            missing=lambda now: _not_installed(now, engine),
            actions=_installation(engine, paths.engine(engine.name), tools),
            fix=f"Remove {paths.engine(engine.name)} and run the same command again.",
            phase="install",
            unread=not_read("backend"),
        ),
    ]


def notes(backend: Backend) -> list[str]:
    """What nobody has tried yet, in lines for the one who is about to try it."""
    engine = tables.serving.engine(backend.gpu)
    untried = backend.gpu != "cpu"
    return [f"{engine.distribution} {engine.version}: not run on a card by us"] if untried else []


def installed(backend: Backend, host: Host) -> bool:
    """Whether the engine is here, complete and from the present lock."""
    engine = tables.serving.engine_for(backend.gpu, backend.runtime)
    return host.venv.made_from == engine.fingerprint()


def _python(engine: Engine, version: str) -> str:
    if version in engine.python:
        return ""
    return f"{engine.distribution} {engine.version} supports Python {', '.join(engine.python)}"


def _not_installed(host: Host, engine: Engine) -> str:
    if not host.venv.made_from:
        return "it is not installed (completely)"
    if host.venv.made_from != engine.fingerprint():
        return "it was installed from a different lock"
    return ""


def _installation(engine: Engine, folder: Path, tools: Tools) -> tuple[Action, ...]:
    local = tools.wheels is not None and any(tools.wheels.glob(f"torch-{engine.torch}-*.whl"))
    index = ("--torch-backend", engine.torch_backend) if engine.torch_backend else ()
    source = ("--find-links", str(tools.wheels)) if local else index
    # Bytecode now: without it each process compiles every import at every start.
    return from_lock(engine, folder, tools, "--compile-bytecode", *source)


def from_lock(locked: Locked, folder: Path, tools: Tools, *options: str) -> tuple[Action, ...]:
    """Make a Python environment anew of what a lock names.

    Args:
        options: further ones of `uv pip install`.
    """
    python = str(folder / "bin" / "python")
    return (
        # First: whatever is interrupted from here on is not taken for complete.
        Remove(folder / venv.STAMP),
        # Relocatable: its programs find their Python also when the home is moved, or was a link.
        Command(
            (tools.uv, "venv", "--quiet", "--clear", "--relocatable", "--python", tools.python,
             str(folder)),
            ends_with_us=True,
        ),
        Command(
            (tools.uv, "pip", "install", "--no-deps", "--python", python, *options,
             "-r", str(locked.lock_file)),
            env={"UV_NO_PROGRESS": "1", "UV_COMPILE_BYTECODE_TIMEOUT": "300"},
            ends_with_us=True,
        ),
        WriteFile(folder / venv.STAMP, locked.fingerprint()),
    )  # fmt: skip


def start(backend: Backend, paths: Paths, host: Host, wanted: Launch) -> tuple[Action, ...]:
    """Write the server's state folder and start its supervisor."""
    engine = tables.serving.engine(backend.gpu)
    run = paths.run(backend.name)
    environment = {
        **serve_arguments.environment(backend, host),
        # By this it is known again, whatever becomes of our notes: see runtimes/launch.py.
        launch.VARIABLE: launch.carried(wanted),
        # Names of folders, whatever the locale of a login or of cron says.
        "PYTHONUTF8": "1",
        "VLLM_CACHE_ROOT": str(paths.home / "cache" / "vllm"),
        "VLLM_API_KEY": backend.api_key,
    }
    supervisord = str(paths.engine(engine.name) / "bin" / "supervisord")
    return (
        Remove(run / venv.LOG),
        Remove(run / guard.STARTS),
        WriteFile(run / "guard.py", Path(guard.__file__).read_text()),
        WriteFile(run / "supervisord.conf", configuration(backend, paths, host)),
        WriteFile(run / launch.FILE, launch.text(wanted), 0o600),
        Command(
            (supervisord, "--configuration", str(run / "supervisord.conf")),
            env=environment,
            clean_env=True,
            limit=60,
            # Its socket is named by way of this folder.
            cwd=run,
        ),
    )


def command(backend: Backend, paths: Paths, host: Host) -> tuple[str, ...]:
    """The server's own command line; no secret is in it."""
    engine = tables.serving.engine(backend.gpu)
    python = str(paths.engine(engine.name) / "bin" / "python")
    return (
        python, *engine.command, str(host.weights.path),
        "--host", "127.0.0.1", "--port", str(backend.port),
        *serve_arguments.flags(backend, host),
    )  # fmt: skip


def configuration(backend: Backend, paths: Paths, host: Host) -> str:
    """Supervisord's file: https://supervisord.org/configuration.html."""
    run = paths.run(backend.name)
    python = str(paths.engine(tables.serving.engine(backend.gpu).name) / "bin" / "python")
    guarded = (
        python, "-u", str(run / "guard.py"), str(run),
        *command(backend, paths, host),
    )  # fmt: skip
    return f"""\
; Written by inv up for the backend {backend.name}; changes here are lost.
[unix_http_server]
; The folder it is started in: a path written out may be longer than the kernel takes.
file={SOCKET}
chmod=0700

[supervisord]
identifier=vllm-{backend.name}
; %(here)s is the folder of this file: a path written out would be cut at " ;" and " #".
directory=%(here)s
logfile=%(here)s/supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile=%(here)s/supervisord.pid
childlogdir=%(here)s
umask=077
; vLLM warns below 65535; supervisord raises the limit as far as it may.
minfds=1024

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[program:vllm]
command={_escaped(_unbroken(shlex.join(guarded)))}
autostart=true
autorestart=true
startsecs={START_SECONDS}
startretries={TRIES}
stopsignal=TERM
; What requests in flight get, and some more to end.
stopwaitsecs={serve_arguments.stop_seconds(backend, host)}
killasgroup=true
redirect_stderr=true
stdout_logfile=%(here)s/{venv.LOG}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=3
"""


def _unbroken(command: str) -> str:
    # supervisord takes what follows " ;" or " #" for a comment, quoted or not.
    return command.replace(" ;", " '';").replace(" #", " ''#")


def _escaped(text: str) -> str:
    # supervisord expands %(name)s in every value.
    return text.replace("%", "%%")
