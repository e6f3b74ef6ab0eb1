"""The layout of a Hugging Face cache, and what of it was verified.

blobs/<digest>, snapshots/<commit>/<path> as relative links to them, refs/<revision>; as in
https://huggingface.co/docs/huggingface_hub/guides/manage-cache. Where links cannot be made (some
Windows drives) the file itself goes into the snapshot, as huggingface_hub does it.
"""

import contextlib
import json
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lifecycle.files import CHECKING, HERE, WAITING, File, Files
from lifecycle.transfer.item import MIB, Item, Place
from lifecycle.transfer.journal import Journal, sync_folder
from lifecycle.transfer.part import Part, journal_of

RECORD = ".verified.json"
PIECE = 4 * MIB


class Cache:
    """One repository's folder.

    What was verified is remembered with its size and times, so that it is hashed once only: also
    what another program put there, huggingface_hub for one, which compares sizes.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        place.blobs.mkdir(parents=True, exist_ok=True)
        self._record = Record(place.repo)

    def missing(
        self, items: Sequence[Item], files: Files, tick: Callable[[], None]
    ) -> dict[str, list[Item]]:
        """The items that are not here, by the name of their content; the others are verified."""
        found: dict[str, list[Item]] = {}
        for item in items:
            shown = files.files[item.path]
            if item.name in found or not self._good(item, shown, files, tick):
                found.setdefault(item.name, []).append(item)
                continue
            shown.state, shown.done = HERE, item.size
        self._record.save()
        return found

    def accept(self, part: Part, files: Files) -> bool:
        """Take a complete file in, if it is what it should be; else set it aside."""
        item = part.item
        if not part.verified:
            part.finish(part.file)  # only its journal goes
            self._set_aside(part.file, item, files)
            return False
        blob = self.place.blobs / item.name
        part.finish(blob)
        self._record.note(blob)
        self._record.save()
        return True

    def publish(self, items: Sequence[Item]) -> None:
        """Link everything, then let the revision point at it: whoever looks finds all or nothing.

        Everything before the last step is synced, for a power cut may undo the steps in any order.
        """
        sync_folder(self.place.blobs)
        uses = Counter(item.name for item in items)
        folders = {self._link(item, uses) for item in items}
        for folder in folders:
            sync_folder(folder)
        self._record.save()
        if self.place.revision != self.place.commit:
            _write(self.place.reference, self.place.commit)

    def _good(self, item: Item, shown: File, files: Files, tick: Callable[[], None]) -> bool:
        """Whether a file is there and what it should be; one that is not is set aside."""
        for file in _holders(self.place, item):
            if not _sized(file, item):
                continue
            if self._record.knows(file):
                return True
            if self._hashed(file, item, shown, tick):
                return True
            self._set_aside(file, item, files)
        return False

    def _hashed(self, file: Path, item: Item, shown: File, tick: Callable[[], None]) -> bool:
        """Whether a file's content is what it should be; what is, is remembered."""
        if not is_right(file, item, shown, tick):
            return False
        self._record.note(file)
        return True

    def _set_aside(self, file: Path, item: Item, files: Files) -> None:
        aside = self.place.blobs / f"{item.name}.corrupt"
        wrong = f"{item.path} was not what it should be (its digest differs)"
        if shutil.disk_usage(file.parent).free < item.size:
            # Two of them would fill the disk: the good one is wanted.
            file.unlink()
            files.events.append(f"{wrong}: removed, to be fetched again")
            return
        # A blob may itself be a link, into a store that huggingface_hub shares between folders.
        file.replace(aside)
        files.events.append(f"{wrong}: set aside as {aside.name}, to be fetched again")

    def _link(self, item: Item, uses: Counter[str]) -> Path:
        """Put an item under its name in the snapshot; returns the folder it is in.

        Args:
            uses: how many names each content must still get.
        """
        uses[item.name] -= 1
        name, blob = self.place.snapshot / item.path, self.place.blobs / item.name
        name.parent.mkdir(parents=True, exist_ok=True)
        if not blob.exists() and name.exists():
            return name.parent  # no links here: it was moved into its place
        target = os.path.relpath(blob, name.parent)
        if name.is_symlink() and str(name.readlink()) == target:
            return name.parent
        beside = name.with_name(f".{name.name}.new")
        beside.unlink(missing_ok=True)
        try:
            beside.symlink_to(target)
        except OSError:
            if uses[item.name]:
                shutil.copyfile(blob, name)
            else:
                blob.replace(name)
            self._record.note(name)
        else:
            beside.replace(name)
        return name.parent


def is_right(file: Path, item: Item, shown: File, tick: Callable[[], None]) -> bool:
    """Whether a file holds what an item should be: all of it is read."""
    shown.state, shown.done = CHECKING, 0
    hasher = item.hasher()
    for piece in _pieces(file):
        hasher.update(piece)
        shown.done += len(piece)
        tick()
    shown.state, shown.done = WAITING, 0
    return hasher.hexdigest() == item.name


class Record:
    """Which files of a repository's folder were verified, and their size and times then."""

    def __init__(self, repo: Path) -> None:
        self.repo = repo
        self.file = repo / RECORD
        self._lock = threading.Lock()
        self._verified: dict[str, list[int]] = {}
        with contextlib.suppress(
            OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError
        ):
            self._verified = dict(json.loads(self.file.read_text()))

    def note(self, file: Path) -> None:
        """A file is now what it should be."""
        with self._lock:
            self._verified[self._key(file)] = _as_now(file)

    def forget(self, file: Path) -> None:
        """A file is not what it should be, whatever its times say."""
        with self._lock:
            self._verified.pop(self._key(file), None)

    def knows(self, file: Path) -> bool:
        """Whether a file is as it was when it was verified, by its size and times: cheap."""
        known = self._verified.get(self._key(file))
        with contextlib.suppress(OSError, TypeError):
            # Until November 2026 only size and mtime were kept.
            return bool(known) and known == _as_now(file)[: len(known or ())]
        return False

    def save(self) -> None:
        """Write it down."""
        with self._lock:
            _write(self.file, json.dumps(self._verified, indent=1))

    def _key(self, file: Path) -> str:
        return str(file.relative_to(self.repo))


def missing_bytes(items: Sequence[Item], place: Place) -> int:
    """The room a disk must still have: all that is not there, less what partial files hold."""
    needed = 0
    for item in {item.name: item for item in items}.values():
        if not any(_sized(file, item) for file in _holders(place, item)):
            part = place.blobs / f"{item.name}.part"
            kept = Journal(journal_of(part), item.size).read()[1] if part.exists() else ()
            needed += item.size - sum(end - start for start, end in kept)
    return needed


def _holders(place: Place, item: Item) -> tuple[Path, Path]:
    """Where the content can be: as a blob, or itself in the snapshot where links do not work."""
    return place.blobs / item.name, place.snapshot / item.path


def _sized(file: Path, item: Item) -> bool:
    try:
        return file.is_file() and file.stat().st_size == item.size
    except OSError:
        return False


def _as_now(file: Path) -> list[int]:
    """Not the inode: over network drives and Windows' it may change with every mount."""
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _pieces(file: Path) -> Iterator[memoryview]:
    buffer = bytearray(PIECE)
    with file.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            yield memoryview(buffer)[:count]


def _write(file: Path, text: str) -> None:
    """Write in one go, to last: readers see the old text or the new, also after a power cut."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.new")
    with beside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)
    sync_folder(file.parent)
