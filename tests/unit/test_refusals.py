"""What the machine says no with: named for what it is, with a way out; a bug stays a bug."""

import errno
from pathlib import Path

import pytest

from lifecycle.errors import HostNotReady
from lifecycle.refusals import explained, of_program


@pytest.mark.parametrize(
    ("number", "told", "way_out"),
    [
        (errno.ENOSPC, "the disk is full: /data/x", "Free some disk"),
        (errno.EDQUOT, "the disk is full: /data/x", "Free some disk"),
        (errno.EMFILE, "too many files are open", "ulimit -n 65535"),
        (errno.ENFILE, "too many files are open", "ulimit -n 65535"),
        (errno.EFBIG, "/data/x may not become larger", "ulimit -f unlimited"),
        (errno.EAGAIN, "nothing more can be started", "raise the limit"),
        (errno.ENOMEM, "not enough memory", "ulimit -v unlimited"),
        (errno.EIO, "the disk fails: /data/x", "dmesg"),
        (errno.ENAMETOOLONG, "/data/x cannot be used", "LIFECYCLE_HOME="),
        (errno.ELOOP, "/data/x cannot be used", "LIFECYCLE_HOME="),
        (errno.EACCES, "/data/x cannot be written", "Run as the owner"),
        (errno.EISDIR, "/data/x cannot be written", "Move away what is in its place"),
        (errno.ENOTDIR, "/data/x cannot be written", "Move away what is in its place"),
        (errno.ENOENT, "/data/x cannot be used", "Look at what is there"),
    ],
)
def test_a_refusal_is_named_for_what_it_is(number: int, told: str, way_out: str) -> None:
    failure = explained(OSError(number, "as the kernel says it", "/data/x"))
    assert isinstance(failure, HostNotReady)
    assert told in failure.what
    assert way_out in failure.fix


def test_a_full_disk_says_how_much_is_free(tmp_path: Path) -> None:
    failure = explained(OSError(errno.ENOSPC, "full", str(tmp_path / "absent" / "file")))
    assert failure is not None
    assert failure.why.endswith(f"MB are free in {tmp_path}")


def test_no_memory_for_ourselves_is_said() -> None:
    failure = explained(MemoryError())
    assert failure is not None
    assert "ulimit -v" in failure.why


@pytest.mark.parametrize("bug", [OSError("odd"), OSError(errno.EBADF, "a bug"), OSError()])
def test_what_no_machine_says_is_a_bug(bug: OSError) -> None:
    assert explained(bug) is None


# What programs print

ARGV = ("/usr/bin/python", "convert.py", "/data/models/small")


@pytest.mark.parametrize(
    ("line", "told", "way_out"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full", "Free some disk"),
        (
            "SafetensorError: serializing: I/O error: No space left on device (os error 28)",
            "the disk is full",
            "Free some disk",
        ),
        ("error: Failed to write (os error 122)", "the disk is full", "Free some disk"),
        ("  Caused by: Too many open files (os error 24)", "open too few files", "ulimit -n"),
        (
            "Error: The minimum number of file descriptors required to run this process is 1024",
            "open too few files",
            "ulimit -n 65535",
        ),
        ("OSError: [Errno 27] File too large", "as large as it must", "ulimit -f unlimited"),
        ("MemoryError", "too little memory", "ulimit -v"),
        ("memory allocation of 4096 bytes failed", "too little memory", "ulimit -v"),
        ("RuntimeError: can't start new thread", "could not start", "raise the limit"),
    ],
)
def test_a_refusal_is_named_and_its_line_shown(line: str, told: str, way_out: str) -> None:
    tail = ["Traceback (most recent call last):", '  File "x.py", line 1, in <module>', line, "bye"]
    failure = of_program("python convert.py", ARGV, tail)
    assert isinstance(failure, HostNotReady)
    assert told in failure.what
    assert line.strip() in failure.why
    assert "in: python convert.py" in failure.why
    assert "Traceback" not in failure.why
    assert way_out in failure.fix


def test_any_other_failure_is_the_programs_own() -> None:
    assert of_program("x", ARGV, ["ValueError: too big"]) is None
    assert of_program("x", ARGV, []) is None


def test_a_full_disk_is_the_one_with_the_least_room() -> None:
    failure = of_program("x", ARGV, ["No space left on device"])
    assert failure is not None
    assert "MB are free in /" in failure.why
