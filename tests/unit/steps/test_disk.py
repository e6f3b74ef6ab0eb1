"""Room on a disk: there, too little, not usable, not needed."""

import pytest

from lifecycle.host import GIB, Disk
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
