"""Whether a model on disk still is what was verified: quickly by size and times, or by its hashes.

In the layout of a Hugging Face cache a file's name is its digest, so nobody need be asked.
"""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.files import Files
    from lifecycle.transfer import Item

DIGEST = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
"""A blob's name: the sha256 of what lies in large storage, else the sha1 that git gives to it."""
BLOBS = Path("blobs")


def touched(place: Path, paths: Iterable[str]) -> list[str]:
    """Those files of a snapshot of ours whose size or times are not as when they were verified.

    No file is read.

    Args:
        place: the snapshot.
        paths: of its files, with `/` between folders.
    """
    from lifecycle.transfer.cache import Record

    record = Record(place.parent.parent)
    return [path for path in paths if not record.knows(holder(place, path))]


def holder(place: Path, path: str) -> Path:
    """The file that holds the content of one of a snapshot's: its blob, or itself without links."""
    file = place / path
    name = file.readlink().name if file.is_symlink() else ""
    return place.parent.parent / BLOBS / name if DIGEST.fullmatch(name) else file


def damaged(
    place: Path, paths: Iterable[str], on_progress: Callable[["Files"], None], *, ours: bool
) -> list[str]:
    """Hash files of a snapshot; those that are not what their names say. Nothing is moved.

    What has no digest for a name (without links, as on some Windows drives) is passed over.

    Args:
        ours: remember what was found.

    Raises:
        OSError: a file cannot be read.
    """
    from lifecycle.files import HERE, Files
    from lifecycle.transfer.cache import Record, is_right

    items = [item for path in paths if (item := _item(place, path))]
    files = Files.of((item.path, item.size) for item in items)
    record, wrong = Record(place.parent.parent), []
    for item in items:
        shown, file = files.files[item.path], holder(place, item.path)
        if is_right(file, item, shown, lambda: on_progress(files)):
            shown.state, shown.done = HERE, item.size
            record.note(file)
        else:
            wrong.append(item.path)
            record.forget(file)
    if ours:
        record.save()
    return wrong


def of_cache(place: Path) -> list[str]:
    """All files of a snapshot that can be verified, whoever fetched it."""
    found = (Path(folder) / name for folder, _, names in os.walk(place) for name in names)
    paths = [file.relative_to(place).as_posix() for file in found if file.exists()]
    return sorted(path for path in paths if _item(place, path))


def _item(place: Path, path: str) -> "Item | None":
    from lifecycle.transfer import Item

    file = holder(place, path)
    if not DIGEST.fullmatch(file.name) or not file.is_file():
        return None
    kind = "sha256" if len(file.name) == len("0" * 64) else "git"
    return Item(path, file.stat().st_size, f"{kind}:{file.name}", "")
