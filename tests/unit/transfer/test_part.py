"""A file that is not complete yet, and the journal of what is here of it."""

import os
import threading
from pathlib import Path

import pytest

from lifecycle.transfer import Place, missing_bytes
from lifecycle.transfer.item import MIB
from lifecycle.transfer.journal import Journal
from lifecycle.transfer.part import WINDOW, Claim, Closed, Part
from lifecycle.transfer.spans import Spans
from tests.unit.transfer.given import PIECE, content, cut_short, fill, git_item, item, kept


def test_a_line_that_was_cut_off_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "x.journal"
    file.write_text('etag "abc"\n0 100\n200 300\n300 4')
    assert Journal(file, 1000).read()[0] == '"abc"'
    assert list(Journal(file, 1000).read()[1]) == [(0, 100), (200, 300)]


def test_what_no_journal_says_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "x.journal"
    file.write_bytes(b"0 100\n\0\0\0\0\n100 99999\n\xff\xfe 1\n50 -1\n")
    assert list(Journal(file, 1000).read()[1]) == [(0, 100)]


def test_a_journal_is_added_to_after_it_was_begun_again(tmp_path: Path) -> None:
    file = tmp_path / "x.journal"
    file.write_text("0 100\n100 2")
    journal = Journal(file, 1000)
    etag, known = journal.read()
    journal.begin(etag, known)
    journal.add(Spans([(100, 200)]))
    journal.close()
    assert list(Journal(file, 1000).read()[1]) == [(0, 200)]


# Incomplete files


def test_connections_share_a_file(place: Place) -> None:
    data = content(10 * MIB)
    one = Part(place.blobs, item(data))
    first, second, third = (one.claim(4 * MIB) for _ in range(3))
    assert [(c.at, c.end) for c in (first, second, third) if c] == [
        (0, 4 * MIB), (4 * MIB, 8 * MIB), (8 * MIB, 10 * MIB),
    ]  # fmt: skip
    assert one.claim(4 * MIB) is None
    keeper = kept(one)
    for claim in (third, first, second):
        fill(one, data, claim)
    keeper.join(10)
    assert one.verified
    one.close()


def test_what_a_broken_connection_leaves_is_free_again(place: Place) -> None:
    data = content(8 * MIB)
    one = Part(place.blobs, item(data))
    claim = one.claim(8 * MIB)
    assert claim
    one.write(claim, data[:MIB])
    one.drop(claim)
    again = one.claim(8 * MIB)
    assert again
    assert (again.at, again.end) == (MIB, 8 * MIB)
    one.close()


def test_another_process_goes_on_where_the_journal_ends(place: Place) -> None:
    data = content(24 * MIB)
    one = Part(place.blobs, item(data))
    keeper = kept(one)
    claim = one.claim(24 * MIB)
    assert claim
    while claim.at < 20 * MIB:
        one.write(claim, data[claim.at : claim.at + PIECE])
    cut_short(one, keeper)

    two = Part(place.blobs, item(data))
    assert two.done == 20 * MIB
    assert missing_bytes([item(data)], place) == 4 * MIB
    keeper = kept(two)
    fill(two, data, two.claim(24 * MIB))
    keeper.join(10)
    assert two.verified
    two.close()


def test_no_more_is_written_ahead_of_the_journal_than_may_be_lost(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that does not sync stops the writers; without that a power cut costs everything."""
    data = content(32 * MIB)
    slow = threading.Event()
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda handle: slow.wait(10) and real(handle))
    one = Part(place.blobs, item(data))
    keeper = kept(one)
    writer = threading.Thread(target=fill, args=(one, data, one.claim(32 * MIB)), daemon=True)
    writer.start()
    writer.join(1)
    assert writer.is_alive()
    assert WINDOW - PIECE < one.done <= WINDOW
    slow.set()
    writer.join(10)
    keeper.join(10)
    assert one.verified
    one.close()


def test_the_journal_names_only_what_was_synced_before(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = content(24 * MIB)
    one = Part(place.blobs, item(data))
    synced, noted = Spans(), []
    real_sync, real_note = os.fdatasync, Journal._write

    def sync(handle: int) -> None:
        written = Spans(one._kept.written)
        real_sync(handle)
        if handle == one._handle:
            for span in written:
                synced.add(*span)

    def note(self: Journal, text: str) -> None:
        for line in text.splitlines():
            if not line.startswith("etag"):
                start, end = map(int, line.split())
                noted.append(next(Spans(synced).gaps(end), (end, end))[0] >= end or start)
                assert any(a <= start and end <= b for a, b in synced), (line, list(synced))
        real_note(self, text)

    monkeypatch.setattr(os, "fdatasync", sync)
    monkeypatch.setattr(Journal, "_write", note)
    keeper = kept(one)
    for claim in (one.claim(8 * MIB), one.claim(8 * MIB), one.claim(8 * MIB)):
        fill(one, data, claim)
    keeper.join(10)
    assert one.failure is None
    assert noted
    one.close()


def test_a_disk_that_fails_to_sync_ends_the_work(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    data = content(8 * MIB)
    one = Part(place.blobs, item(data))
    monkeypatch.setattr(os, "fdatasync", broken)
    keeper = kept(one)
    fill(one, data, one.claim(4 * MIB))
    keeper.join(10)
    with pytest.raises(Closed):
        one.write(Claim(0, 1), b"x")
    assert isinstance(one.failure, OSError)
    assert not one.complete
    one.close()


def test_another_etag_begins_anew_but_only_once(place: Place) -> None:
    data = content(2 * MIB)
    one = Part(place.blobs, item(data))
    claim = one.claim(MIB)
    assert claim
    assert one.seen(claim, '"one"')
    one.write(claim, data[:MIB])
    assert one.seen(claim, "")
    assert not one.seen(claim, '"two"')
    assert one.done == 0
    with pytest.raises(Closed):
        one.write(claim, b"late")
    again = one.claim(MIB)
    assert again
    assert one.seen(again, '"three"')
    one.close()


def test_a_complete_file_is_not_begun_anew(place: Place) -> None:
    data = content(2 * MIB)
    one = Part(place.blobs, item(data))
    keeper = kept(one)
    first = one.claim(2 * MIB)
    assert first
    assert one.seen(first, '"one"')
    fill(one, data, first)
    keeper.join(10)
    with pytest.raises(Closed):
        one.seen(first, '"two"')
    with pytest.raises(Closed):
        one.renew()
    assert one.verified
    one.close()


def test_the_etag_is_known_to_the_next_process(place: Place) -> None:
    data = content(16 * MIB)
    one = Part(place.blobs, item(data))
    keeper = kept(one)
    claim = one.claim(8 * MIB)
    assert claim
    assert one.seen(claim, '"one"')
    fill(one, data, claim)
    cut_short(one, keeper)
    two = Part(place.blobs, item(data))
    assert two.done == 8 * MIB
    claim = two.claim(MIB)
    assert claim
    assert not two.seen(claim, '"two"')
    assert two.done == 0
    two.close()


def test_a_file_sent_whole_has_one_writer(place: Place) -> None:
    data = content(6 * MIB)
    one = Part(place.blobs, item(data))
    first, second = one.claim(2 * MIB), one.claim(2 * MIB)
    assert first
    assert second
    one.write(first, data[:MIB])
    assert one.send_whole(second)
    assert (second.at, second.end) == (MIB, 6 * MIB)
    assert not one.send_whole(first)
    with pytest.raises(Closed):
        one.write(first, b"late")
    assert one.claim(2 * MIB) is None
    one.close()


def test_a_file_without_its_data_is_not_believed(place: Place) -> None:
    data = content(8 * MIB)
    wanted = item(data)
    (place.blobs / f"{wanted.name}.part").write_bytes(data[:MIB])
    (place.blobs / f"{wanted.name}.part.journal").write_text(f"0 {MIB}\n{MIB} {4 * MIB}\n")
    one = Part(place.blobs, wanted)
    assert one.done == MIB
    one.close()


def test_an_empty_file_needs_no_bytes(place: Place) -> None:
    one = Part(place.blobs, git_item(b"", "empty"))
    assert one.claim(MIB) is None
    kept(one).join(10)
    assert one.verified
    one.close()
