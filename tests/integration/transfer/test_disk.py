"""Wrong bytes, on the way or on the disk, and a disk that takes no more."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.errors import HostNotReady, ModelUnavailable
from lifecycle.transfer import missing_bytes
from lifecycle.transfer.item import MIB
from tests.fake_hub import Fault
from tests.integration.transfer.shop import SIZE, WEIGHTS, Shop, interrupted


def test_wrong_bytes_are_set_aside_and_fetched_again(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", corrupt=12345, times=1))
    files = shop.fetch()
    aside = shop.place.blobs / f"{shop.weights.name}.corrupt"
    assert aside.stat().st_size == SIZE
    assert any("set aside" in event for event in files.events)


def test_bytes_that_stay_wrong_are_never_linked(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", corrupt=12345))
    with pytest.raises(ModelUnavailable, match="failed verification twice"):
        shop.fetch()
    assert shop.unpublished()
    assert not (shop.place.blobs / shop.weights.name).exists()
    assert shop.sent == 2 * SIZE


def test_a_small_file_is_checked_too(shop: Shop) -> None:
    shop.hub.fault(Fault(path="/api/resolve-cache/*/config.json", corrupt=3, times=1))
    shop.fetch()
    assert list(shop.place.blobs.glob("*.corrupt"))


def test_wrong_bytes_on_the_disk_are_found_in_the_end(shop: Shop) -> None:
    """What a disk or a person changed between two runs is like wrong bytes of a server."""
    interrupted(shop)
    with (shop.place.blobs / f"{shop.weights.name}.part").open("r+b") as stream:
        stream.seek(MIB)
        stream.write(b"weirdos")
    shop.fetch()
    assert (shop.place.blobs / f"{shop.weights.name}.corrupt").exists()


# The disk


@pytest.fixture
def small_disk(shop: Shop) -> Iterator[Path]:
    """A disk with room for half of it."""
    disk = shop.place.repo.parent
    disk.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE // 2}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_keeps_what_came(shop: Shop, small_disk: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no room") as failed:
        shop.fetch()
    assert "goes on where it stopped" in failed.value.fix
    assert shop.unpublished()
    kept = SIZE - missing_bytes(shop.items, shop.place)
    assert kept > SIZE // 2 - MIB
    larger = ["mount", "-o", f"remount,size={2 * SIZE}", str(small_disk)]
    subprocess.run(larger, check=True)
    shop.hub.log.clear()
    shop.fetch()
    assert shop.sent == SIZE - kept


def test_a_folder_that_cannot_be_written(shop: Shop) -> None:
    shop.place.repo.parent.mkdir(parents=True)
    shop.place.repo.write_text("in the way")
    with pytest.raises(HostNotReady, match="cannot write"):
        shop.fetch()
