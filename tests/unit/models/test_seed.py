"""What is fetched of a repo and where it goes; nobody is asked for what is here already."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle import transfer
from lifecycle.errors import HostNotReady, LifecycleError, ModelUnavailable
from lifecycle.hub.refusals import Refusal
from lifecycle.hub.repo import File, Repo
from lifecycle.models import cache, seed
from lifecycle.paths import Paths
from tests.unit.models.cache import COMMIT, REPO, link
from tests.unit.models.cache import seal as write_seal

INDEX = "model.safetensors.index.json"
SHARDS = ("model-1.safetensors", "model-2.safetensors")
GIT, SHA = f"git:{'1' * 40}", f"sha256:{'2' * 64}"
FILES = (
    File("config.json", 2, GIT), File(INDEX, 90, f"git:{'5' * 40}"),
    File("model-0.safetensors", 7, SHA),
    *(File(name, 1000, f"sha256:{number * 64}") for name, number in zip(SHARDS, "34", strict=True)),
)  # fmt: skip


class Hub:
    """Answers from memory, and notes what it was asked."""

    def __init__(self, gated: str = "", name: str = REPO, files: tuple[File, ...] = FILES) -> None:
        self.repo = Repo(name, COMMIT, gated, files)
        self.asked: list[str] = []
        self.authorization: dict[str, str] = {}

    def info(self, *_: object) -> Repo:
        self.asked.append("info")
        return self.repo

    def access(self, repo: str) -> None:
        self.asked.append(f"access {repo}")

    def config(self, _: str, __: str, path: str) -> dict[str, Any]:
        self.asked.append(path)
        return {"weight_map": dict(enumerate(SHARDS))}

    def url(self, repo: str, sha: str, path: str) -> str:
        return f"https://hub/{repo}/resolve/{sha}/{path}"

    def explain(self, refusal: Refusal, repo: str, revision: str) -> LifecycleError:
        return ModelUnavailable(f"{refusal.status} {repo} {revision}")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(root=tmp_path, home=tmp_path, models=tmp_path / "models")


def folder(paths: Paths, name: str = REPO) -> Path:
    return cache.repo_folder(cache.ours(paths), name)


def order(hub: Hub, paths: Paths, name: str = REPO) -> seed.Order:
    return seed.order(hub, name, "main", paths)  # type: ignore[arg-type]


def here(paths: Paths) -> None:
    """All of it is here and sealed."""
    link(folder(paths), "config.json", b"{}")
    link(folder(paths), INDEX, json.dumps({"weight_map": dict(enumerate(SHARDS))}).encode())
    for name in SHARDS:
        link(folder(paths), name, name.encode())
    write_seal(folder(paths))


def test_only_what_the_index_names_is_ordered_with_its_digests(paths: Paths) -> None:
    found = order(Hub(), paths)
    assert [item.path for item in found.items] == ["config.json", INDEX, *SHARDS]
    assert found.items[-1].name == "4" * 64
    assert found.items[-1].url == f"https://hub/{REPO}/resolve/{COMMIT}/{SHARDS[1]}"
    assert found.missing == found.selection.size == 2092
    assert not found.complete


def test_a_renamed_repo_lies_under_the_name_that_was_asked_for(paths: Paths) -> None:
    found = order(Hub(name="acme/renamed"), paths)
    assert found.place.repo == folder(paths)
    assert "acme/renamed" in found.items[0].url


def test_a_gated_repo_is_asked_for_its_files_before_they_come(paths: Paths) -> None:
    hub = Hub(gated="manual")
    order(hub, paths)
    assert hub.asked == ["info", f"access {REPO}", INDEX]


def test_of_a_model_that_is_here_one_thing_is_asked(paths: Paths) -> None:
    here(paths)
    hub = Hub(gated="manual")
    assert order(hub, paths).complete
    assert hub.asked == ["info"]


def test_a_commit_that_is_here_is_not_asked_for(paths: Paths) -> None:
    here(paths)
    hub = Hub()
    place = seed.bring(hub, (REPO, COMMIT, "model"), paths, print, print)  # type: ignore[arg-type]
    assert place == folder(paths) / "snapshots" / COMMIT
    assert hub.asked == []
    assert seed.here(paths, REPO, "main") is None


@pytest.fixture
def theirs(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of Hugging Face's own tools, with one shard whole and one cut off."""
    monkeypatch.setenv("HF_HUB_CACHE", str(paths.root / "theirs"))
    blobs = cache.repo_folder(paths.root / "theirs", REPO) / "blobs"
    blobs.mkdir(parents=True)
    (blobs / ("3" * 64)).write_bytes(bytes(1000))
    (blobs / ("4" * 64)).write_bytes(bytes(999))
    return blobs


def test_what_others_fetched_is_taken_over_without_a_second_copy(
    paths: Paths, theirs: Path
) -> None:
    wanted = order(Hub(), paths)
    seed.adopt(wanted, paths)
    (taken,) = wanted.place.blobs.iterdir()
    assert taken.samefile(theirs / ("3" * 64))
    assert wanted.missing == 1092


def test_a_link_into_a_store_of_theirs_is_followed(paths: Paths, theirs: Path) -> None:
    store = theirs.parent / "store"
    (theirs / ("3" * 64)).rename(store)
    (theirs / ("3" * 64)).symlink_to(store)
    wanted = order(Hub(), paths)
    seed.adopt(wanted, paths)
    (taken,) = wanted.place.blobs.iterdir()
    assert not taken.is_symlink()
    assert taken.samefile(store)


def test_where_nothing_is_to_be_taken_over_nothing_is_made(paths: Paths) -> None:
    seed.adopt(order(Hub(), paths), paths)
    assert not paths.models.exists()


@pytest.mark.parametrize(("free", "enough"), [(seed.MARGIN + 2091, False), (2 << 30, True)])
def test_room_is_asked_for_what_is_missing_and_a_margin(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, free: int, *, enough: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(free, 0, free))
    wanted = order(Hub(), paths)
    seed.require_room(wanted, less=1)
    if not enough:
        with pytest.raises(ModelUnavailable, match=f"there is no room for {REPO}"):
            seed.require_room(wanted)


def fetching(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Path]) -> None:
    monkeypatch.setattr(transfer, "fetch", lambda *_, **__: act())


def fetch(paths: Paths) -> Path:
    hub: Any = Hub()
    return seed.fetch(hub, order(hub, paths), lambda _: None)


def test_what_was_fetched_is_sealed_and_no_longer_under_way(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act() -> Path:
        assert seed.unfinished(paths, REPO) == "0.0 MB of 0.0 MB of acme/tiny were fetched so far"
        return folder(paths) / "snapshots" / COMMIT

    fetching(monkeypatch, act)
    fetch(paths)
    listed = json.loads((folder(paths) / ".seeded" / f"{COMMIT}.json").read_text())
    assert listed == {"config.json": 2, INDEX: 90, **dict.fromkeys(SHARDS, 1000)}
    assert seed.unfinished(paths, REPO) == ""


def test_a_refusal_in_the_middle_is_the_hubs_to_explain(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act() -> Path:
        item = order(Hub(), paths).items[-1]
        raise transfer.Refused(item, "hub", 403, "GatedRepo", "no")

    fetching(monkeypatch, act)
    with pytest.raises(ModelUnavailable, match="403 acme/tiny main"):
        fetch(paths)
    assert not list((folder(paths) / ".seeded").glob(f"{COMMIT}.json"))


def test_a_folder_that_cannot_be_written_is_told(paths: Paths) -> None:
    folder(paths).parent.mkdir(parents=True)
    folder(paths).write_text("a file in its place")
    with pytest.raises(HostNotReady, match="cannot write to"):
        fetch(paths)


def test_what_was_begun_is_told_with_its_size(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = (File("config.json", 2, GIT), File("model.safetensors", 4_000_000_000, SHA))
    hub: Any = Hub(files=big)

    def act() -> Path:
        blobs = folder(paths) / "blobs"
        blobs.mkdir()
        (blobs / f"{'2' * 64}.part").touch()
        (blobs / f"{'2' * 64}.part.journal").write_text("0 1000000000\n1500000000 2000000000\n")
        raise KeyboardInterrupt

    fetching(monkeypatch, act)
    with pytest.raises(KeyboardInterrupt):
        seed.fetch(hub, order(hub, paths), lambda _: None)
    assert seed.unfinished(paths, REPO) == "1.5 GB of 4.0 GB of acme/tiny were fetched so far"
    assert seed.unfinished(paths, "acme/other") == ""


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": [1]}', '{"../a": [1, "git:1"]}'])
def test_a_broken_list_tells_nothing(paths: Paths, text: str) -> None:
    record = folder(paths) / ".seeded" / f"{COMMIT}{seed.WANTED}"
    record.parent.mkdir(parents=True)
    record.write_text(text)
    assert seed.unfinished(paths, REPO) == ""
