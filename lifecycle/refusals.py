"""What a machine says no with, in words for a person: a full disk, a limit, a folder of others."""

import errno
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from lifecycle.errors import HostNotReady, LifecycleError

GO_ON = "then run the same command again: what was begun is taken up or redone."
ELSEWHERE = "Run as the owner of that folder, or set LIFECYCLE_HOME= in .env to a different one."
MOVE_AWAY = "Move away what is in its place, or set LIFECYCLE_HOME= in .env to a different folder."


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


def of_program(shown: str, argv: Sequence[str], tail: Sequence[str]) -> LifecycleError | None:
    """The same, read off the last lines of a program that failed; None when they say no such thing.

    Args:
        shown: its command line, as it may be printed.
        argv: the same; the paths in it say which disk it wrote to.
        tail: the end of what it printed.
    """
    for line in reversed(tail):
        number = next((one for one, words in WORDS.items() if re.search(words, line)), 0)
        if number:
            failure = SAID[number](OSError(number, line.strip()))
            why = [line.strip(), f"in: {shown}"]
            why += [_least_room(argv)] if number == errno.ENOSPC else failure.why.splitlines()
            return HostNotReady(HEADS[number], why="\n".join(why), fix=failure.fix)
    return None


def _least_room(argv: Sequence[str]) -> str:
    """The disk that has least left, of those the arguments of a program are on."""
    rooms = filter(None, (_room(word) for word in argv if word.startswith("/")))
    return min(rooms, key=_megabytes, default="")


def _megabytes(room: str) -> float:
    return float(room.split(maxsplit=1)[0]) if room else float("inf")


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


def _in_the_way(error: OSError) -> HostNotReady:
    """A folder where a file must be, or a file where a folder must be: no owner could write it."""
    return HostNotReady(
        f"{error.filename or 'a file'} cannot be written: {error.strerror}", fix=MOVE_AWAY
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
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _closed),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST, errno.EISDIR), _in_the_way),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.ELOOP), _no_path),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), _many_files),
    errno.EFBIG: _large_file,
    errno.EAGAIN: _many_processes,
    errno.ENOMEM: _memory,
    errno.EIO: _failing,
}

WORDS = {
    errno.ENOSPC: r"No space left on device|Disk quota exceeded|\(os error (28|122)\)",
    errno.EMFILE: r"Too many open files|\(os error 24\)|minimum number of file descriptors",
    errno.EFBIG: r"File too large|File size limit exceeded|\(os error 27\)",
    errno.ENOMEM: r"[Cc]an(not|'t) allocate memory|^MemoryError|std::bad_alloc|\(os error 12\)"
    r"|memory allocation of \d+ bytes failed",
    errno.EAGAIN: r"can't start new thread|Resource temporarily unavailable|\(os error 11\)",
}
"""How programs of C, Python and Rust say the same."""
HEADS = {
    errno.ENOSPC: "the disk is full: a program could not go on",
    errno.EMFILE: "a program may open too few files",
    errno.EFBIG: "a program may not write files as large as it must",
    errno.ENOMEM: "a program had too little memory",
    errno.EAGAIN: "a program could not start what it needs",
}
