"""`inv test`: the project's own tests, the same ones CI runs."""

import sys
from pathlib import Path

from invoke import Context

from lifecycle.cmd.command import command, dry


@command(help={"only": "one nox session: lint, types, unit or integration"})
def test(context: Context, only: str = "") -> None:  # noqa: PT028 - not a pytest test
    """Run lint, types, unit and integration tests (nox sessions of the same names)."""
    from lifecycle import report
    from lifecycle.errors import CommandFailed
    from lifecycle.shell import Shell
    from lifecycle.step import Command

    nox = str(Path(sys.executable).with_name("nox"))
    argv = (nox, "--session", only) if only else (nox,)
    if dry(context):
        report.line(str(Command(argv)))
        return
    code = Shell().replace(Command(argv))
    if code:
        raise CommandFailed(f"the tests failed (exit {code})", fix="The first failure is above.")
