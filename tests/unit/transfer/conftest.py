"""Where these tests put a model."""

from pathlib import Path

import pytest

from lifecycle.transfer import Place
from tests.unit.transfer.given import COMMIT


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "hub" / "models--org--name", COMMIT)
    made.blobs.mkdir(parents=True)
    return made
