"""An engine is what its stamp says; without a stamp it is not there."""

from lifecycle.facts import venv
from lifecycle.host import Venv
from tests.unit.given import Checkout, backend


def test_no_engine_no_stamp(checkout: Checkout) -> None:
    assert venv.look(backend(), checkout.paths) == Venv()


def test_an_unfinished_engine_counts_as_none(checkout: Checkout) -> None:
    (checkout.paths.engine("cpu-0.32.0") / "bin").mkdir(parents=True)
    assert venv.look(backend(), checkout.paths) == Venv()


def test_a_complete_engine_carries_the_digest_of_its_lock(checkout: Checkout) -> None:
    folder = checkout.paths.engine("cpu-0.32.0")
    folder.mkdir(parents=True)
    (folder / ".made-from").write_text("abc\n")
    assert venv.look(backend(), checkout.paths) == Venv("abc")


def test_hardware_without_an_engine_has_none(checkout: Checkout) -> None:
    assert venv.look(backend(GPU="cuda"), checkout.paths) == Venv()
