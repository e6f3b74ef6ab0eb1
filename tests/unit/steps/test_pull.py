"""Room for an image, and whether it is here."""

import dataclasses

import pytest

from lifecycle import tables
from lifecycle.host import GIB, Docker, Host, Os, Windows
from lifecycle.step import PullImage
from lifecycle.steps import pull
from tests.unit.given import host, missing

ROW = dataclasses.replace(tables.serving.images("cuda")[0], disk_gib=25.0)
WANTED = ROW.reference


def on(free: float, *images: str) -> Host:
    seen = Docker("26.1", "2.26", images=frozenset(images), folder="/var/lib/docker")
    return host(docker=dataclasses.replace(seen, free=int(free * GIB)))


def test_a_full_disk_is_told_before_anything_is_fetched() -> None:
    room, image = pull.steps(WANTED, ROW.disk_gib)
    assert room.missing(on(24)) == (f"{WANTED} needs 25 GiB in /var/lib/docker, 24.0 GiB are free")
    assert (room.actions, "docker system df" in room.fix) == ((), True)
    assert image.actions == (PullImage(WANTED),)


@pytest.mark.parametrize(
    "machine",
    [on(25), on(1, WANTED), on(0)],
    ids=["room enough", "here already", "a disk we cannot see"],
)
def test_there_is_room(machine: Host) -> None:
    room = pull.steps(WANTED, ROW.disk_gib)[0]
    assert room.missing(machine) == ""


def test_of_somebodys_own_image_no_size_is_known() -> None:
    assert list(missing(pull.steps("mine:1"), on(1))) == ["image.present"]


def test_one_that_does_as_well_is_enough() -> None:
    wanted = f"a/b:2@sha256:{'a' * 64}"
    (image,) = pull.steps(wanted, instead=["a/b:1", "a/b:0"])
    assert image.missing(on(1)) == "a/b:2 is not on this machine"
    assert image.actions == (PullImage(wanted, ("a/b:1", "a/b:0")),)
    for here, found in ((f"a/b@sha256:{'a' * 64}", "a/b:2"), ("a/b:0", "a/b:0")):
        assert (image.missing(on(1, here)), image.found(on(1, here))) == ("", found)
    assert image.missing(on(1, f"a/b@sha256:{'b' * 64}"))


def test_the_room_for_an_image_is_that_of_windows_drive_too() -> None:
    wide = dataclasses.replace(
        on(400),
        os=Os("linux", "x86_64", wsl=True),
        windows=Windows(reached=True, disk=8 * GIB, drive="C:"),
    )
    room = pull.steps(WANTED, ROW.disk_gib)[0]
    assert room.missing(wide) == (
        f"{WANTED} needs 25 GiB in /var/lib/docker, which lies on Windows' C:, 8.0 GiB are free"
    )
    assert room.found(wide) == "8 GiB are free on Windows' C:"
