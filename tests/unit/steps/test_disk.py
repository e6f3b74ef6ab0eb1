"""Room on a disk: there, too little, not usable, not needed."""

import pytest

from lifecycle.host import GIB, Disk, Host, Os, Windows
from lifecycle.steps import disk
from tests.unit.given import PATHS, host


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Disk(PATHS.home, 6 * GIB, writable=True), ""),
        (
            Disk(PATHS.home, GIB, writable=True),
            "the engine needs 6.0 GiB in /data, 1.0 GiB are free",
        ),
        (Disk(PATHS.home, 9 * GIB, problem="read-only"), "/data cannot be used: read-only"),
    ],
)
def test_room_is_judged_by_size_and_use(found: Disk, why: str) -> None:
    step = disk.room("home", 6 * GIB, "the engine")
    assert step.missing(host(disks={"home": found})) == why


def test_room_for_what_is_there_already_is_not_asked_for() -> None:
    step = disk.room("home", 6 * GIB, "the engine", unless=True)
    assert step.missing(host(disks={"home": Disk(PATHS.home, problem="read-only")})) == ""


@pytest.mark.parametrize(("where", "key"), [("home", "LIFECYCLE_HOME="), ("models", "MODELS_DIR=")])
def test_the_fix_names_the_key_of_that_folder(where: str, key: str) -> None:
    step = disk.room(where, 1, "it")
    assert key in step.fix
    assert step.actions == ()


def under_wsl(windows_gib: float, *, wsl: bool = True) -> Host:
    """700 GiB free by Linux' count, and so much on the drive of Windows' that holds it all."""
    return host(
        os=Os("linux", "x86_64", wsl=wsl),
        windows=Windows(reached=True, disk=int(windows_gib * GIB), drive="D:"),
        disks={"home": Disk(PATHS.home, 700 * GIB, writable=True)},
    )


def test_under_wsl_the_drive_of_windows_is_the_limit() -> None:
    step = disk.room("home", 25 * GIB, "the engine")
    full = under_wsl(3)
    assert step.missing(full) == (
        "the engine needs 25.0 GiB in /data, which lies on Windows' D:, 3.0 GiB are free"
    )
    assert step.found(full) == "3 GiB are free on Windows' D:"
    assert step.missing(under_wsl(30)) == ""


@pytest.mark.parametrize("on", [under_wsl(0), under_wsl(900), under_wsl(3, wsl=False)])
def test_a_drive_that_is_unknown_larger_or_not_there_is_no_limit(on: Host) -> None:
    step = disk.room("home", 25 * GIB, "the engine")
    assert (step.missing(on), step.found(on)) == ("", "700 GiB are free")
