"""Connections that break, lie, fall silent or know no ranges."""

import time

import pytest

from lifecycle.errors import HostNotReady
from lifecycle.transfer import missing_bytes
from lifecycle.transfer.item import MIB
from tests.fake_hub import Fault
from tests.integration.transfer.shop import SIZE, WEIGHTS, Shop


@pytest.mark.parametrize("after", [0, 1, 5 * MIB + 3])
def test_a_connection_that_is_cut_goes_on_where_it_was(shop: Shop, after: int) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", cut_after=after, times=3))
    shop.fetch()
    assert shop.sent <= SIZE + 3 * 256 * 1024


def test_a_connection_that_is_cut_again_and_again(shop: Shop) -> None:
    """More often than patience has tries: what moves on is not given up."""
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", cut_after=2 * MIB, times=10))
    shop.fetch()


@pytest.mark.parametrize("lie", [-MIB, -1, 1, MIB])
def test_a_length_that_lies(shop: Shop, lie: int) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", lie=lie, times=2))
    shop.fetch()


def test_a_length_that_is_always_too_long(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", lie=MIB))
    shop.fetch()


def test_a_length_that_is_always_too_short(shop: Shop) -> None:
    """The last byte can then not be had."""
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", lie=-1))
    with pytest.raises(HostNotReady, match="could not download"):
        shop.fetch()
    assert missing_bytes(shop.items, shop.place) == 1


def test_no_length_at_all(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", no_length=True))
    shop.fetch()


def test_a_server_that_falls_silent(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", stall_after=3 * MIB, stall=20, times=1))
    before = time.monotonic()
    shop.fetch()
    assert time.monotonic() - before < 10


@pytest.mark.usefixtures("short_ranges")
def test_ranges_are_ignored(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", no_range=True))
    shop.fetch()


@pytest.mark.usefixtures("short_ranges")
def test_ranges_are_ignored_and_the_connection_is_cut(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", no_range=True, cut_after=7 * MIB, times=6))
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", no_range=True))
    shop.fetch()


@pytest.mark.usefixtures("short_ranges")
@pytest.mark.parametrize("times", [1, 3])
def test_a_range_that_is_refused(shop: Shop, times: int) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", status=416, after=2, times=times))
    shop.fetch()


@pytest.mark.usefixtures("short_ranges")
def test_no_range_is_ever_good_enough(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a range gets 416; the whole file is there."""
    from tests.fake_hub.cdn import CdnRequest

    real = CdnRequest.answer

    def answer(self: CdnRequest) -> None:
        if self.headers.get("Range"):
            self._deny(416, b"InvalidRange")
        else:
            real(self)

    monkeypatch.setattr(CdnRequest, "answer", answer)
    shop.fetch()
