"""A file that is not complete yet: several connections write it, one thread keeps it.

Keeping is three things, in this order: sync what was written, note it in the journal, and hash as
far as the file has no gap. So what a power cut, kill -9 or a cut connection can cost is what is
not in the journal yet, and that is bounded: whoever would write more than `WINDOW` bytes ahead of
it waits. The hash is done when the last byte is, without a second pass over the file: what it
reads has just been written, and comes from memory.
"""

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.transfer.item import MIB, Item
from lifecycle.transfer.journal import Journal
from lifecycle.transfer.spans import Spans

WINDOW = 12 * MIB
"""Bytes of a file that may be written and not yet noted; with what is on its way below 16 MiB."""
SYNC_BYTES = 4 * MIB
SYNC_SECONDS = 1.0
HASH_BYTES = 32 * MIB
"""How much is hashed before the next sync: after a restart there may be many gigabytes to hash."""
PIECE = MIB


class Closed(Exception):
    """What a connection brings is not wanted any more."""


@dataclass(eq=False)
class Claim:
    """A range that one connection fetches.

    Args:
        at: the next byte it needs.
        moved: whether any came.
    """

    at: int
    end: int
    moved: bool = False


@dataclass
class Kept:
    """What is known of the bytes.

    Args:
        written: all that is in the file.
        unsafe: of those, what the journal does not know.
        hashed: how far the hash goes.
    """

    written: Spans = field(default_factory=Spans)
    unsafe: Spans = field(default_factory=Spans)
    syncing: int = 0
    hashed: int = 0


class Part:
    """An incomplete file and its journal, taken up where it was left.

    Args:
        folder: the cache's folder of contents.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """

    def __init__(self, folder: Path, item: Item) -> None:
        self.item = item
        self.file = folder / f"{item.name}.part"
        self.whole = False
        self.failure: Exception | None = None
        self._journal = Journal(journal_of(self.file), item.size)
        self._handle = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o666)
        self._closed = False
        self._changed = threading.Condition()
        self._keeping = threading.Lock()
        self._claims: list[Claim] = []
        self._writing = 0
        self._renewed = False
        self._stopped = False
        self._hasher = item.hasher()
        self._buffer = bytearray(PIECE)
        self.etag, known = self._journal.read()
        length = os.fstat(self._handle).st_size
        self._kept = Kept(Spans((start, min(end, length)) for start, end in known))
        if self._kept.written:
            self._journal.begin(self.etag, self._kept.written)

    @property
    def done(self) -> int:
        """Bytes that are written; asked without a lock, and so a little behind."""
        return self._kept.written.total

    @property
    def complete(self) -> bool:
        """Whether all is there, synced and hashed; to be asked when the keeping has ended."""
        return self._kept.hashed == self.item.size

    @property
    def verified(self) -> bool:
        """Whether a complete file is what it should be."""
        return self.complete and self._hasher.hexdigest() == self.item.name

    @property
    def busy(self) -> int:
        """How many connections are at work on it."""
        with self._changed:
            return len(self._claims)

    def claim(self, most: int) -> Claim | None:
        """A range that nobody fetches yet, of at most `most` bytes; None when there is none."""
        with self._changed:
            if self.whole and self._claims:
                return None
            taken = Spans([*self._kept.written, *((one.at, one.end) for one in self._claims)])
            gaps = list(taken.gaps(self.item.size))
            if not gaps:
                return None
            start, end = gaps[0]
            made = Claim(start, gaps[-1][1] if self.whole else min(end, start + most))
            self._claims.append(made)
            return made

    def drop(self, claim: Claim) -> None:
        """Its connection has ended; what it has not brought is free again."""
        with self._changed:
            if claim in self._claims:
                self._claims.remove(claim)

    def send_whole(self, claim: Claim) -> bool:
        """The server sends the file from its beginning, whatever it is asked for.

        Returns:
            Whether this connection is the one to write it, up to the last byte that is missing.
        """
        with self._changed:
            if self.whole or self._gone(claim):
                return False
            self.whole = True
            self._claims = [claim]
            gaps = list(self._kept.written.gaps(self.item.size))
            claim.at, claim.end = gaps[0][0], gaps[-1][1]
            return True

    def write(self, claim: Claim, data: bytes) -> None:
        """Put bytes at the claim's place, and move it on; waits while too much is not kept.

        Raises:
            Closed: no longer wanted.
            OSError: the disk is full.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._gone(claim) or self._room(len(data)))
            if self._gone(claim):
                raise Closed
            self._writing += 1
        at = claim.at
        try:
            at = self._put(data, at)
        finally:
            with self._changed:
                self._writing -= 1
                if not self._gone(claim):
                    self._kept.written.add(claim.at, at)
                    self._kept.unsafe.add(claim.at, at)
                    claim.at, claim.moved = at, True
                if self._due() or not self._writing:
                    self._changed.notify_all()

    def seen(self, claim: Claim, etag: str) -> bool:
        """Compare the ETag of an answer with what the bytes so far came with.

        Returns:
            Whether they belong together. If not, the file has been begun anew; once only, for a
            mirror may send another ETag each time, and the digest decides in the end.

        Raises:
            Closed: the claim is not wanted any more.
        """
        with self._changed:
            if self._gone(claim):
                raise Closed
            changed = bool(etag and self.etag and etag != self.etag)
            first = not self.etag
            if first or changed:
                self.etag = etag
        if changed and not self._renewed:
            self.renew()
            return False
        return True

    def renew(self) -> None:
        """Throw away what is there.

        Raises:
            Closed: it is complete by now, or the work has stopped.
        """
        with self._keeping, self._changed:
            if self._stopped:
                raise Closed
            self._renewed = True
            self._claims.clear()
            self._changed.wait_for(lambda: not self._writing)
            self._journal.remove()
            os.ftruncate(self._handle, 0)
            self._kept = Kept()
            self._hasher = self.item.hasher()
            self._changed.notify_all()

    def keep(self) -> None:
        """Sync, note and hash until all is there or the work stops; in a thread of its own."""
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(self._due, SYNC_SECONDS)
                    stopped = self._stopped
                with self._keeping:
                    self._sync()
                    if stopped:
                        return
                    self._hash()
                    if self.complete:
                        # Before anybody may begin it anew again.
                        self.stop()
                        return
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for this thread
            self.failure = error
            self.stop()

    def stop(self) -> None:
        """Let the keeping end after one more sync, and nobody write."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def close(self) -> None:
        """Leave the files for a next time; the keeping must have ended."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._writing)
            if not self._closed:
                self._closed = True
                self._journal.close()
                os.close(self._handle)

    def finish(self, target: Path) -> None:
        """Give it its place, complete."""
        self.close()
        self.file.replace(target)
        self._journal.remove()

    def _put(self, data: bytes, at: int) -> int:
        view = memoryview(data)
        while view:
            count = os.pwrite(self._handle, view, at)
            view, at = view[count:], at + count
        return at

    def _gone(self, claim: Claim) -> bool:
        return self._stopped or claim not in self._claims

    def _room(self, count: int) -> bool:
        ahead = self._kept.unsafe.total + self._kept.syncing
        return ahead == 0 or ahead + count <= WINDOW

    def _due(self) -> bool:
        kept = self._kept
        return (
            self._stopped
            or kept.unsafe.total >= SYNC_BYTES
            or kept.written.prefix - kept.hashed >= HASH_BYTES
            or kept.written.total == self.item.size
        )

    def _sync(self) -> None:
        with self._changed:
            fresh, self._kept.unsafe = self._kept.unsafe, Spans()
            self._kept.syncing = fresh.total
            complete = self._kept.written.total == self.item.size
        if not fresh and not complete:
            return
        try:
            os.fdatasync(self._handle)
            if self._journal.begun:
                self._journal.add(fresh)
            elif not complete:
                # A small file is complete before its first sync: it needs no journal.
                self._journal.begin(self.etag, fresh)
        finally:
            with self._changed:
                self._kept.syncing = 0
                self._changed.notify_all()

    def _hash(self) -> None:
        kept = self._kept
        with self._changed:
            until = min(kept.written.prefix, kept.hashed + HASH_BYTES)
        while kept.hashed < until:
            view = memoryview(self._buffer)[: min(PIECE, until - kept.hashed)]
            count = os.preadv(self._handle, [view], kept.hashed)
            if not count:
                raise OSError(0, "the file was shortened while it was written", str(self.file))
            self._hasher.update(view[:count])
            kept.hashed += count


def journal_of(file: Path) -> Path:
    """The journal beside an incomplete file."""
    return file.with_name(file.name + ".journal")
