"""What servers say instead of a file, and who gets the token."""

import time

import pytest

from lifecycle.errors import HostNotReady
from lifecycle.transfer import Refused, fetch
from lifecycle.transfer.item import MIB
from tests.fake_hub import Fault, Token
from tests.integration.transfer.shop import AT_ONCE, SIZE, WEIGHTS, Shop


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "GatedRepo"), (403, "GatedRepo"), (404, "EntryNotFound"), (451, "")],
)
def test_a_refusal_is_told_as_it_came(shop: Shop, status: int, code: str) -> None:
    shop.hub.tokens["hf_distinctive"] = Token()
    shop.hub.fault(
        Fault(path=f"*/resolve/{WEIGHTS}", where="hub", status=status, code=code, message="No.")
    )
    with pytest.raises(Refused) as refused:
        shop.fetch(token="hf_distinctive")
    assert (refused.value.status, refused.value.code, refused.value.said) == (status, code, "No.")
    assert "hf_distinctive" not in f"{refused.value.what}{refused.value.why}{refused.value.fix}"
    assert shop.unpublished()


def test_a_refusal_in_the_middle_keeps_what_came(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", cut_after=10 * MIB, times=1))
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", status=403))
    shop.hub.fault(Fault(path=f"*/resolve/{WEIGHTS}", where="hub", status=401, after=1))
    with pytest.raises(Refused):
        shop.fetch()
    shop.hub.faults.clear()
    shop.hub.log.clear()
    shop.fetch()
    assert shop.sent == SIZE - 10 * MIB


@pytest.mark.usefixtures("short_ranges")
def test_a_signed_address_that_expires_is_asked_anew(shop: Shop) -> None:
    shop.hub.url_seconds = 0.5
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=4 * MIB))
    shop.fetch()
    assert 403 in {seen.status for seen in shop.hub.log.of("cdn")}
    assert shop.sent <= SIZE + 10_000


def test_a_store_that_always_refuses_is_no_refusal_of_the_hub(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", status=403))
    with pytest.raises(HostNotReady) as failed:
        shop.fetch()
    assert "403" in failed.value.why
    assert "Signature" not in f"{failed.value.what}{failed.value.why}{failed.value.fix}"


def test_too_many_requests_waits_as_told_and_says_so(shop: Shop) -> None:
    shop.hub.fault(
        Fault(path=f"*/resolve/{WEIGHTS}", where="hub", status=429, retry_after=2, times=1)
    )
    before = time.monotonic()
    files = shop.fetch()
    assert time.monotonic() - before >= 2
    assert any("429" in event and "2 s" in event for event in files.events)


def test_a_wait_of_hours_is_told_and_not_waited(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", status=429, retry_after=7200))
    with pytest.raises(HostNotReady, match="429") as failed:
        shop.fetch()
    assert "120 minutes" in failed.value.why


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_errors_that_pass(shop: Shop, status: int) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, status=status, times=3))
    shop.fetch()


def test_errors_that_stay_are_told_in_the_end(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", status=503))
    before = time.monotonic()
    with pytest.raises(HostNotReady, match="could not download") as failed:
        shop.fetch()
    assert "503" in failed.value.why
    assert time.monotonic() - before < 5


def test_nobody_listens(shop: Shop) -> None:
    items, place = shop.items, shop.place
    shop.hub.stop()
    with pytest.raises(HostNotReady) as failed:
        fetch(items, place, patience=AT_ONCE)
    assert "refused" in failed.value.why.lower()


@pytest.mark.usefixtures("short_ranges")
def test_the_token_goes_to_the_hub_and_nowhere_else(shop: Shop) -> None:
    shop.hub.tokens["hf_distinctive"] = Token()
    shop.fetch(token="hf_distinctive")
    assert all(seen.authorized for seen in shop.hub.log.of("hub"))
    assert not any(seen.authorized for seen in shop.hub.log.of("cdn"))
    assert b"hf_distinctive" not in b"".join(
        file.read_bytes() for file in shop.place.repo.rglob("*") if file.is_file()
    )


def test_a_password_of_netrc_does_not_replace_the_token(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = shop.folder / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    shop.hub.tokens["hf_distinctive"] = Token()
    shop.fetch(token="hf_distinctive")
    assert not any(seen.authorized for seen in shop.hub.log.of("cdn"))
