"""`inv verify`: whether the answers of a running server are sane."""

from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd.command import command, shell_for

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.paths import Paths
    from lifecycle.step import CheckAnswers


@command(help={
    "gpu": "which backend, when several run",
    "json": "print JSON for programs",
})  # fmt: skip
def verify(context: Context, gpu: str = "auto", *, json: bool = False) -> None:
    """Ask the running server questions with known answers: broken kernels, bad weights, noise."""
    from lifecycle import report
    from lifecycle.cmd import choose
    from lifecycle.host import Sanity
    from lifecycle.runtimes import known_answers, launch
    from lifecycle.steps import answers

    where, shell = choose.places(), shell_for(context)
    backend, server = choose.ready(gpu, where)
    question = _question(launch.as_started(backend, server.launch), where)
    if shell.dry:
        shell.say(str(question))
        return
    verdict = known_answers.check(question)
    shell.write(known_answers.record(where.run(backend.name), verdict))
    if json:
        report.document({"backend": backend.name, **report.answers_data(verdict)})
    if verdict.sanity == Sanity.BROKEN:
        raise answers.failure(backend.name, verdict)
    if not json:
        report.answers(verdict)


def _question(backend: "Backend", where: "Paths") -> "CheckAnswers":
    from lifecycle import facts
    from lifecycle.machine import Here
    from lifecycle.shell import Shell
    from lifecycle.steps import answers

    return answers.check(backend, facts.gather(backend, where, Here(Shell())))
