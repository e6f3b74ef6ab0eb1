"""A hub with one model, a cache to bring it to, and seeders of their own."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.errors import HostNotReady
from lifecycle.files import HERE, Files
from lifecycle.transfer import Item, Patience, Place, fetch
from lifecycle.transfer.item import MIB
from tests.fake_hub import FakeHub, Fault
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


def interrupted(shop: Shop, at: int = 10 * MIB) -> None:
    """A first run that gives up in the middle of the weights."""
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", cut_after=at, times=1))
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", status=503))
    with pytest.raises(HostNotReady):
        shop.fetch()
    shop.hub.faults.clear()
    shop.hub.log.clear()
