"""What the machine says no with: named for what it is, with a way out; a bug stays a bug."""

import errno
from pathlib import Path

import pytest

from lifecycle.errors import HostNotReady
from lifecycle.refusals import explained


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
        (errno.EISDIR, "/data/x cannot be written", "LIFECYCLE_HOME="),
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
