"""`@command`: an Invoke task whose intended failures are one clear message and an exit code."""

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from invoke import Context, Exit, Task, task

from lifecycle import refusals
from lifecycle.errors import INTERRUPTED, LifecycleError

if TYPE_CHECKING:
    from lifecycle.paths import Paths
    from lifecycle.run_log import RunLog
    from lifecycle.shell import Shell

GPU_HELP = "a backend (a file in env/), cpu, cuda, rocm, or auto"
GPU_OR_BEST_HELP = (
    "a backend (a file in env/), cpu, cuda or rocm; unset: what this machine is best at"
)
"""How `--gpu` is explained where a backend is used, and where a machine is looked at."""
AFTER_CTRL_C = "\nInterrupted. The same command goes on from here; inv status shows what runs."
Body = Callable[..., None]
HELP = {"--help", "-h"}
"""What Invoke takes for the value of an argument that a task cannot do without."""


def command(**options: Any) -> Callable[[Body], "Task[Body]"]:  # noqa: ANN401 - Invoke's own
    """Make a task of a function; `options` are those of `invoke.task`."""

    def decorate(body: Body) -> "Task[Body]":
        @functools.wraps(body)
        def guarded(context: Context, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            if HELP.intersection(one for one in kwargs.values() if isinstance(one, str)):
                raise Exit(code=_help(sys.argv))
            try:
                body(context, *args, **kwargs)
                sys.stdout.flush()
            except LifecycleError as error:
                raise _exit(error) from None
            except KeyboardInterrupt:
                raise Exit(AFTER_CTRL_C, INTERRUPTED) from None
            except (OSError, MemoryError) as error:
                known = refusals.explained(error)
                if known is None:
                    raise
                raise _exit(known) from None

        made: Task[Body] = task(**options)(guarded)
        return made

    return decorate


def _help(argv: list[str]) -> int:
    """Show the help of the task that the word before `--help` names; returns the exit code."""
    from lifecycle.paths import ROOT
    from lifecycle.shell import Shell
    from lifecycle.step import Command

    task_name = argv[next(n for n, word in enumerate(argv) if word in HELP) - 1]
    return Shell().replace(Command((sys.executable, str(ROOT / "tasks.py"), "--help", task_name)))


def positional_if_given(name: str, argument: str, argv: list[str]) -> list[str]:
    """What to pass as `positional` for an argument that may be left out.

    Invoke knows no optional positional arguments (pyinvoke/invoke#159): one with a default is
    never filled by position, one without must be given. So the command line decides (and the
    default must be None). Every flag
    of the task must take a value.
    """
    words = iter(argv[argv.index(name) + 1 :] if name in argv else [])
    for word in words:
        if not word.startswith("-"):
            return [argument]
        if "=" not in word:
            next(words, None)
    return []


def dry(context: Context) -> bool:
    """Whether `inv --dry` was asked for."""
    return bool(context.config.run.dry)


def shell_for(context: Context, *, elsewhere: bool = False) -> "Shell":
    """The door to processes and files; in a dry run it only says what it would do.

    Args:
        elsewhere: it is about another machine than this one: as in a dry run.
    """
    from lifecycle import report
    from lifecycle.shell import Shell

    return Shell(dry=dry(context) or elsewhere, say=report.line)


def log_of(where: "Paths") -> "RunLog":
    """The log of this command; secrets of the root `.env` and of the environment are hidden."""
    import os

    from lifecycle import env_file, run_log
    from lifecycle.keys import KEYS

    names = [key.name for key in KEYS.values() if key.secret]
    secrets = [os.environ.get(name, "") for name in names]
    try:
        kept = env_file.read(where.secrets, where.root, secrets_allowed=True)
        secrets += [kept[name].text for name in names if name in kept]
    except LifecycleError:
        pass  # whoever reads the file next says what is wrong with it
    return run_log.of_this_command(where.home, secrets)


def _exit(error: LifecycleError) -> Exit:
    from lifecycle import report

    report.failure(error)
    return Exit(code=error.exit_code)
