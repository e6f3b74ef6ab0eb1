"""The disk under a folder that may not exist yet."""

import os
import shutil
from pathlib import Path

from lifecycle.host import Disk


def look(folder: Path) -> Disk:
    """Free bytes, the file system, and whether we could write there."""
    try:
        existing = next((f for f in (folder, *folder.parents) if f.exists()), Path("/"))
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return Disk(folder, problem=str(error))
    kind = file_system(existing.resolve(), _mounts())
    if not existing.is_dir():
        return Disk(folder, free, problem=f"{existing} is a file, not a folder", kind=kind)
    if not os.access(existing, os.W_OK | os.X_OK):
        return Disk(folder, free, problem=f"no permission to write in {existing}", kind=kind)
    return Disk(folder, free, writable=True, kind=kind)


def file_system(folder: Path, mounts: str) -> str:
    """The type of the file system that holds a folder; the last matching line of the deepest wins.

    https://man7.org/linux/man-pages/man5/proc_pid_mounts.5.html
    """
    kind, depth = "", -1
    for line in mounts.splitlines():
        words = line.split()
        if len(words) < 3:
            continue
        # The kernel writes a space in a name as \\040.
        place = Path(words[1].replace("\\040", " "))
        if folder.is_relative_to(place) and len(place.parts) >= depth:
            kind, depth = words[2], len(place.parts)
    return kind


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text()
    except OSError:
        return ""
