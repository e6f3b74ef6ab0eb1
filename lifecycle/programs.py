"""How programs are started, read and ended: what `shell.py` is made with, and nobody else."""

import contextlib
import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

from lifecycle.errors import CommandFailed
from lifecycle.step import Command

KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TERM")
"""What a program with a clean environment still gets of ours."""


def executable(program: str) -> str:
    """Where a program is that this user may run; "" when there is none.

    We look ourselves: the system says "permission denied" also when the program is nowhere and a
    folder of the PATH may not be entered, as root's may not after `su`.
    """
    # CreateProcess looks in more places than the PATH.
    return (shutil.which(program) or "") if os.name == "posix" else program


def opened(
    command: Command, stdin: int | None = None, stdout: int | None = None, stderr: int | None = None
) -> "subprocess.Popen[bytes]":
    """Start a program that changes something; the streams are as for `subprocess.Popen`.

    Raises:
        CommandFailed: it cannot be run at all.
    """
    program = executable(command.argv[0])
    if not program:
        raise CommandFailed(
            f"this command cannot be run: {command}", why=f"{command.argv[0]}: not found"
        )
    try:
        return subprocess.Popen(
            command.argv, executable=program, env=environment(command), cwd=command.cwd,
            stdin=stdin, stdout=stdout, stderr=stderr,
            # It asks the kernel only, and takes no lock that another thread of ours may hold.
            preexec_fn=_end_with_parent() if command.ends_with_us else None,  # noqa: PLW1509
        )  # fmt: skip
    except OSError as error:
        raise _cannot_be_run(command, error) from None


def _cannot_be_run(command: Command, error: OSError) -> CommandFailed:
    if error.errno == errno.EAGAIN:
        return CommandFailed(
            f"no further process can be started: {command}",
            why="this user or this container has as many processes as it may (ulimit -u, pids.max)",
            fix="End some, or raise the limit; then run the same command again.",
        )
    return CommandFailed(f"this command cannot be run: {command}", why=error.strerror or str(error))


def _end_with_parent() -> Callable[[], None] | None:
    """What a child does first so that it is killed when we are; None where no kernel offers that.

    https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
    """
    if sys.platform != "linux":
        return None
    import ctypes

    prctl, set_death_signal, parent = ctypes.CDLL(None).prctl, 1, os.getpid()

    def end_with_parent() -> None:
        prctl(set_death_signal, signal.SIGKILL)
        if os.getppid() != parent:  # we were killed before the kernel was asked
            os._exit(1)

    return end_with_parent


@contextlib.contextmanager
def started(command: Command) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program whose output is read; it ends at the latest when the caller fails."""
    process = opened(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield process
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()
        assert process.stdout is not None  # noqa: S101 - for mypy; it is a pipe
        process.stdout.close()


@contextlib.contextmanager
def time_limit(process: "subprocess.Popen[bytes]", limit: float) -> Iterator[list[bool]]:
    """End the process after `limit` seconds, silent or not; the list is then not empty."""
    late: list[bool] = []

    def end() -> None:
        late.append(True)
        process.terminate()

    timer = threading.Timer(limit, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """End a program and what it started, and wait for none of it.

    Its pipes are closed, not read to their end: a child of its own may hold them open for ever.
    """
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.2)


def environment(command: Command) -> dict[str, str]:
    """What a program finds in its environment; of ours, a clean one has only what all need."""
    base = {k: os.environ[k] for k in KEPT if k in os.environ} if command.clean_env else os.environ
    return {**base, **command.env}


def lines(process: "subprocess.Popen[bytes]") -> Iterator[str]:
    """What a program prints, line by line, as it comes; empty lines are left out."""
    assert process.stdout is not None  # noqa: S101 - for mypy; it is a pipe
    # As UTF-8, whatever Windows' own code page is.
    with io.TextIOWrapper(process.stdout, encoding="utf-8", errors="replace") as text:
        for raw in text:
            # Progress bars overwrite their line with carriage returns: the last state counts.
            # An old wsl.exe writes UTF-16 whatever it is asked for: every other byte is zero.
            line = raw.replace("\0", "").rstrip().rsplit("\r", 1)[-1]
            if line:
                yield line
