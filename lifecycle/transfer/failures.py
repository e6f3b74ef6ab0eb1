"""What the disk says, in words for a person."""

import errno
from pathlib import Path

from lifecycle.errors import HostNotReady, LifecycleError, ModelUnavailable


def told(error: Exception, blobs: Path) -> Exception:
    """A failure with a way out; a bug stays as it is.

    Args:
        blobs: the folder that was written to.
    """
    if isinstance(error, LifecycleError) or not isinstance(error, OSError):
        return error
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return ModelUnavailable(
            f"there is no room left for {blobs.parent.name}", why=f"{error.strerror}: {blobs}",
            fix="Free some room, then run the same command again: it goes on where it stopped.",
        )  # fmt: skip
    return HostNotReady(
        f"cannot write to {blobs}", why=error.strerror or str(error),
        fix="Look at the disk and at who owns the folder, then run the same command again.",
    )  # fmt: skip
