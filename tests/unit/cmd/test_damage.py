"""`inv seed-models --verify`: what it hashes, what it says, and what it has fetched again."""

from pathlib import Path
from typing import Any

import pytest
from invoke import Config, Context, Exit

from lifecycle import facts, tables
from lifecycle.cmd import choose
from lifecycle.cmd import seed as command
from lifecycle.errors import ModelUnavailable
from lifecycle.host import Host
from lifecycle.hub import client
from lifecycle.models import cache
from lifecycle.models.convert_gguf import MANIFEST
from lifecycle.models.source import Source
from tests.unit.given import Checkout
from tests.unit.models import folder as folders
from tests.unit.models.cache import COMMIT, REPO, link, seal

Captured = pytest.CaptureFixture[str]
PACKAGED = "smollm2-135m-instruct"


@pytest.fixture(autouse=True)
def here(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setattr(choose, "ROOT", checkout.root)
    monkeypatch.setattr(choose, "places", lambda: checkout.paths)
    monkeypatch.setattr(facts, "hardware", lambda _: Host())
    monkeypatch.setattr(client, "connect", lambda *_: pytest.fail("the hub was asked"))
    monkeypatch.setattr(client, "offline", lambda: True)
    monkeypatch.setenv("HF_HUB_CACHE", str(checkout.root / "nothing"))
    return checkout


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[Source]:
    """What is ordered of the hub."""
    ordered: list[Source] = []
    monkeypatch.setattr(command, "_from_hub", lambda source, *_, **__: ordered.append(source))
    return ordered


def seeded(checkout: Checkout) -> Path:
    """A model that is here; returns the blob of its weights."""
    repo = cache.repo_folder(cache.ours(checkout.paths), REPO)
    link(repo, "config.json", b"{}")
    blob = link(repo, "model.safetensors", b"weights")
    seal(repo)
    return blob


def verify(*, dry: bool = False, **options: Any) -> None:
    context = Context(Config(overrides={"run": {"dry": dry}}))
    command.seed_models(context, **{"gpu": "cpu", "model": REPO, "verify": True, **options})


def test_a_good_model_is_said_to_be_good(
    here: Checkout, fetched: list[Source], capsys: Captured
) -> None:
    seeded(here)
    verify()
    assert "all 2 files are what the hub listed" in capsys.readouterr().err
    assert fetched == []


def test_a_damaged_file_is_named_and_the_same_commit_fetched(
    here: Checkout, fetched: list[Source], capsys: Captured
) -> None:
    seeded(here).write_bytes(b"weirdos")
    verify()
    assert "model.safetensors is damaged" in capsys.readouterr().err
    assert fetched == [Source(REPO, (COMMIT,))]


def test_a_missing_file_is_fetched(here: Checkout, fetched: list[Source], capsys: Captured) -> None:
    seeded(here).unlink()
    verify()
    assert "model.safetensors is missing" in capsys.readouterr().err
    assert fetched == [Source(REPO, (COMMIT,))]


def test_a_dry_run_hashes_nothing(here: Checkout, fetched: list[Source], capsys: Captured) -> None:
    seeded(here).write_bytes(b"weirdos")
    verify(dry=True)
    assert "would hash 2 files" in capsys.readouterr().out
    assert fetched == []


def test_without_being_asked_only_what_was_touched_is_hashed(
    here: Checkout, fetched: list[Source], capsys: Captured
) -> None:
    seeded(here).touch()
    verify(verify=False)
    assert "is here already" in capsys.readouterr().err
    assert fetched == []


def test_what_was_changed_is_fetched_without_being_asked(
    here: Checkout, fetched: list[Source]
) -> None:
    seeded(here).write_bytes(b"weirdos")
    verify(verify=False)
    assert [one.repo for one in fetched] == [REPO]


def test_a_plain_folder_has_nothing_to_be_compared_with(here: Checkout, capsys: Captured) -> None:
    verify(model=str(folders.make(here.root / "mine")))
    assert "nothing to compare them with" in capsys.readouterr().err


def test_a_packaged_model_is_compared_with_its_manifest(here: Checkout, capsys: Captured) -> None:
    made_from = tables.serving.packaged_models()[PACKAGED].made_from
    place = folders.seal(folders.make(here.paths.models / PACKAGED), made_from)
    verify(model=PACKAGED)
    assert "every file is what was made" in capsys.readouterr().err
    (place / "model.safetensors").write_bytes(b"weirdos")
    with pytest.raises(Exit) as end:
        verify(model=PACKAGED)
    assert end.value.code == ModelUnavailable.exit_code
    assert "Make it anew out of its package: inv up" in capsys.readouterr().err
    assert not (place / MANIFEST).exists(), "up must not take it now"


def test_a_packaged_model_that_is_not_here_is_said(here: Checkout) -> None:
    assert here
    with pytest.raises(Exit) as end:
        verify(model=PACKAGED)
    assert end.value.code == ModelUnavailable.exit_code
