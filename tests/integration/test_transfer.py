"""Fetching from the stand-in hub, with everything that can go wrong on the way."""

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download, try_to_load_from_cache

from lifecycle.errors import HostNotReady, ModelUnavailable
from lifecycle.files import HERE, Files
from lifecycle.transfer import Item, Patience, Place, Refused, crew, fetch, missing_bytes
from lifecycle.transfer.item import MIB
from tests.fake_hub import FakeHub, Fault, Token
from tests.integration.checkout import ROOT

REPO = "org/model"
SIZE = 24 * MIB
AT_ONCE = Patience(connect=2, stall=1, tries=4, first=0.02, longest=0.1)
WEIGHTS = "*.safetensors"
LOST = 16 * MIB
"""What an interruption may cost a file."""


class Shop:
    """A hub with one model, and a cache to bring it to."""

    def __init__(self, folder: Path, hub: FakeHub) -> None:
        self.folder = folder
        self.hub = hub

    @property
    def items(self) -> list[Item]:
        repo = self.hub.repos.find(REPO)
        assert repo
        return [
            Item(
                one.path, one.size, f"sha256:{one.sha256}" if one.sha256 else f"git:{one.oid}",
                f"{self.hub.url}/{REPO}/resolve/{repo.sha}/{one.path}",
            )
            for one in repo.files.values()
        ]  # fmt: skip

    @property
    def place(self) -> Place:
        repo = self.hub.repos.find(REPO)
        assert repo
        return Place(self.folder / "cache" / "models--org--model", repo.sha)

    @property
    def weights(self) -> Item:
        return next(one for one in self.items if one.path == "model.safetensors")

    def add(self, name: str, size: int) -> None:
        file = self.folder / "hub" / REPO / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as stream:
            while size:
                size -= stream.write(os.urandom(min(size, MIB)))

    def fetch(self, patience: Patience = AT_ONCE, token: str = "") -> Files:
        """Bring it, and see that it is all there."""
        shown: list[Files] = []
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        fetch(self.items, self.place, headers=headers, on_progress=shown.append, patience=patience)
        for item in self.items:
            assert (self.place.snapshot / item.path).read_bytes() == self.original(item)
        assert self.place.reference.read_text() == self.place.commit
        assert all(file.state == HERE for file in shown[-1].files.values())
        assert not list(self.place.blobs.glob("*.part*"))
        return shown[-1]

    def original(self, item: Item) -> bytes:
        return (self.folder / "hub" / REPO / item.path).read_bytes()

    @property
    def sent(self) -> int:
        """Bytes of weights that were sent so far."""
        return sum(seen.sent for seen in self.hub.log.of("cdn"))

    def unpublished(self) -> bool:
        """Whether whoever looks finds nothing."""
        return not self.place.reference.exists() and not self.place.snapshot.exists()

    def process(self, stall: float = 5) -> "subprocess.Popen[str]":
        """A seeder of its own."""
        started = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.seeder"], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert started.stdin
        asked = {
            "repo": str(self.place.repo), "commit": self.place.commit, "stall": stall,
            "items": [dataclasses.astuple(item) for item in self.items],
        }  # fmt: skip
        started.stdin.write(json.dumps(asked))
        started.stdin.close()
        return started


def reached(process: "subprocess.Popen[str]", count: int) -> None:
    """Wait until a seeder has received so many bytes."""
    assert process.stdout
    for line in process.stdout:
        if line.endswith("bytes\n") and int(line.split()[0]) >= count:
            return
    pytest.fail(f"it ended before: exit {process.wait()}")


def end(process: "subprocess.Popen[str]") -> tuple[int, list[str]]:
    assert process.stdout
    lines = process.stdout.read().splitlines()
    process.stdout.close()
    return process.wait(10), lines


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    hub = FakeHub(tmp_path / "hub")
    made = Shop(tmp_path, hub)
    made.add("config.json", 700)
    made.add("original/notes.txt", 0)
    made.add("model.safetensors", SIZE)
    with hub:
        yield made


@pytest.fixture
def short_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "RANGE", 4 * MIB)


# What is there in the end


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


# Connections that break


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
    with pytest.raises(HostNotReady, match="does not come"):
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


# Two runs


def interrupted(shop: Shop, at: int = 10 * MIB) -> None:
    """A first run that gives up in the middle of the weights."""
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", cut_after=at, times=1))
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", status=503))
    with pytest.raises(HostNotReady):
        shop.fetch()
    shop.hub.faults.clear()
    shop.hub.log.clear()


def test_a_second_run_brings_only_the_rest(shop: Shop) -> None:
    interrupted(shop)
    assert shop.unpublished()
    assert missing_bytes(shop.items, shop.place) == SIZE - 10 * MIB
    shop.fetch()
    assert shop.sent == SIZE - 10 * MIB


def test_what_has_another_etag_now_begins_anew(shop: Shop) -> None:
    interrupted(shop)
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", etag='"changed"'))
    shop.fetch()
    assert shop.sent >= SIZE


@pytest.mark.usefixtures("short_ranges")
def test_an_etag_that_always_changes_is_not_obeyed_for_ever(shop: Shop) -> None:
    for number in range(40):
        shop.hub.fault(Fault(path=WEIGHTS, where="cdn", etag=f'"{number}"', times=1))
    shop.fetch()


def test_a_new_revision_keeps_what_is_the_same(shop: Shop) -> None:
    shop.fetch()
    old = shop.place
    shop.add("config.json", 900)
    assert shop.place.commit != old.commit
    shop.hub.log.clear()
    shop.fetch()
    assert shop.sent == 0
    assert (old.snapshot / "model.safetensors").exists()


@pytest.mark.parametrize("moment", [0.15, 0.5, 0.8])
def test_kill_9_costs_at_most_16_mib(shop: Shop, moment: float) -> None:
    size = 128 * MIB
    shop.add("model.safetensors", size)
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=32 * MIB))
    process = shop.process()
    reached(process, int(size * moment))
    process.kill()
    end(process)
    assert shop.unpublished()
    missing = missing_bytes(shop.items, shop.place)
    assert missing <= size - int(size * moment) + LOST
    shop.hub.faults.clear()
    shop.hub.log.clear()
    shop.fetch()
    assert shop.sent <= missing


def test_killed_again_and_again_it_still_ends(shop: Shop) -> None:
    size = 96 * MIB
    shop.add("model.safetensors", size)
    for count in range(3):
        shop.hub.faults.clear()
        shop.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=(16 + count) * MIB))
        process = shop.process()
        reached(process, 20 * MIB)
        process.kill()
        end(process)
    shop.hub.faults.clear()
    shop.fetch()
    assert shop.sent <= size + 3 * LOST


def test_ctrl_c_loses_nothing(shop: Shop) -> None:
    size = 96 * MIB
    shop.add("model.safetensors", size)
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=16 * MIB))
    process = shop.process()
    reached(process, 40 * MIB)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    code, lines = end(process)
    assert code == 130, lines
    assert time.monotonic() - asked < 3
    assert missing_bytes(shop.items, shop.place) <= size - 40 * MIB
    shop.hub.faults.clear()
    shop.fetch()


def test_ctrl_c_while_the_server_is_silent(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", stall_after=8 * MIB, stall=60))
    process = shop.process(stall=60)
    reached(process, 8 * MIB)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    code, _ = end(process)
    assert code == 130
    assert time.monotonic() - asked < 3
    assert missing_bytes([shop.weights], shop.place) == SIZE - 8 * MIB


# What servers say


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
    with pytest.raises(HostNotReady, match="does not come") as failed:
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


# Wrong bytes


def test_wrong_bytes_are_set_aside_and_fetched_again(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", corrupt=12345, times=1))
    files = shop.fetch()
    aside = shop.place.blobs / f"{shop.weights.name}.corrupt"
    assert aside.stat().st_size == SIZE
    assert any("set aside" in event for event in files.events)


def test_bytes_that_stay_wrong_are_never_linked(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", corrupt=12345))
    with pytest.raises(ModelUnavailable, match="wrong twice"):
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


# Two at once


def test_two_seeders_bring_it_once(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=8 * MIB))
    first = shop.process()
    reached(first, MIB)
    second = shop.process()
    code, lines = end(second)
    assert code == 0, lines
    assert any(f"process {first.pid} on" in line and "waiting" in line for line in lines), lines
    assert end(first)[0] == 0
    assert shop.sent == SIZE


def test_a_lock_dies_with_its_process(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=8 * MIB))
    first = shop.process()
    reached(first, MIB)
    first.kill()
    end(first)
    shop.hub.faults.clear()
    before = time.monotonic()
    shop.fetch()
    assert time.monotonic() - before < 5


def test_threads_end_with_the_work(shop: Shop) -> None:
    shop.fetch()
    for _ in itertools.repeat(None, 50):
        if not [one for one in threading.enumerate() if one.name == "fetch"]:
            return
        time.sleep(0.1)
    pytest.fail(f"still there: {threading.enumerate()}")
