"""The gateway's process: under a supervisord of its own, or in a container."""

import hashlib
import time
from pathlib import Path
from typing import NamedTuple

from lifecycle import engine, supervisord
from lifecycle.host import Launch
from lifecycle.runtimes import compose, venv
from lifecycle.runtimes.drain import Patience
from lifecycle.shell import Shell
from lifecycle.step import Command, Remove, WriteFile

PROGRAM = "gateway"
"""What it is called in its supervisord."""
STARTED = "started"
"""The runtime it was started in, and the digest of the files it was started with."""
KEPT_LINES = 50_000
"""Of the access log that Docker keeps, when the container goes; some 20 MB."""
KEPT_LOGS = 5


class Running(NamedTuple):
    """The gateway's process now.

    Args:
        runtime: `venv` or `docker`: where it was started; "" when it was not.
        digest: of the files it was started with.
        state: as supervisord or Docker names it, in capitals: RUNNING, BACKOFF, …; "" when there
            is none.
        since: seconds since the epoch.
        log: where its access log is: a file, or the command that shows it.
    """

    runtime: str = ""
    digest: str = ""
    state: str = ""
    since: float = 0
    log: str = ""


def started(runtime: str, digest: str) -> str:
    """What the file says."""
    return f"{runtime} {digest}\n"


def ask(folder: Path, access: str) -> Running:
    """Its state now; never raises.

    Args:
        access: name of the access log's file in that folder, when it is not in a container.
    """
    runtime, digest = _started(folder)
    if runtime == "docker":
        container = engine.container(project(folder))
        if container is None:
            return Running(runtime, digest)
        shown = f"docker logs {container.name}"
        return Running(runtime, digest, container.state.upper(), container.since, shown)
    supervised = supervisord.ask(venv.socket(folder), PROGRAM)
    there = str(folder / access)
    return Running(runtime, digest, supervised.state, supervised.since, there)


def stop(folder: Path, shell: Shell) -> None:
    """Stop it wherever it runs; its logs stay."""
    if shell.dry:
        shell.say("stop the gateway")
        return
    if _started(folder)[0] == "docker":
        _keep_log(folder, shell)
        shell.run(Command(compose.of(project(folder), "down", "--timeout", "8"), limit=60))
    else:
        venv.stop(folder, shell, Launch(), Patience())
    shell.remove(Remove(folder / STARTED))


def project(folder: Path) -> str:
    """Its compose project: no backend's (`vllm-…`), and no other state folder's."""
    return f"vllm_gateway_{hashlib.sha256(str(folder).encode()).hexdigest()[:6]}"


def _started(folder: Path) -> tuple[str, str]:
    try:
        runtime, _, digest = (folder / STARTED).read_text(encoding="utf-8").strip().partition(" ")
    except OSError:
        return "", ""
    return runtime, digest


def _keep_log(folder: Path, shell: Shell) -> None:
    """The engine drops a container's log with it; who asked for what must stay readable."""
    container = engine.container(project(folder))
    text = engine.log(container.name, KEPT_LINES) if container else ""
    if not text:
        return
    stamp = time.strftime("%Y%m%dT%H%M%S")
    shell.write(WriteFile(folder / "log" / f"access-{stamp}.log", text, 0o600))
    for old in sorted((folder / "log").glob("access-*.log"))[:-KEPT_LOGS]:
        shell.remove(Remove(old))
