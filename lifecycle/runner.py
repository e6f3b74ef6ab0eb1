"""The one place that changes a machine: it applies steps, and looks again after each."""

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from lifecycle import apt
from lifecycle.errors import CommandFailed, RestartNeeded, ServerDied, StepFailed
from lifecycle.files import Files
from lifecycle.host import Host, Sanity
from lifecycle.layers import Pull
from lifecycle.paths import Paths
from lifecycle.run_log import RunLog
from lifecycle.runtimes import known_answers, ready, runtime
from lifecycle.runtimes.drain import Patience
from lifecycle.shell import Shell
from lifecycle.step import (
    Action,
    AskHub,
    AwaitReady,
    CheckAnswers,
    Command,
    Download,
    EditFile,
    PullImage,
    Remove,
    SeedModel,
    Step,
    StopServer,
    WriteFile,
)
from lifecycle.steps import answers

if TYPE_CHECKING:
    from lifecycle.hub.client import Hub


class Display(Protocol):
    """What a person sees while steps are applied."""

    def begin(self, step: Step, why: str) -> None:
        """A state is not reached yet; work on it begins."""

    def progress(self, phase: str, detail: str) -> None:
        """Work goes on; both texts may be as before."""

    def pulling(self, pull: Pull) -> None:
        """An image is on its way: its layers and how far they are."""

    def fetching(self, files: Files) -> None:
        """A model is on its way: its files and how far they are."""

    def tell(self, text: str) -> None:
        """Something a person should read before it is done."""

    def stop(self) -> None:
        """Leave the terminal to somebody else."""

    def done(self, step: Step) -> None:
        """The state of a step that needed work is reached."""


class Runner:
    """Applies steps.

    Args:
        look: takes a fresh look at the machine.
        log: keeps what was done; None for nothing.
    """

    def __init__(
        self,
        paths: Paths,
        shell: Shell,
        look: Callable[[], Host],
        display: Display,
        log: RunLog | None = None,
    ) -> None:
        self._paths = paths
        self._log = None if shell.dry else log
        self._shell = shell
        self._look = look
        self._display = display

    def apply(self, steps: Iterable[Step], host: Host) -> bool:
        """Bring every state about, in order; says whether anything had to be done.

        Raises:
            HostNotReady: (or the step's own failure) a step without actions is not reached.
            StepFailed: its actions succeeded, its state did not follow.
            RestartNeeded: its state needs a restart to take effect.
        """
        try:
            return self._apply(steps, host)
        except BaseException as error:
            if self._log:
                self._log.failure(error)
            raise

    def _apply(self, steps: Iterable[Step], host: Host) -> bool:
        worked = False
        for step in steps:
            why = step.missing(host)
            if not why or (step.advice and not step.actions):
                continue
            if not step.actions:
                raise step.failure(f"requirement not met: {step.name}", why=why, fix=step.fix)
            worked = True
            self._display.begin(step, why)
            if self._log:
                self._log.step(step, why)
            for action in step.actions:
                self._do(action)
            if self._shell.dry and step.restart:
                self._shell.say(f"# only after a restart: {step.restart}")
            if not self._shell.dry:
                host = self._look()
                self._verify(step, host)
                self._display.done(step)
        return worked

    def _verify(self, step: Step, host: Host) -> None:
        # First: what takes effect only after a restart cannot be so yet.
        if step.restart:
            raise RestartNeeded(f"done, but not in force yet: {step.name}", fix=step.restart)
        why = step.missing(host)
        if why:
            raise StepFailed(f"still not true after the fix: {step.name}", why=why, fix=step.fix)

    def _do(self, action: Action) -> None:
        if self._log is None:
            self._perform(action)
            return
        self._log.action(str(action))
        try:
            self._perform(action)
        except BaseException:
            self._log.ended("failed")
            raise
        self._log.ended()

    def _perform(self, action: Action) -> None:
        match action:
            case Command() | WriteFile() | EditFile() | Remove():
                self._change(action)
            case _ if self._shell.dry:
                self._shell.say(str(action))
            case Download():
                from lifecycle import http

                http.download(action, self._line)
            case PullImage(reference, instead):
                from lifecycle import engine

                engine.pull_first((reference, *instead), self._display.pulling, self._display.tell)
            case AskHub(repo, revision):
                from lifecycle.models import figures

                figures.learn(self._hub(), self._paths, repo, revision)
            case SeedModel(repo, revision, holds):
                from lifecycle.models import seed

                show, tell = self._display.fetching, self._display.tell
                seed.bring(self._hub(), (repo, revision, holds), self._paths, show, tell)
            case StopServer(backend, name, now):
                patience = Patience(now=now, tell=self._display.tell)
                runtime(name).down(backend, self._paths, self._shell, patience)
            case AwaitReady():
                self._await(action)
            case CheckAnswers():
                self._check(action)

    def _change(self, action: Command | WriteFile | EditFile | Remove) -> None:
        """What the shell's door does, and only says in a dry run."""
        match action:
            case Command(attached=True):
                self._hand_over(action)
            case Command(in_turn=True):
                apt.run(self._shell, action, self._line, self._display.tell)
            case Command():
                self._shell.run(action, self._line)
            case WriteFile():
                self._shell.write(action)
            case EditFile():
                if not self._shell.dry:
                    self._display.tell(str(action))
                self._shell.edit(action)
            case Remove():
                self._shell.remove(action)

    def _line(self, line: str) -> None:
        if self._log:
            self._log.line(line)
        self._display.progress("", line)

    def _hub(self) -> "Hub":
        from lifecycle.hub import client

        return client.connect(self._paths.root, os.environ, self._display.tell)

    def _hand_over(self, command: Command) -> None:
        if self._shell.dry:
            self._shell.say(str(command))
            return
        self._display.stop()
        code = self._shell.replace(command)
        if code:
            raise CommandFailed(
                f"this command failed (exit {code}): {command}",
                why="what it said stands above",
                fix="Run it by hand to see more, then run the same command again.",
            )

    def _check(self, action: CheckAnswers) -> None:
        verdict = known_answers.check(action)
        # Kept before it is refused: `inv status` tells it, too.
        self._shell.write(known_answers.record(self._paths.run(action.backend), verdict))
        if verdict.sanity == Sanity.BROKEN:
            raise answers.failure(action.backend, verdict)

    def _await(self, action: AwaitReady) -> None:
        try:
            ready.wait(action, self._paths, self._display.progress)
        except ServerDied:
            # A server that dies at every start must not be started again for ever.
            gone = Patience(now=True)
            runtime(action.runtime).down(action.backend, self._paths, self._shell, gone)
            raise
