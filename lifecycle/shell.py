"""The door to programs and files. Nobody else runs a program or writes a file."""

import codecs
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lifecycle.errors import CommandFailed, HostNotReady
from lifecycle.step import Command, EditFile, Remove, WriteFile

SHOWN_LINES = 12
"""How much of a failed command's output an error carries."""

KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TERM")
"""What a program with a clean environment still gets of ours."""


@dataclass(frozen=True)
class Output:
    """What a read-only command said; `code` is 127 when there is no such program."""

    code: int
    text: str
    errors: str = ""


def nothing(_: str) -> None:
    """Ignore a line of progress."""


class Busy(Exception):
    """Another process holds a lock."""


class Shell:
    """Runs programs and writes files, or only says what it would do.

    Args:
        dry: change nothing; `say` gets every change as one line.
    """

    def __init__(self, *, dry: bool = False, say: Callable[[str], None] = nothing) -> None:
        self.dry = dry
        self.say = say

    def read(self, *argv: str, limit: float = 10, env: Mapping[str, str] | None = None) -> Output:
        """Run a program that only reads. Never raises, never hangs, runs in a dry run too."""
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={**os.environ, **(env or {})}, start_new_session=os.name == "posix",
            )  # fmt: skip
        except FileNotFoundError:
            return Output(127, "", f"{argv[0]}: not found")
        except OSError as error:
            return Output(126, "", str(error))
        try:
            text, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            return Output(124, "", f"{argv[0]}: no answer in {limit:.2g} s")
        except BaseException:
            _kill_group(process)
            raise
        return Output(process.returncode, decoded(text), decoded(errors))

    def run(self, command: Command, on_line: Callable[[str], None] = nothing) -> None:
        """Run a program that changes something; its output goes line by line to `on_line`.

        Raises:
            CommandFailed: with the command as it can be pasted, and its last lines.
        """
        if self._only_said(str(command)):
            return
        tail: list[str] = []
        with _started(command) as process, _time_limit(process, command.limit) as late:
            for line in _lines(process):
                tail = [*tail[1 - SHOWN_LINES :], line]
                on_line(line)
        if late:
            raise CommandFailed(
                f"this command was ended after {command.limit:g} s: {command}",
                why="\n".join(tail),
            )
        if process.returncode:
            raise CommandFailed(
                f"this command failed (exit {process.returncode}): {command}",
                why="\n".join(tail),
            )

    def replace(self, command: Command) -> int:
        """Run a program on our terminal (a log that is followed); returns its exit code."""
        with subprocess.Popen(command.argv, env=_environment(command)) as process:
            try:
                return process.wait()
            except KeyboardInterrupt:
                process.terminate()
                raise

    def write(self, file: WriteFile) -> None:
        """Write a file in one go: readers see the old text or the new, never a part."""
        if self._only_said(str(file)):
            return
        file.path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        handle, name = tempfile.mkstemp(dir=file.path.parent, prefix=f".{file.path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                stream.write(file.text)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(name, file.mode)  # noqa: PTH101 - the name is a str from mkstemp
            os.replace(name, file.path)  # noqa: PTH105
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def edit(self, file: EditFile) -> None:
        """Change a person's own file, once it is sure that it is still as we saw it.

        Raises:
            HostNotReady: it was changed since; nothing is lost, nothing written.
        """
        if self._only_said(str(file)):
            return
        old = file.path.read_bytes() if file.path.exists() else None
        seen = None if file.old is None else file.old.replace("\r\n", "\n")
        now = None if old is None else decoded(old.removeprefix(codecs.BOM_UTF8))
        if now != seen:
            raise HostNotReady(
                f"{file.path} was changed while we looked at it", fix="Run the same again."
            )
        if old is not None and not file.backup.exists():
            file.backup.write_bytes(old)
        before = old or b""
        text = file.new.replace("\n", "\r\n") if b"\r\n" in before else file.new
        if before.startswith(codecs.BOM_UTF8):
            text = f"\ufeff{text}"
        self.write(WriteFile(file.path, text, _mode(file.path)))

    def remove(self, target: Remove) -> None:
        """Remove a file or folder; absent already is fine."""
        if self._only_said(str(target)):
            return
        if target.path.is_dir() and not target.path.is_symlink():
            shutil.rmtree(target.path)
        else:
            target.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(
        self, path: Path, on_wait: Callable[[str], None], limit: float | None = None
    ) -> Iterator[None]:
        """Hold a lock that dies with this process; says so once if somebody else has it.

        Args:
            limit: seconds to wait; unset: as long as it takes.

        Raises:
            Busy: somebody else has it still.
        """
        if self.dry:
            yield
            return
        from filelock import FileLock, Timeout

        path.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(path)
        try:
            held.acquire(timeout=0.05)
        except Timeout:
            if limit == 0:
                raise Busy(path) from None
            on_wait(f"{holder(path)} is at work here ({path.name}); waiting for it")
            try:
                held.acquire(timeout=-1 if limit is None else limit)
            except Timeout:
                raise Busy(path) from None
        try:
            yield
        finally:
            held.release()

    def _only_said(self, change: str) -> bool:
        if self.dry:
            self.say(change)
        return self.dry


def holder(lock: Path) -> str:
    """Who holds a lock of ours, e.g. `inv up (pid 42)`; "another inv" when nobody tells."""
    with contextlib.suppress(OSError):
        inode = f":{lock.stat().st_ino}"
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            # `1: FLOCK ADVISORY WRITE 42 fd:00:1234 0 EOF`; of those that wait the second is `->`.
            if words[1] == "FLOCK" and words[5].endswith(inode):
                raw = Path(f"/proc/{words[4]}/cmdline").read_bytes()
                return f"{_task(decoded(raw.replace(bytes(1), b' ')).split())} (pid {words[4]})"
    return "another inv"


def _task(words: list[str]) -> str:
    """The task of Invoke that a command line names: `inv up`."""
    plain = (word for word in words[1:] if not word.startswith("-") and "/" not in word)
    return f"inv {next((word for word in plain if word not in ('utf8', 'invoke')), '')}".rstrip()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644


def decoded(raw: bytes) -> str:
    """Text of a program: UTF-8, or the UTF-16LE that wsl.exe writes whatever the language.

    https://github.com/microsoft/WSL/blob/master/src/windows/common/WslClient.cpp
    """
    wide = raw.startswith(b"\xff\xfe") or b"\0" in raw
    text = raw.decode("utf-16-le" if wide else "utf-8", "replace")
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
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


def _environment(command: Command) -> dict[str, str]:
    base = {k: os.environ[k] for k in KEPT if k in os.environ} if command.clean_env else os.environ
    return {**base, **command.env}


@contextlib.contextmanager
def _started(command: Command) -> Iterator["subprocess.Popen[str]"]:
    try:
        process = subprocess.Popen(
            command.argv, env=_environment(command), cwd=command.cwd,
            encoding="utf-8", errors="replace",  # whatever Windows' own code page is
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except OSError as error:
        raise CommandFailed(f"this command cannot be run: {command}", why=str(error)) from None
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
def _time_limit(process: "subprocess.Popen[str]", limit: float) -> Iterator[list[bool]]:
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


def _lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None  # noqa: S101 - for mypy; it is a pipe
    for raw in process.stdout:
        # Progress bars overwrite their line with carriage returns: the last state counts.
        # An old wsl.exe writes UTF-16 whatever it is asked for: every other byte is zero.
        line = raw.replace("\0", "").rstrip().rsplit("\r", 1)[-1]
        if line:
            yield line
