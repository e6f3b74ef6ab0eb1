"""`inv seed-models`: when nobody need be asked, and what it says."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from invoke import Config, Context, Exit

from lifecycle import facts, hub, transfer
from lifecycle.cmd import arrival, choose, copy
from lifecycle.cmd import seed as command
from lifecycle.errors import ModelUnavailable
from lifecycle.files import HERE, Files
from lifecycle.host import Disk, Host
from lifecycle.hub import client
from lifecycle.hub.repo import File, Repo
from lifecycle.models import cache, copying, login, neighbour, selection
from lifecycle.models import seed as seeding
from lifecycle.models.source import Source
from lifecycle.transfer import Item, Place
from tests.unit.given import Checkout
from tests.unit.models.cache import COMMIT, REPO, link
from tests.unit.models.cache import seal as write_seal
from tests.unit.models.folder import make

Captured = pytest.CaptureFixture[str]


class Nobody:
    """A hub that must not be asked."""

    def __getattr__(self, name: str) -> None:
        pytest.fail(f"the hub was asked: {name}")


@pytest.fixture(autouse=True)
def here(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setattr(choose, "ROOT", checkout.root)
    monkeypatch.setattr(choose, "places", lambda: checkout.paths)
    monkeypatch.setattr(facts, "hardware", lambda _: Host())
    monkeypatch.setattr(client, "connect", lambda *_: Nobody())
    monkeypatch.setattr(client, "offline", lambda: False)
    monkeypatch.setenv("HF_HUB_CACHE", str(checkout.root / "nothing"))
    return checkout


def folder(checkout: Checkout) -> Path:
    return cache.repo_folder(cache.ours(checkout.paths), REPO)


def ordered(checkout: Checkout, *paths: str) -> seeding.Order:
    """An order of one file of weights, and more."""
    files = tuple(
        File(path, 2_000_000, f"sha256:{number:064x}")
        for number, path in enumerate(("config.json", "model.safetensors", *paths))
    )
    chosen = selection.select(REPO, files)
    items = tuple(Item(one.path, one.size, one.digest, "") for one in chosen.files)
    place = Place(folder(checkout), COMMIT)
    return seeding.Order(Repo(REPO, COMMIT, "", files), "main", chosen, place, items)


def seed(*, dry: bool = False, **options: Any) -> None:
    context = Context(Config(overrides={"run": {"dry": dry}}))
    command.seed_models(context, **{"gpu": "cpu", "model": REPO, **options})


def arriving(
    monkeypatch: pytest.MonkeyPatch, wanted: seeding.Order, act: Callable[[], None]
) -> None:
    """Make the hub offer an order, and the transfer bring it."""

    def fetch(items: tuple[Item, ...], place: Place, *, on_progress: Any, headers: Any) -> Path:
        del headers
        files = Files.of((item.path, item.size) for item in items)
        act()
        for file in files.files.values():
            file.done, file.state = file.total, HERE
        files.fetched = files.total
        on_progress(files)
        return place.snapshot

    class Hub:
        authorization: dict[str, str] = {}  # noqa: RUF012 - a stand-in's

    monkeypatch.setattr(client, "connect", lambda *_: Hub())
    monkeypatch.setattr(seeding, "order", lambda *_: wanted)
    monkeypatch.setattr(transfer, "fetch", fetch)


# Nobody is asked


def test_a_folder_needs_no_hub(here: Checkout, capsys: Captured) -> None:
    place = make(here.root / "mine")
    seed(model=str(place))
    assert f"is here already, in {place}; it needs no hub" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_told(here: Checkout, capsys: Captured) -> None:
    with pytest.raises(Exit) as caught:
        seed(model=str(here.root / "none"))
    assert caught.value.code == ModelUnavailable.exit_code
    assert "does not exist" in capsys.readouterr().err


def sealed(checkout: Checkout) -> None:
    link(folder(checkout), "config.json", b"{}")
    link(folder(checkout), "model.safetensors", b"weights")
    write_seal(folder(checkout))


def test_a_commit_that_is_here_is_not_asked_for(here: Checkout, capsys: Captured) -> None:
    sealed(here)
    seed(revision=COMMIT)
    assert "nothing to do" in capsys.readouterr().err


def test_where_nobody_is_asked_the_hubs_library_is_not_even_loaded(
    here: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    sealed(here)
    monkeypatch.delattr(hub, "client")
    for name in ("lifecycle.hub.client", "huggingface_hub"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it fails
    seed(revision=COMMIT)
    assert "nothing to do" in capsys.readouterr().err
    with pytest.raises(ImportError):
        seed()


def test_offline_a_branch_that_is_here_will_do(
    here: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    sealed(here)
    monkeypatch.setattr(client, "offline", lambda: True)
    seed()
    assert "nothing to do" in capsys.readouterr().err


# What it says


def test_what_came_is_told_with_size_and_speed(
    here: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    arriving(monkeypatch, ordered(here), lambda: None)
    seed()
    first, second, last = capsys.readouterr().err.splitlines()
    assert first == f"fetching {REPO}: 4.0 MB to come"
    assert second.startswith(f"{REPO} is here: ")
    assert last.startswith("2 files, 4.0 MB, all verified; 4.0 MB came in 0.0 s, ")


def test_what_broke_off_is_not_said_to_be_here(
    here: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def act() -> None:
        raise KeyboardInterrupt

    arriving(monkeypatch, ordered(here), act)
    with pytest.raises(Exit) as caught:
        seed()
    assert caught.value.code == 130
    assert "is here" not in capsys.readouterr().err


@pytest.mark.parametrize("how", [{"dry": True}, {"dry_run": True}])
def test_a_dry_run_lists(
    here: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: Captured, how: dict[str, bool]
) -> None:
    arriving(monkeypatch, ordered(here), lambda: pytest.fail("it fetched"))
    seed(**how)
    assert "model.safetensors  2.0 MB" in capsys.readouterr().out
    assert not here.paths.models.exists()


def test_what_was_here_before_did_not_come(here: Checkout) -> None:
    assert arrival.summary(ordered(here), 0, 3.2).endswith("all verified; nothing had to come")
    assert arrival.summary(ordered(here), 4_000_000, 2).endswith("4.0 MB came in 2.0 s, 2.0 MB/s")


def test_code_and_windows_drives_are_warned_of(here: Checkout) -> None:
    plain, risky = ordered(here), ordered(here, "modeling_tiny.py")
    linux, windows = Disk(Path("/data"), kind="ext4"), Disk(Path("/mnt/c/models"), kind="9p")
    assert arrival.cautions(plain, linux) == []
    (code,) = arrival.cautions(risky, linux)
    assert "modeling_tiny.py" in code
    assert "--trust-remote-code" in code
    pickled = dataclasses.replace(
        plain, selection=dataclasses.replace(plain.selection, format="bin")
    )
    (pickle,) = arrival.cautions(pickled, linux)
    assert "as .bin files only: these can hold code" in pickle
    (slow,) = arrival.cautions(plain, windows)
    assert "/mnt/c/models is on a Windows drive" in slow


# From another machine


@pytest.fixture
def tower(here: Checkout, monkeypatch: pytest.MonkeyPatch) -> list[seeding.Order]:
    """A machine that has the model; gives the orders that were copied."""
    copied: list[seeding.Order] = []

    @contextlib.contextmanager
    def connected(_: object, address: str) -> Iterator[login.Login]:
        yield login.Login(address, "", Path("/run/socket"), None)  # type: ignore[arg-type]

    def bring(_: object, order: seeding.Order, __: object) -> None:
        copied.append(order)

    monkeypatch.setattr(login, "connected", connected)
    monkeypatch.setattr(neighbour, "order", lambda *_: ordered(here))
    monkeypatch.setattr(copying, "copy", bring)
    return copied


def test_from_another_machine_no_hub_is_asked(tower: list[seeding.Order]) -> None:
    seed(from_="anna@tower")
    assert [order.repo.id for order in tower] == [REPO]


def test_what_is_here_is_not_copied(
    here: Checkout, tower: list[seeding.Order], capsys: Captured
) -> None:
    sealed(here)
    copy.over_ssh("anna@tower", Source(REPO, ("main",)), here.paths, show=False)
    assert "nothing to do" in capsys.readouterr().err
    assert tower == []


def test_a_dry_run_shows_what_would_copy(tower: list[seeding.Order], capsys: Captured) -> None:
    seed(from_="anna@tower", dry=True)
    assert "with: rsync " in capsys.readouterr().out
    assert tower == []
