"""What a machine says no with, in words for a person: a full disk, a limit, a folder of others."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

from lifecycle.errors import HostNotReady, LifecycleError

GO_ON = "then run the same again: what was begun is taken up or redone."
ELSEWHERE = "Run as the owner of that folder, or set LIFECYCLE_HOME= in .env to a different one."


def explained(error: OSError | MemoryError) -> LifecycleError | None:
    """A failure with a way out; None for what no machine says by itself: a bug of ours."""
    if isinstance(error, MemoryError):
        return _memory()
    known = SAID.get(error.errno or 0)
    if known:
        return known(error)
    if error.errno and error.filename:
        return HostNotReady(
            f"{error.filename} cannot be used: {error.strerror}",
            fix=f"Look at what is there, and at the disk below it; {GO_ON}",
        )
    return None


def _full(error: OSError) -> HostNotReady:
    place = error.filename or "a file"
    return HostNotReady(
        f"the disk is full: {place} could not be written",
        why=_room(str(place)),
        fix=f"Free some disk, {GO_ON}",
    )


def _room(place: str) -> str:
    """How much is free where a file was to go; "" when nobody can tell."""
    try:
        folder = next(one for one in Path(place).absolute().parents if one.is_dir())
        free = shutil.disk_usage(folder).free
    except (OSError, StopIteration):
        return ""
    return f"{free / 1e6:.1f} MB are free in {folder}"


def _closed(error: OSError) -> HostNotReady:
    return HostNotReady(
        f"{error.filename or 'a file'} cannot be written: {error.strerror}", fix=ELSEWHERE
    )


def _no_path(error: OSError) -> HostNotReady:
    return HostNotReady(
        f"{error.filename or 'a path'} cannot be used: {error.strerror}",
        fix="Where it comes from LIFECYCLE_HOME= or MODELS_DIR=, name a different folder there.",
    )


def _many_files(error: OSError) -> HostNotReady:
    return HostNotReady(
        f"too many files are open: {error.strerror}",
        why="this shell, user or machine lets a program open no more (ulimit -n)",
        fix=f"Raise the limit: ulimit -n 65535; {GO_ON}",
    )


def _large_file(error: OSError) -> HostNotReady:
    return HostNotReady(
        f"{error.filename or 'a file'} may not become larger",
        why="this shell limits the size of files (ulimit -f), or the file system does (FAT: 4 GiB)",
        fix=f"Lift the limit: ulimit -f unlimited; {GO_ON}",
    )


def _many_processes(error: OSError) -> HostNotReady:
    return HostNotReady(
        f"nothing more can be started: {error.strerror}",
        why="this user or this container has as many processes as it may (ulimit -u, pids.max)",
        fix=f"End some, or raise the limit; {GO_ON}",
    )


def _memory(_: OSError | None = None) -> HostNotReady:
    return HostNotReady(
        "there is not enough memory for this command",
        why="the machine's RAM is used up, or this shell limits it (ulimit -v)",
        fix=f"End what uses it, or lift the limit: ulimit -v unlimited; {GO_ON}",
    )


def _failing(error: OSError) -> HostNotReady:
    return HostNotReady(
        f"the disk fails: {error.filename or 'a file'}: {error.strerror}",
        fix="Save what is on it. What the kernel says of it: sudo dmesg | tail",
    )


SAID: dict[int, Callable[[OSError], LifecycleError]] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _full),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR), _closed
    ),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.ELOOP), _no_path),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), _many_files),
    errno.EFBIG: _large_file,
    errno.EAGAIN: _many_processes,
    errno.ENOMEM: _memory,
    errno.EIO: _failing,
}
