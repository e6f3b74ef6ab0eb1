"""What a transfer knows of files: ranges, journals, incomplete files, the cache's layout."""

import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lifecycle.errors import ModelUnavailable
from lifecycle.files import CHECKING, FETCHING, HERE, Files
from lifecycle.transfer import Item, Patience, Place, missing_bytes, source
from lifecycle.transfer.cache import Cache
from lifecycle.transfer.item import MIB
from lifecycle.transfer.journal import Journal
from lifecycle.transfer.part import WINDOW, Claim, Closed, Part
from lifecycle.transfer.spans import Spans

COMMIT = "c0ffee" + "0" * 34
PIECE = 256 * 1024


def item(content: bytes, path: str = "model.safetensors") -> Item:
    return Item(path, len(content), f"sha256:{hashlib.sha256(content).hexdigest()}", "http://hub/x")


def git_item(content: bytes, path: str = "config.json") -> Item:
    name = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return Item(path, len(content), f"git:{name}", "http://hub/x")


def content(size: int) -> bytes:
    return os.urandom(1 << 16) * (size >> 16) + b"x" * (size & 0xFFFF)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "hub" / "models--org--name", COMMIT)
    made.blobs.mkdir(parents=True)
    return made


def fill(one: Part, data: bytes, claim: Claim | None) -> None:
    """Bring a claim's bytes as a connection does."""
    assert claim
    while claim.at < claim.end:
        one.write(claim, data[claim.at : min(claim.at + PIECE, claim.end)])
    one.drop(claim)


def kept(one: Part) -> threading.Thread:
    thread = threading.Thread(target=one.keep, daemon=True)
    thread.start()
    return thread


def cut_short(one: Part, keeper: threading.Thread) -> None:
    one.stop()
    keeper.join(10)
    one.close()


# Ranges


def test_ranges_that_touch_become_one() -> None:
    spans = Spans([(10, 20), (30, 40), (20, 30), (50, 60)])
    assert list(spans) == [(10, 40), (50, 60)]
    assert spans.total == 40


def test_a_range_within_another_adds_nothing() -> None:
    spans = Spans([(0, 100)])
    spans.add(10, 20)
    spans.add(30, 30)
    assert list(spans) == [(0, 100)]


def test_gaps_are_what_is_missing() -> None:
    assert list(Spans([(10, 20), (30, 40)]).gaps(50)) == [(0, 10), (20, 30), (40, 50)]
    assert list(Spans([(0, 50)]).gaps(50)) == []
    assert list(Spans().gaps(0)) == []


def test_the_prefix_ends_at_the_first_gap() -> None:
    assert Spans([(0, 7), (9, 12)]).prefix == 7
    assert Spans([(1, 7)]).prefix == 0


# Items


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", "a\\b", "a\0b"])
def test_a_list_of_files_cannot_lead_out_of_the_folder(path: str) -> None:
    with pytest.raises(ModelUnavailable, match="leads out"):
        Item(path, 1, "sha256:" + "0" * 64, "http://hub/x")


@pytest.mark.parametrize("digest", ["", "sha256:", "md5:" + "0" * 32, "sha256:" + "g" * 64])
def test_what_cannot_be_checked_is_not_fetched(digest: str) -> None:
    with pytest.raises(ModelUnavailable, match="cannot be checked"):
        Item("config.json", 1, digest, "http://hub/x")


@pytest.mark.parametrize(("commit", "revision"), [("main", "main"), (COMMIT, "../../x")])
def test_a_revision_cannot_lead_out_of_the_folder(commit: str, revision: str) -> None:
    with pytest.raises(ModelUnavailable, match="no revision"):
        Place(Path("/hub/models--org--name"), commit, revision)


def test_git_hashes_a_header_first() -> None:
    # printf 'hello\n' | git hash-object --stdin
    known = Item("x", 6, "git:ce013625030ba8dba906f756967f9e9ca394464a", "http://hub/x")
    hasher = known.hasher()
    hasher.update(b"hello\n")
    assert hasher.hexdigest() == known.name


def test_patience_doubles_up_to_a_ceiling() -> None:
    patience = Patience(first=1, longest=5)
    assert [patience.before(attempt) for attempt in (1, 2, 3, 4)] == [1, 2, 4, 5]


# Journals


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


# The cache


def cached(place: Place, data: dict[str, bytes], record: Callable[..., None] | None = None) -> None:
    cache = Cache(place)
    items = [item(one, path) for path, one in data.items()]
    for one in items:
        (place.blobs / one.name).write_bytes(data[one.path])
    files = Files.of((one.path, one.size) for one in items)
    assert cache.missing(items, files, record or (lambda: None)) == {}
    cache.publish(items)


def test_a_snapshot_has_relative_links_and_a_reference(place: Place) -> None:
    cached(place, {"config.json": b"{}", "sub/model.safetensors": b"weights"})
    link = place.snapshot / "sub" / "model.safetensors"
    assert link.readlink() == Path("../../../blobs") / item(b"weights").name
    assert link.read_bytes() == b"weights"
    assert place.reference.read_text() == COMMIT


def test_a_cache_can_be_moved(place: Place, tmp_path: Path) -> None:
    cached(place, {"config.json": b"{}"})
    moved = tmp_path / "elsewhere" / place.repo.name
    shutil.copytree(place.repo, moved, symlinks=True)
    assert (moved / "snapshots" / COMMIT / "config.json").read_text() == "{}"


def test_a_commit_needs_no_reference(tmp_path: Path) -> None:
    by_commit = Place(tmp_path / "models--org--name", COMMIT, COMMIT)
    by_commit.blobs.mkdir(parents=True)
    cached(by_commit, {"config.json": b"{}"})
    assert not (by_commit.repo / "refs").exists()
    assert (by_commit.snapshot / "config.json").read_bytes() == b"{}"


def test_what_others_put_there_is_hashed_once(place: Place) -> None:
    shown: list[str] = []
    cached(place, {"model.safetensors": b"weights"}, lambda: shown.append("a look"))
    assert shown
    shown.clear()
    cache = Cache(place)
    wanted = [item(b"weights")]
    files = Files.of([("model.safetensors", 7)])
    assert cache.missing(wanted, files, lambda: shown.append("a look")) == {}
    assert not shown
    assert files.files["model.safetensors"].state == HERE


def test_wrong_bytes_of_others_are_set_aside(place: Place) -> None:
    wanted = item(b"weights")
    (place.blobs / wanted.name).write_bytes(b"weirdos")
    files = Files.of([(wanted.path, wanted.size)])
    assert Cache(place).missing([wanted], files, lambda: None) == {wanted.name: [wanted]}
    assert (place.blobs / f"{wanted.name}.corrupt").read_bytes() == b"weirdos"
    assert not (place.blobs / wanted.name).exists()
    assert "set aside" in files.events[0]


def test_wrong_bytes_are_not_kept_where_two_of_them_have_no_room(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = item(b"weights")
    (place.blobs / wanted.name).write_bytes(b"weirdos")
    full = SimpleNamespace(free=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    Cache(place).missing([wanted], Files.of([(wanted.path, wanted.size)]), lambda: None)
    assert list(place.blobs.iterdir()) == []


def test_a_file_that_changed_later_is_looked_at_again(place: Place) -> None:
    cached(place, {"model.safetensors": b"weights"})
    wanted = item(b"weights")
    blob = place.blobs / wanted.name
    blob.write_bytes(b"weirdos")
    os.utime(blob, ns=(1, 1))
    files = Files.of([(wanted.path, wanted.size)])
    assert Cache(place).missing([wanted], files, lambda: None) == {wanted.name: [wanted]}


@pytest.mark.parametrize("text", ["", "[]", "[3]", "{", '{"blobs/x": 3}'])
def test_a_broken_record_costs_a_second_look_only(place: Place, text: str) -> None:
    cached(place, {"config.json": b"{}"})
    (place.repo / ".verified.json").write_text(text)
    shown: list[str] = []
    cached(place, {"config.json": b"{}"}, lambda: shown.append("a look"))
    assert shown


def test_without_links_the_snapshot_holds_the_files(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refused)
    both = {"one.bin": b"weights", "two.bin": b"weights"}
    cached(place, both)
    for name in both:
        assert not (place.snapshot / name).is_symlink()
        assert (place.snapshot / name).read_bytes() == b"weights"
    assert list(place.blobs.iterdir()) == []
    items = [item(b"weights", name) for name in both]
    assert missing_bytes(items, place) == 0
    Cache(place).publish(items)
    assert (place.snapshot / "two.bin").read_bytes() == b"weights"


def test_one_content_under_two_names_is_wanted_once(place: Place) -> None:
    items = [item(b"weights", "one.bin"), item(b"weights", "two.bin")]
    files = Files.of((one.path, one.size) for one in items)
    assert missing_bytes(items, place) == 7
    assert Cache(place).missing(items, files, lambda: None) == {items[0].name: items}


# What servers say


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"RateLimit": '"resolvers";r=0;t=55'}, 55),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert source._told(headers) == seconds


def test_a_weak_etag_says_nothing_about_bytes() -> None:
    assert source._strong('W/"abc"') == ""
    assert source._strong('"abc"') == '"abc"'


# How far it is


def test_speed_and_time_left() -> None:
    files = Files.of([("a", 100), ("b", 300)])
    for second in range(4):
        files.fetched = files.files["b"].done = second * 50
        files.take(float(second))
    assert files.speed(3.0) == 50
    assert files.left(3.0) == (400 - 150) / 50
    assert files.speed(60.0) == 0
    assert files.left(60.0) is None


def test_what_was_there_before_is_no_speed() -> None:
    files = Files.of([("a", 1000)])
    files.files["a"].done = 900
    files.take(0.0)
    files.fetched, files.files["a"].done = 10, 910
    files.take(1.0)
    assert files.speed(1.0) == 10
    assert files.left(1.0) == 9


def test_a_file_that_is_looked_at_is_not_counted_as_here() -> None:
    files = Files.of([("a", 100), ("b", 100)])
    files.files["a"].done, files.files["a"].state = 60, CHECKING
    files.files["b"].done, files.files["b"].state = 40, FETCHING
    assert (files.done, files.total, files.here) == (40, 200, 0)
