"""The three standard streams, in whatever state a shell, a pipe or a full disk leaves them."""

import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO, cast

from lifecycle.errors import READER_GONE, OutputLost

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDIN, STDOUT, STDERR = 0, 1, 2


def mend() -> None:
    """Make all three usable; those that somebody else put in their places stay (pytest's).

    A stream that is closed leads nowhere: the next file that is opened would take its number, and
    what a program of ours prints would go into that file.
    """
    for number in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
    if sys.stdin is sys.__stdin__:
        # Whatever bytes come, they are text for a model, or no answer to a question.
        sys.stdin = _reading(sys.__stdin__)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _writing(sys.__stdout__, Output)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _writing(sys.__stderr__, Words)


def end_if_nobody_reads() -> None:
    """For who waits for something to print: a reader that left would not be met before that.

    Raises:
        SystemExit: see `Output`.
    """
    seen = select.poll()
    seen.register(STDOUT, 0)
    # A pipe without a reader: https://man7.org/linux/man-pages/man2/poll.2.html
    if any(event & select.POLLERR for _, event in seen.poll(0)):
        raise SystemExit(READER_GONE)


class Stream(io.FileIO):
    """What is written to; it may be a pipe of somebody's who does not want to wait (O_NONBLOCK)."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write what fits, as soon as something does."""
        while (count := cast("int | None", super().write(data))) is None:
            select.select([], [self], [])
        return count


class Output(Stream):
    """Standard output: the first failure ends the command, after that nothing is written."""

    lost = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write what fits.

        Raises:
            SystemExit: nobody reads any more, as `| head` does not; not an error.
            OutputLost: it cannot be written.
        """
        if self.lost:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except BrokenPipeError:
            self.lost = True
            raise SystemExit(READER_GONE) from None
        except OSError as error:
            self.lost = True
            raise OutputLost(
                f"the output cannot be written: {error.strerror}",
                fix="Send it elsewhere, e.g. to a disk with room, and run the same command again.",
            ) from None


class Words(Stream):
    """Standard error: what goes on is said while somebody can hear it; the work goes on."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write what fits; never raises."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _reading(stream: TextIO | None) -> TextIO:
    if stream is None:
        return open(STDIN, encoding="utf-8", closefd=False)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream


def _writing(stream: TextIO | None, kind: type[Stream]) -> TextIO:
    number = STDERR if kind is Words else STDOUT
    encoding = stream.encoding if stream else "utf-8"
    if stream and isinstance(stream, io.TextIOWrapper):
        if not isinstance(getattr(stream.buffer, "raw", stream.buffer), io.FileIO):
            # A console of Windows has a class of its own, and no full disk.
            stream.reconfigure(errors="replace")
            return stream
        stream.flush()
    raw = kind(number, "w", closefd=False)
    # A character that the encoding does not have becomes a question mark.
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="replace",
        line_buffering=number == STDERR or raw.isatty(),
    )  # fmt: skip
