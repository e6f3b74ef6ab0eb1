"""`inv render`: the compose file of a server, to read, to keep, and to run without us."""

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd.command import GPU_OR_BEST_HELP, command, dry, shell_for

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.host import Host
    from lifecycle.machine import Machine
    from lifecycle.shell import Shell

OURS = "# Written by inv render"
"""How a file begins that may be written over."""
KEY, MODEL = "VLLM_API_KEY", "MODEL_SOURCE"
LEFT_OPEN = {
    KEY: "set it to the key that clients send",
    MODEL: "set it to the folder of the model",
}
"""What whoever runs the file has to say, and how Compose asks for it."""
STAND_IN = "/stand-in-for-{}/"
"""What Compose gets instead: a path, as it must be for a folder."""
LIMIT = 30
"""Seconds for Compose to put the files together."""


@command(help={
    "gpu": GPU_OR_BEST_HELP,
    "out": "the file to write; unset: print it",
    "host": "for the machine recorded in this folder (inv doctor --record) instead of this one",
    "replay": "the same as --host, as inv doctor calls it",
    "force": "write over a file that inv render did not write",
})  # fmt: skip
def render(  # noqa: PLR0913 - each is an option of the command
    context: Context,
    gpu: str = "auto",
    out: str = "",
    host: str = "",
    replay: str = "",
    *,
    force: bool = False,
) -> None:
    """Print the compose file of a server, with its secrets left open."""
    from lifecycle import recording, report
    from lifecycle.machine import Here, Replay
    from lifecycle.shell import Shell
    from lifecycle.step import WriteFile

    file = Path(out).expanduser()
    if out and not force:
        _refuse_strangers(file)
    shell = Shell()
    recorded = _one_of(host, replay)
    machine = Replay(recording.read(Path(recorded))) if recorded else Here(shell)
    text = _rendered(gpu, machine, shell, elsewhere=bool(recorded))
    if not out:
        report.line(text.rstrip("\n"))
        return
    shell_for(context).write(WriteFile(file, text))
    if not dry(context):
        report.note(f"written: {file}")


def _one_of(host: str, replay: str) -> str:
    from lifecycle.errors import ConfigError

    if host and replay and host != replay:
        raise ConfigError("--host and --replay name two machines", fix="Take one of them.")
    return host or replay


def _refuse_strangers(file: Path) -> None:
    from lifecycle.errors import ConfigError

    if file.exists() and not (file.is_file() and file.read_bytes().startswith(OURS.encode())):
        raise ConfigError(
            f"{file} is there, and inv render did not write it",
            fix="Take another name for --out, or add --force.",
        )


def _rendered(gpu: str, machine: "Machine", shell: "Shell", *, elsewhere: bool) -> str:
    from dataclasses import replace

    from lifecycle import facts, tables
    from lifecycle.cmd import choose
    from lifecycle.host import Weights
    from lifecycle.runtimes import compose
    from lifecycle.steps import cards, docker, extra_arguments, serve, serve_arguments

    where = choose.places()
    host = facts.survey(where, machine)
    backend = choose.for_machine(gpu, host).with_setting("RUNTIME", "docker", "inv render")
    tables.serving.require_served(backend.gpu, backend.runtime)
    serve.require_linux(host)
    cards.require(backend, host)
    # A recording holds the place of one model, on a disk of somebody else's.
    seen = facts.with_backend(host, backend, where, machine)
    host = replace(seen, weights=Weights()) if elsewhere else seen
    extra_arguments.require(backend, host, serve_arguments.version(backend, host))
    given = docker.environment(backend, where, host)
    cache = docker.cache(backend, where, host)
    left_open = {KEY, *([MODEL] if host.weights.root is None else [])}
    given |= {name: STAND_IN.format(name) for name in left_open}
    with tempfile.TemporaryDirectory() as folder:
        merged = _merged(backend, host, given, Path(folder) / compose.ENVIRONMENT, shell)
    return _header(backend, host, cache) + opened(merged)


def _merged(
    backend: "Backend", host: "Host", given: dict[str, str], names: Path, shell: "Shell"
) -> str:
    """What Compose makes of all files; it needs no engine for that."""
    from lifecycle.cmd import choose
    from lifecycle.errors import CommandFailed, HostNotReady
    from lifecycle.runtimes import compose
    from lifecycle.step import WriteFile
    from lifecycle.steps import docker

    there = shell.read("docker", "compose", "version")
    if there.code:
        raise HostNotReady(
            "`docker compose` (v2) is missing, which puts the file together",
            why=(there.errors or there.text).strip().split("\n")[0],
            fix="inv setup.docker; or, where no container is to run, the plugin alone: "
            "https://docs.docker.com/compose/install/linux/ (no engine is needed for this)",
        )
    shell.write(WriteFile(names, docker.environment_file(backend, host)))
    files = docker.files(backend, choose.places(), host, names)
    argv = compose.rendered(backend.name, *files, "config")
    done = shell.read(*argv, env=given, limit=LIMIT)
    if done.code:
        raise CommandFailed("Compose does not take these files", why=done.errors.strip())
    return done.text


def opened(merged: str) -> str:
    """The file with a variable wherever a stand-in is."""
    # Older Compose leaves a `false` out, which newer ones read as true.
    text = merged.replace("bind: {}", "bind: {create_host_path: false}")
    if "create_host_path" not in merged:
        text = re.sub(r"(?m)^( +)selinux: z$", r"\1create_host_path: false\n\g<0>", text)
    for name, asked in LEFT_OPEN.items():
        text = text.replace(STAND_IN.format(name), f"${{{name}:?{asked}}}")
    return text


def _header(backend: "Backend", host: "Host", cache: Path) -> str:
    from lifecycle.steps import docker, images

    card = images.card(backend, host) or host.cpu.model
    lines = [
        f"{OURS}: {backend.served_name} for the backend {backend.name} (GPU={backend.gpu}).",
        f"# Made for {card} on {host.os.name}; its paths are those of this machine.",
        *(f"# {note}" for note in docker.notes(backend, host)),
        *(
            f"# First:  inv seed-models --gpu {backend.name}, then render again: {word} is not "
            "here, and servers ask the hub for nothing"
            for word, seen in host.companions.items()
            if seen.problem
        ),
        f"# Once:   mkdir -p {cache}",
        f"# Start:  {KEY}=… docker compose --file THIS up --detach",
        f"# Stop:   {KEY}=- docker compose --file THIS down",
        f"# It answers at {backend.url}/v1 when it has loaded: docker compose --file THIS logs -f",
    ]
    return "\n".join(lines) + "\n"
