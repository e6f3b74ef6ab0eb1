"""An engine is what its stamp says; without a stamp it is not there."""

import shutil
import sysconfig
from pathlib import Path

import pytest

from lifecycle.facts import venv
from tests.unit.given import Checkout, backend


def test_no_engine_no_stamp(checkout: Checkout) -> None:
    assert venv.look(backend(), checkout.paths).made_from == ""


def test_an_unfinished_engine_counts_as_none(checkout: Checkout) -> None:
    (checkout.paths.engine("cpu-0.32.0") / "bin").mkdir(parents=True)
    assert venv.look(backend(), checkout.paths).made_from == ""


def stamp(checkout: Checkout, engine: str, text: str) -> None:
    folder = checkout.paths.engine(engine)
    folder.mkdir(parents=True)
    (folder / ".made-from").write_text(f"{text}\n")


def test_a_complete_engine_carries_the_digest_of_its_lock(checkout: Checkout) -> None:
    stamp(checkout, "cpu-0.32.0", "abc")
    assert venv.look(backend(), checkout.paths).made_from == "abc"


def test_a_card_has_its_own_engine_and_beside_a_container_that_of_the_processor(
    checkout: Checkout,
) -> None:
    stamp(checkout, "cpu-0.32.0", "of the processor")
    stamp(checkout, "cuda-0.33.0", "of the card")
    made = {
        runtime: venv.look(backend(GPU="cuda", RUNTIME=runtime), checkout.paths).made_from
        for runtime in ("venv", "docker")
    }
    assert made == {"venv": "of the card", "docker": "of the processor"}


def test_hardware_without_an_engine_has_none(checkout: Checkout) -> None:
    assert venv.look(backend(GPU="rocm", RUNTIME="venv"), checkout.paths).made_from == ""


@pytest.mark.parametrize("there", ["cc", "gcc", "clang", ""])
def test_the_compiler_is_the_first_one_on_the_path(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}" if name == there else None)
    found = venv.look(backend(), checkout.paths).compiler
    assert found == (f"/bin/{there}" if there else "")


def test_the_header_is_that_of_the_python_engines_are_made_with(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    assert venv.look(backend(), checkout.paths).header == ""
    (tmp_path / "Python.h").touch()
    assert venv.look(backend(), checkout.paths).header == str(tmp_path / "Python.h")
