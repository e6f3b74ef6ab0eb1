"""Invoke's program, as `./inv` starts it: what it cannot make out is one clear error, too."""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import invoke
from invoke import Collection, Exit, ParseError, ParserContext

from lifecycle.cmd import keep_bytecode
from lifecycle.cmd.command import AFTER_CTRL_C
from lifecycle.errors import INTERRUPTED, OutputLost

if TYPE_CHECKING:
    from lifecycle.errors import ConfigError

UNKNOWN = re.compile(r"(?:No idea what|Sub-collection) '(.+)' (?:is|not found)!")
NO_VALUE = re.compile(r"Flag <Argument: ([\w-]+).*> needed value")
TOO_FEW = re.compile(r"'(.+)' did not receive required positional arguments: (.+)")
NO_NUMBER = re.compile(r"invalid literal for int\(\) with base 10: (.+)")
"""Invoke's own words (3.0.3), and Python's, which it lets through. Others are shown as they are."""
ALL, OPTIONS = "All commands: ./inv --list", "Its options: ./inv "


class Program(invoke.Program):
    """The tasks of one collection."""

    def __init__(self, tasks: Collection) -> None:
        super().__init__(
            namespace=tasks, name="Invoke", binary="inv", binary_names=["inv"],
            version=invoke.__version__,
        )  # fmt: skip

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002, FBT001, FBT002 - Invoke's own
        """Run the tasks; what they had to say is written, or that it is not is said."""
        try:
            try:
                super().run(argv, exit=exit)
            finally:
                sys.stdout.flush()
        except OutputLost as lost:
            from lifecycle import report

            report.failure(lost)
            raise SystemExit(lost.exit_code) from None

    def parse_core(self, argv: list[str] | None) -> None:
        """Read what stands before the first task."""
        with self._explained():
            super().parse_core(argv)
        keep_bytecode()

    def parse_tasks(self) -> None:
        """Read the tasks and their options."""
        with self._explained():
            super().parse_tasks()

    def parse_cleanup(self) -> None:
        """Do what needs no task: `--help TASK`, `--list`."""
        with self._explained():
            super().parse_cleanup()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ParseError as error:
            self._refuse(str(error), error.context or self.initial_context)
        except ValueError as error:
            if not NO_NUMBER.match(str(error)):
                raise
            self._refuse(str(error), self.initial_context)
        except KeyboardInterrupt:
            raise Exit(AFTER_CTRL_C, INTERRUPTED) from None
        except Exit as end:
            if not end.message:  # all is well: a help was shown
                raise
            self._refuse(end.message, self.initial_context)

    def _refuse(self, said: str, context: ParserContext) -> NoReturn:
        from lifecycle import report

        failure = self._failure(said, context)
        report.failure(failure)
        raise Exit(code=failure.exit_code) from None

    def _failure(self, said: str, context: ParserContext) -> "ConfigError":
        from lifecycle.errors import ConfigError

        task = context.name or ""
        of_it = f"{OPTIONS}{task} --help" if task else f"{OPTIONS}--help"
        if found := UNKNOWN.match(said):
            return self._unknown(found[1], task, list(context.flags), of_it)
        if found := NO_VALUE.match(said):
            return ConfigError(f"--{found[1]} needs a value", fix=of_it)
        if found := TOO_FEW.match(said):
            missing = found[2].replace("'", "").upper()
            return ConfigError(f"inv {found[1]} needs {missing}", fix=of_it)
        if found := NO_NUMBER.match(said):
            return ConfigError(f"{found[1]} is not a whole number", fix=f"{OPTIONS}COMMAND --help")
        return ConfigError(said, fix=ALL)

    def _unknown(self, word: str, task: str, options: list[str], of_it: str) -> "ConfigError":
        from lifecycle.env_file import nearest
        from lifecycle.errors import ConfigError

        if word.startswith("-"):
            near = nearest(word, options, "Did you mean {}? ")
            whole = f"inv {task}" if task else "inv"
            return ConfigError(f"{whole} has no option {word}", fix=near + of_it)
        near = nearest(word, self.collection.task_names, "Did you mean ./inv {}? ")
        why = f"what follows inv {task} is an option of it, or another command" if task else ""
        return ConfigError(f"there is no command {word}", why=why, fix=near + ALL)
