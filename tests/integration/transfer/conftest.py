"""The hub that these tests fetch from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.transfer import crew
from lifecycle.transfer.item import MIB
from tests.fake_hub import FakeHub
from tests.integration.transfer.shop import SIZE, Shop


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
