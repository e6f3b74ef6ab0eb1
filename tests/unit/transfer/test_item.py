"""What is asked for: ranges, paths, digests, patience."""

from pathlib import Path

import pytest

from lifecycle.errors import ModelUnavailable
from lifecycle.transfer import Item, Patience, Place
from lifecycle.transfer.spans import Spans
from tests.unit.transfer.given import COMMIT


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
