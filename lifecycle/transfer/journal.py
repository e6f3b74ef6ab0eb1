"""Which bytes of an incomplete file are safely on the disk.

Lines are only added, each after its bytes were synced. So every whole line is true, whatever cut
the power: what it left of the last line is not read, and what was never written is fetched again.
"""

import os
import re
from pathlib import Path

from lifecycle.transfer.spans import Spans

SPAN = re.compile(r"(\d+) (\d+)")
ETAG = "etag "


class Journal:
    """The file beside an incomplete one.

    Args:
        size: of the file when complete; a line beyond it is not ours.
    """

    def __init__(self, file: Path, size: int) -> None:
        self.file = file
        self.size = size
        self._stream: int | None = None

    def read(self) -> tuple[str, Spans]:
        """The ETag that was noted ("" without one) and what is there."""
        etag, spans = "", Spans()
        try:
            text = self.file.read_bytes().decode("utf-8", "replace")
        except FileNotFoundError:
            return etag, spans
        for line in text.split("\n")[:-1]:
            if line.startswith(ETAG):
                etag = line.removeprefix(ETAG)
            elif (span := SPAN.fullmatch(line)) and int(span[2]) <= self.size:
                spans.add(int(span[1]), int(span[2]))
        return etag, spans

    def begin(self, etag: str, spans: Spans) -> None:
        """Write it anew, in one go: readers find the old or the new, also after a power cut."""
        self.close()
        beside = self.file.with_name(self.file.name + ".new")
        lines = [f"{ETAG}{etag}\n"] if etag else []
        stream = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self._stream = stream
        self._write("".join([*lines, *(f"{start} {end}\n" for start, end in spans)]))
        beside.replace(self.file)
        sync_folder(self.file.parent)

    def add(self, spans: Spans) -> None:
        """Note bytes that were synced."""
        self._write("".join(f"{start} {end}\n" for start, end in spans))

    @property
    def begun(self) -> bool:
        """Whether there is a file to add to."""
        return self._stream is not None

    def close(self) -> None:
        """Leave it for another process."""
        if self._stream is not None:
            os.close(self._stream)
            self._stream = None

    def remove(self) -> None:
        """There is nothing to take up any more."""
        self.close()
        self.file.unlink(missing_ok=True)

    def _write(self, text: str) -> None:
        assert self._stream is not None  # noqa: S101 - for mypy; begin() opened it
        os.write(self._stream, text.encode())
        os.fdatasync(self._stream)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
