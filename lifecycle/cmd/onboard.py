"""`inv onboard`: from a clone to a server that passed its smoke tests.

Every stage asks the machine first and does only what is missing. So it can be stopped anywhere, and
run again.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Config, Context, Exit
from invoke.parser.context import ParserContext
from invoke.parser.parser import Parser

from lifecycle.cmd.command import GPU_OR_BEST_HELP, command, dry, shell_for
from lifecycle.errors import INTERRUPTED

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.cmd.examine import Examination
    from lifecycle.paths import Paths
    from lifecycle.shell import Shell
    from lifecycle.steps.findings import Finding

STAGES = (
    "your settings, in .env",
    "what this machine is",
    "what has to be set up",
    "the engine, the model, the server",
    "the smoke tests",
)
AGAIN = "Then run inv onboard again: it goes on from here."
SMOKE_LIMIT = 900
"""Seconds for the smoke tests, their environment included."""


@command(
    help={"gpu": GPU_OR_BEST_HELP, "yes": "ask nothing: every answer is the one Enter would give"}
)
def onboard(context: Context, gpu: str = "auto", *, yes: bool = False) -> None:
    """Lead from a clone to a smoke-tested server; stop it anywhere, run it again."""
    from lifecycle import report

    try:
        backend = _lead(context, gpu, yes=yes)
    except Exit as end:
        # A command of ours failed and said why.
        if end.code != INTERRUPTED:
            report.note(AGAIN)
        raise
    if not dry(context):
        _what_next(backend)


def _lead(context: Context, gpu: str, *, yes: bool) -> "Backend":
    from lifecycle import tables
    from lifecycle.cmd import choose, server

    where, shell = choose.places(), shell_for(context)
    ask = not yes and not shell.dry and sys.stdin.isatty()
    _stage(1)
    _settings(where, shell, ask=ask)
    _stage(2)
    seen = _look(gpu)
    # Asked before anything is installed for a server that cannot be started.
    tables.serving.require_served(seen.backend.gpu, seen.backend.runtime)
    _stage(3)
    seen = _set_up(context, seen, ask=ask, yes=yes)
    _stage(4)
    server.up(context, gpu=seen.backend.name)
    _stage(5)
    _smoke(seen.backend, where, shell)
    return seen.backend


def _stage(number: int) -> None:
    from lifecycle import report

    report.line(f"\n[{number}/{len(STAGES)}] {STAGES[number - 1]}")


# --- 1: .env


def _settings(where: "Paths", shell: "Shell", *, ask: bool) -> None:
    from lifecycle import report
    from lifecycle.step import WriteFile
    from lifecycle.steps import onboard as steps
    from lifecycle.steps.secrets import PRIVATE

    # Bytes: reading as text would change Windows line ends.
    text = where.secrets.read_bytes().decode() if where.secrets.exists() else None
    asked = ask and not os.environ.get("HF_TOKEN") and steps.asks_for_token(text)
    token = _token() if asked else ""
    wanted = text
    if text is None or asked:
        wanted = steps.with_token(text, (where.root / ".env.example").read_text("utf-8"), token)
    if wanted is None or wanted == text:
        report.line("There is one already; it stays as it is.")
        return
    shell.write(WriteFile(where.secrets, wanted, PRIVATE))
    if not shell.dry:
        what = "Made from .env.example, readable by you alone" if text is None else "Added HF_TOKEN"
        report.line(f"{what}: {where.secrets}")


def _token() -> str:
    """Ask for the token, unseen; "" when there is none."""
    import getpass

    from lifecycle import report
    from lifecycle.steps.onboard import TOKEN

    while True:
        try:
            said = getpass.getpass("Hugging Face token for gated models (hidden; Enter: none): ")
        except EOFError:
            return ""
        if not said.strip() or TOKEN.fullmatch(said.strip()):
            return said.strip()
        report.line("That is no token: one is made of letters, digits, _ and -.")


# --- 2: the doctor


def _look(gpu: str) -> "Examination":
    from lifecycle import report
    from lifecycle.cmd import choose
    from lifecycle.cmd.examine import examine
    from lifecycle.machine import Here
    from lifecycle.shell import Shell

    seen = examine(gpu, Here(Shell()))
    if gpu == "auto" and not seen.startable:
        able = choose.to_start("auto")[0]
        report.line(
            f"This machine is best at {seen.backend.name}, which this version cannot start yet; "
            f"going on with {able.name}."
        )
        seen = examine(able.name, Here(Shell()))
    report.checkup(seen.backend, seen.host, seen.found, startable=seen.startable, alone=False)
    return seen


# --- 3: inv setup.*


def _set_up(context: Context, seen: "Examination", *, ask: bool, yes: bool) -> "Examination":
    """Run what is to be set up, one command after the other, each with consent.

    Raises:
        HostNotReady: a person must act, or does not agree.
    """
    from lifecycle import report
    from lifecycle.cmd.examine import examine
    from lifecycle.errors import HostNotReady
    from lifecycle.machine import Here
    from lifecycle.shell import Shell
    from lifecycle.steps.findings import UNREAD

    done: list[str] = []
    while stop := _in_the_way(seen, done if dry(context) else []):
        if not stop.by or stop.by in done:
            fix = f"{stop.fix}\n{AGAIN}" if stop.fix else AGAIN
            unread = stop.state == UNREAD
            what = "this could not be asked" if unread else "this needs you"
            raise HostNotReady(
                f"{what}: {stop.name}", why=stop.detail, fix=AGAIN if unread else fix
            )
        report.line(f"To do: {stop.name}.\n{stop.by} does it, with these commands:\n")
        _perform(Context(Config({"run": {"dry": True}})), stop.by)
        done.append(stop.by)
        if dry(context):
            continue
        _agree(stop.by, ask=ask, yes=yes)
        _perform(context, stop.by)
        seen = examine(seen.backend.name, Here(Shell()))
    if not done:
        report.line("Nothing.")
    return seen


def _in_the_way(seen: "Examination", passed: Iterable[str]) -> "Finding | None":
    """What comes first in the plan and must be so before `up`; None when nothing does.

    In the order of need, not of the table: what only a person can do may be possible only after
    a command of ours has run.
    """
    from lifecycle.steps.findings import PERSON, UNREAD, WORK

    for one in seen.in_order:
        later = one.state == WORK and one.by.startswith("inv up")
        stops = one.state in {PERSON, UNREAD, WORK} or _ends_the_server(one)
        if stops and not later and one.by not in passed:
            return one
    return None


def _ends_the_server(one: "Finding") -> bool:
    """What would be better, and without which no server stays: WSL ends 15 s after its last window,
    and a model that does not fit into its RAM is killed while it loads.

    A size that the person chose is left alone: no command of ours changes that one.
    """
    from lifecycle.steps.findings import ADVICE
    from lifecycle.steps.wsl_settings import MEMORY, STAYS_UP

    return one.state == ADVICE and (one.id == STAYS_UP or (one.id == MEMORY and bool(one.by)))


def _perform(context: Context, words: str) -> None:
    """Run a command of ours, given as one would type it."""
    from lifecycle.cmd import setup

    _, name, *options = shlex.split(words)
    task = getattr(setup, name.removeprefix("setup."))
    known = ParserContext(name=name, args=task.get_arguments())
    (parsed,) = Parser(contexts=[known]).parse_argv([name, *options])
    task(context, **{argument.name: argument.value for argument in parsed.args.values()})


def _agree(words: str, *, ask: bool, yes: bool) -> None:
    from lifecycle.errors import HostNotReady

    if yes:
        return
    if not ask:
        raise HostNotReady(
            f"{words} needs your consent, and this is no terminal to ask on",
            fix="Give it beforehand: inv onboard --yes",
        )
    try:
        answer = input("\nRun them now? [Y/n] ").strip().lower()
    except EOFError:
        answer = "no"
    if answer not in {"", "y", "yes"}:
        raise HostNotReady(f"left to you: {words}", fix=f"Run it yourself. {AGAIN}")


# --- 5: the smoke tests, and the end


def _smoke(backend: "Backend", where: "Paths", shell: "Shell") -> None:
    from lifecycle import report
    from lifecycle.errors import CommandFailed
    from lifecycle.step import Command, Step

    nox, file = Path(sys.executable).with_name("nox"), where.root / "noxfile.py"
    argv = (str(nox), "--noxfile", str(file), "--session", f"smoke-{backend.name}")
    step = Step("smoke.passes", "the server answers as it should", lambda _: "", phase="smoke")
    progress, said = report.Progress(live=not shell.dry), [""]

    def line(text: str) -> None:
        said.extend(re.findall(r"\d+ passed", text))
        progress.progress("", text)

    if not shell.dry:
        progress.begin(step, "asking it what the smoke tests ask")
    try:
        shell.run(Command(argv, limit=SMOKE_LIMIT), line)
    except CommandFailed as error:
        error.fix = f"The server goes on running. Look at its log: inv logs --gpu {backend.name}"
        raise
    finally:
        progress.stop()
    if not shell.dry:
        progress.done(replace(step, name=f"{step.name}: {said[-1]}"))


def _what_next(backend: "Backend") -> None:
    from lifecycle import report

    report.line(f"""
What you have
  a vLLM server with {backend.served_name} at {backend.url}/v1, for this machine only, that passed
  its smoke tests; its key is VLLM_API_KEY in .env

What to type next
  ./inv chat       talk to it
  ./inv status     what runs, with which model, since when
  ./inv logs       what it says
  ./inv down       stop it; ./inv up starts it again
  ./inv --list     all there is
The documents begin at docs/tutorials/first-server.md.""")
