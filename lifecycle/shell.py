"""The door to programs and files. Nobody else runs a program or writes a file."""

import codecs
import contextlib
import os
import select
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lifecycle import programs, refusals
from lifecycle.errors import CommandFailed, HostNotReady
from lifecycle.step import Command, EditFile, Remove, WriteFile

PIECE = 1 << 16
"""Bytes that are handed on at once."""

SHOWN_LINES = 12
"""How much of a failed command's output an error carries."""


@dataclass(frozen=True)
class Output:
    """What a read-only command said; `code` is 127 when there is no such program, 126 when there is
    one that the system cannot start.
    """

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
        program = programs.executable(argv[0])
        if not program:
            return Output(127, "", f"{argv[0]}: not found")
        try:
            process = subprocess.Popen(
                argv, executable=program,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={**os.environ, **(env or {})}, start_new_session=os.name == "posix",
            )  # fmt: skip
        except FileNotFoundError:
            return Output(127, "", f"{argv[0]}: not found, or what it is to be run by is missing")
        except OSError as error:
            return Output(126, "", f"{program} cannot be run: {error.strerror}")
        try:
            text, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            programs.kill_group(process)
            return Output(124, "", f"{argv[0]}: no answer in {limit:.2g} s")
        except BaseException:
            programs.kill_group(process)
            raise
        return Output(process.returncode, decoded(text), decoded(errors))

    def run(self, command: Command, on_line: Callable[[str], None] = nothing) -> None:
        """Run a program that changes something; its output goes line by line to `on_line`.

        Raises:
            CommandFailed: with the command as it can be pasted, and its last lines.
            HostNotReady: the machine stopped it: a full disk, a limit.
        """
        if self._only_said(str(command)):
            return
        tail: list[str] = []
        with (
            programs.started(command) as process,
            programs.time_limit(process, command.limit) as late,
        ):
            for line in programs.lines(process):
                tail = [*tail[1 - SHOWN_LINES :], line]
                on_line(line)
        if late:
            raise CommandFailed(
                f"this command was ended after {command.limit:g} s: {command}",
                why="\n".join(tail),
            )
        if process.returncode:
            raise refusals.of_program(str(command), command.argv, tail) or CommandFailed(
                f"this command failed (exit {process.returncode}): {command}",
                why="\n".join(tail),
                fix="Mend what it says, then run the same command again.",
            )

    def replace(self, command: Command) -> int:
        """Run a program on our terminal (a login, a question); returns its exit code.

        Raises:
            CommandFailed: it cannot be run at all.
        """
        with programs.opened(command) as process:
            try:
                return process.wait()
            except BaseException:
                process.terminate()
                raise

    def pour(self, command: Command, into: Callable[[bytes], object]) -> int:
        """Hand on what a program prints (a log that is followed), as it comes; its exit code.

        Through us and not straight to our output: then a reader who left, or a full disk, is met
        as everywhere else.

        Args:
            into: gets nothing, too, every second in which nothing comes.

        Raises:
            CommandFailed: it cannot be run at all.
        """
        with programs.opened(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdout is not None  # noqa: S101 - for mypy; it is a pipe
            try:
                while True:
                    while not select.select([process.stdout], [], [], 1.0)[0]:
                        into(b"")
                    piece = os.read(process.stdout.fileno(), PIECE)
                    if not piece:
                        return process.wait()
                    into(piece)
            except BaseException:
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
        except OSError as error:
            Path(name).unlink(missing_ok=True)
            error.filename = str(file.path)  # the other one is gone
            raise
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
                f"{file.path} was changed while we looked at it", fix="Run the same command again."
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
