"""One model in the place of another: prepare, stop, start; or back to the old one.

Nothing is stopped before the new model is there and sound, and nothing is written down before it
has answered: until then `env/local/<name>.env` names the old one, and the new one runs from what is
in memory. So whatever ends us in between, `inv up` brings the old model. There are three such ends:

- Ctrl-C, or any failure: we put the old server back ourselves.
- `kill -9` of this program: the new server goes on under its supervisor, and `inv status` shows
  it; `inv up` sees that it is not the one that was chosen, and brings the old one. To switch again
  instead keeps the new one, without another start.
- The machine goes down: a plain environment starts nothing by itself; Docker starts its container
  again, which is the new model's (`restart: unless-stopped`). `inv up` brings the old one.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Exit

from lifecycle.errors import INTERRUPTED, LifecycleError, ServerUnhealthy, StepFailed

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.host import Host, Server
    from lifecycle.machine import Here
    from lifecycle.paths import Paths

LOG, FAILED_LOG = "server.log", "failed-switch.log"
"""In the state folder. The old server's log begins anew when it comes back, so that of the model
that did not come is kept under another name."""


@dataclass(frozen=True)
class Way:
    """How an exchange is done.

    Args:
        patient: let requests in flight finish first.
        force: also a model that does not fit by our reckoning.
        take_over: also in the place of a server that another checkout started.
    """

    patient: bool = True
    force: bool = False
    take_over: bool = False


@dataclass(frozen=True)
class Exchange:
    """What it takes to exchange the model of one backend.

    Args:
        candidate: the backend with the new model.
        runs: its server of now, whatever that serves.
        chosen: the text of the override once the new model has answered, "" for none; None to
            leave it alone, because the person's own files name the new model.
    """

    candidate: "Backend"
    where: "Paths"
    here: "Here"
    runs: "Server"
    chosen: str | None = None
    way: Way = Way()

    def perform(self, made: str) -> bool:
        """Serve the new model; says whether there was anything to do.

        Args:
            made: the API key to write down; "" when there is one already.

        Raises:
            LifecycleError: it did not work, and no server ran before.
            Exit: it did not work, which was said; the old server is what it was.
        """
        from lifecycle import report
        from lifecycle.cmd import start

        candidate, host = self._prepared(made)
        before = self._override.read_text() if self._override.is_file() else ""
        began = time.monotonic()
        try:
            worked = start.start(candidate, self.where, self.here, host, now=not self.way.patient)
            took = time.monotonic() - began
            self._write(self.chosen)
        except BaseException as error:
            if self.here.shell.dry:
                raise
            self._go_back(error, before)
            raise
        if worked and self._served and not self.here.shell.dry:
            report.note(
                f"from {self._old_name} to {candidate.served_name}: {took:.0f} s without an answer"
            )
        return worked

    @property
    def _served(self) -> bool:
        """Whether there is a server to go back to."""
        return self.runs.alive and self.runs.phase != "unanswering"

    @property
    def _old_name(self) -> str:
        return self.runs.launch.settings.get("SERVED_NAME", "the old model")

    @property
    def _old_url(self) -> str:
        port = self.runs.launch.settings.get("PORT", str(self.candidate.port))
        return f"http://127.0.0.1:{port}"

    @property
    def _override(self) -> Path:
        from lifecycle.backend import override

        return override(self.candidate.name, self.where.root)

    def _prepared(self, made: str) -> tuple["Backend", "Host"]:
        from lifecycle import report

        try:
            return prepare_model(self.candidate, self.where, self.here, made, force=self.way.force)
        except LifecycleError as error:
            if not self._served:
                raise
            report.failure(error)
            self._tell_untouched()
            raise Exit(code=error.exit_code) from None

    def _write(self, text: str | None) -> None:
        """Make the override say this: all of it, or what it said before."""
        from lifecycle.step import Remove, WriteFile

        if text:
            self.here.shell.write(WriteFile(self._override, text))
        elif text is not None and self._override.exists():
            self.here.shell.remove(Remove(self._override))

    def _go_back(self, error: BaseException, before: str) -> None:
        """Put the old server back, unless it was not touched; say what went wrong first.

        Returns for what is a bug of ours or the disk's business: the caller passes it on.
        """
        from lifecycle.runtimes import launch

        try:
            if self.chosen is not None:
                self._write(before)
            if self._untouched():
                _say(error)
                self._tell_untouched()
            else:
                self._stop()
                self._keep_log(error)
                _say(error)
                if launch.STOPPED not in getattr(error, "why", ""):
                    self._start_old()
        except KeyboardInterrupt:
            raise Exit(
                f"\nInterrupted again. {self._old_name} is not back yet: "
                f"inv up --gpu {self.candidate.name}",
                INTERRUPTED,
            ) from None
        self._tell_what_to_mend()
        if isinstance(error, LifecycleError):
            raise Exit(code=error.exit_code) from None
        if isinstance(error, KeyboardInterrupt):
            raise Exit(code=INTERRUPTED) from None

    def _untouched(self) -> bool:
        """Whether the old server's process is still there."""
        from lifecycle import facts

        now = facts.server.look(self.candidate, self.where)
        return (
            now.alive and self.runs.alive
            and (now.launch, now.since) == (self.runs.launch, self.runs.since)
        )  # fmt: skip

    def _stop(self) -> None:
        from lifecycle.runtimes import launch, runtime
        from lifecycle.runtimes.drain import Patience

        name = self.candidate.name
        kind = launch.read(self.where.run(name)).runtime or self.candidate.runtime
        # What runs now has not answered, or is being interrupted.
        runtime(kind).down(name, self.where, self.here.shell, Patience(now=True))

    def _keep_log(self, error: BaseException) -> None:
        """The log of a server that was started and failed; the error then names its new place."""
        from lifecycle.step import WriteFile

        run = self.where.run(self.candidate.name)
        if not isinstance(error, ServerUnhealthy | StepFailed) or not (run / LOG).is_file():
            return
        text = (run / LOG).read_text(encoding="utf-8", errors="replace")
        self.here.shell.write(WriteFile(run / FAILED_LOG, text, 0o600))
        # What the error says of a log is about a server that is still there.
        kept = [line for line in error.fix.splitlines() if "inv logs" not in line]
        error.fix = "\n".join([*kept, f"The whole log: {run / FAILED_LOG}"])

    def _start_old(self) -> None:
        from lifecycle import facts, report
        from lifecycle.cmd import choose, start
        from lifecycle.runtimes import launch

        name = self.candidate.name
        if not self._served:
            report.note(f"no server of {name} answered before, and none runs now")
            return
        report.note(f"starting the old model {self._old_name} again")
        try:
            # From its files, not the candidate: what a launch does not keep (REVISION) is the old
            # model's there.
            old = launch.as_started(choose.load(name), self.runs.launch)
            host = facts.gather(old, self.where, self.here.again())
            start.start(old, self.where, self.here, host)
        except LifecycleError as error:
            raise ServerUnhealthy(
                f"the old model {self._old_name} did not come back either",
                why=f"{error.what}\n{error.why}".strip(),
                fix=f"inv up --gpu {name} tries again; its log: inv logs --gpu {name}",
            ) from None
        report.note(f"the old model {self._old_name} answers again at {old.url}/v1")

    def _tell_untouched(self) -> None:
        from lifecycle import report

        state = f"still answers at {self._old_url}/v1" if self.runs.phase == "ready" else "goes on"
        report.note(f"nothing was stopped: the old model {self._old_name} {state}")

    def _tell_what_to_mend(self) -> None:
        from lifecycle import report

        setting = self.candidate.settings["MODEL"]
        if self.chosen is None:
            report.note(
                f"{setting.source} still says MODEL={setting.text}: change that back, "
                "or the next inv up tries it again"
            )


def prepare_model(
    candidate: "Backend", where: "Paths", here: "Here", made: str, *, force: bool = False
) -> tuple["Backend", "Host"]:
    """Everything that can be known and done while the old server still answers.

    The model is there and sound, the machine can hold it once the old server is gone, and the
    engine or image is installed.

    Returns:
        the backend to start, and the machine as it is now.

    Raises:
        LifecycleError: the model cannot be served; nothing was stopped.
    """
    from lifecycle.cmd import start

    host, _ = start.prepare(candidate, where, here, made, replacing=True, force=force)
    return candidate, host


def _say(error: BaseException) -> None:
    from lifecycle import report

    if isinstance(error, LifecycleError):
        report.failure(error)
    elif isinstance(error, KeyboardInterrupt):
        report.note("interrupted; going back (Ctrl-C once more leaves it half-way)")
