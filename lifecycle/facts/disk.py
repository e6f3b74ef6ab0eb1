"""The disk under a folder that may not exist yet."""

import os
import shutil
from pathlib import Path

from lifecycle.host import Disk


def look(folder: Path) -> Disk:
    """Free bytes, and whether we could write there."""
    try:
        existing = next((f for f in (folder, *folder.parents) if f.exists()), Path("/"))
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return Disk(folder, problem=str(error))
    if not existing.is_dir():
        return Disk(folder, free, problem=f"{existing} is a file, not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        return Disk(folder, free, problem=f"no permission to write in {existing}")
    return Disk(folder, free, writable=True)
