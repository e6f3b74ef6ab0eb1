"""What is there in the end, and how little was asked for it."""

import time
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download, try_to_load_from_cache

from lifecycle.transfer import crew, missing_bytes
from lifecycle.transfer.item import MIB
from tests.fake_hub import Fault
from tests.integration.transfer.shop import REPO, SIZE, WEIGHTS, Shop


def test_the_library_finds_everything_without_a_network(shop: Shop) -> None:
    shop.fetch()
    cache = shop.place.repo.parent
    found = snapshot_download(REPO, cache_dir=cache, local_files_only=True)
    assert Path(found) == shop.place.snapshot
    for item in shop.items:
        one = try_to_load_from_cache(REPO, item.path, cache_dir=cache)
        assert isinstance(one, str)
        assert Path(one).read_bytes() == shop.original(item)


def test_the_library_has_nothing_left_to_fetch(shop: Shop) -> None:
    shop.fetch()
    shop.hub.log.clear()
    snapshot_download(REPO, cache_dir=shop.place.repo.parent, endpoint=shop.hub.url)
    assert {seen.path.split("/")[1] for seen in shop.hub.log.all()} == {"api"}


def test_what_the_library_fetched_is_only_checked(shop: Shop) -> None:
    snapshot_download(REPO, cache_dir=shop.place.repo.parent, endpoint=shop.hub.url)
    shop.hub.log.clear()
    assert missing_bytes(shop.items, shop.place) == 0
    shop.fetch()
    assert len(shop.hub.log) == 0


def test_a_second_run_asks_nobody(shop: Shop) -> None:
    shop.fetch()
    shop.hub.log.clear()
    shop.fetch()
    assert len(shop.hub.log) == 0


@pytest.mark.usefixtures("short_ranges")
def test_several_connections_bring_one_file(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=4 * MIB))
    before = time.monotonic()
    shop.fetch()
    assert time.monotonic() - before < SIZE / (4 * MIB) / 2
    assert shop.sent == SIZE


@pytest.mark.usefixtures("short_ranges")
def test_the_hub_is_asked_once_a_file_not_once_a_range(shop: Shop) -> None:
    shop.fetch()
    asked = [seen for seen in shop.hub.log.of("hub") if seen.path.endswith(".safetensors")]
    assert len(asked) <= crew.A_FILE
    assert len(shop.hub.log.of("cdn")) == SIZE / (4 * MIB)
