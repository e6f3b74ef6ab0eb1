"""Real vLLM on the CPU: what a start took is shown and kept; one without room says what fits."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lifecycle.errors import ServerUnhealthy
from lifecycle.models.measured import FOLDER
from tests.integration.checkout import Checkout
from tests.integration.prepared import places

TOO_LONG = 8192
ROOM = "0.1"
"""GiB: half of what SmolLM2-135M needs for a request of that length."""


@pytest.fixture(scope="module")
def home(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for figures of our own; engine, model and cache are the user's."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("engines", "models", "cache"):
        (folder / name).symlink_to(places().home / name)
    checkout.env["LIFECYCLE_HOME"] = str(folder)
    checkout.env |= {"KV_CACHE_GIB": ROOM, "DTYPE": "bfloat16"}
    return folder


@pytest.fixture(scope="module")
def fits(checkout: Checkout, home: Path) -> int:
    """The length that a start names which has no room for its own."""
    assert home.is_dir()
    _set_length(checkout, TOO_LONG)
    done = checkout.up("--force")  # else the plan refuses it before vLLM can
    assert done.returncode == ServerUnhealthy.exit_code, done.stderr
    said = " ".join(done.stderr.split())
    assert f"max seq len ({TOO_LONG})" in said, "vLLM's own figures are the why"
    assert "0.18 GiB KV cache is needed" in said
    assert "KV_CACHE_GIB=0.2 on the CPU" in said
    found = re.search(rf"Set MAX_MODEL_LEN=(\d+) or less in env/{checkout.backend}\.env", said)
    assert found, said
    assert not (home / FOLDER).exists(), "a start that failed measured nothing"
    return int(found[1])


@pytest.fixture(scope="module")
def started(checkout: Checkout, fits: int) -> str:
    """What `up` prints with exactly that length."""
    _set_length(checkout, fits)
    done = checkout.up()
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_length_that_was_named_starts(fits: int, started: str) -> None:
    assert 16 <= fits < TOO_LONG
    assert f"({fits:,} tokens) at once" in started


def test_what_it_took_is_shown(started: str) -> None:
    found = re.search(r"KV cache  0\.1 GiB = ([\d,]+) tokens", started)
    assert found, started
    # 30 layers, 3 heads of 64 for keys and for values, 2 bytes each; less what blocks waste.
    assert 0.9 < int(found[1].replace(",", "")) * 30 * 3 * 64 * 2 * 2 / (0.1 * 1024**3) <= 1


def test_what_it_took_is_kept(checkout: Checkout, home: Path, fits: int, started: str) -> None:
    (file,) = (home / FOLDER).iterdir()
    text = file.read_text()
    assert checkout.key not in text
    data: dict[str, Any] = json.loads(text)
    assert data["model"] == "smollm2-135m-instruct"
    assert data["engine"].startswith("cpu-")
    (start,) = data["starts"]
    assert start["settings"]["MAX_MODEL_LEN"] == str(fits)
    assert start["found"]["at_length"] == fits
    assert start["found"]["kv_given"] is True
    assert f"{start['found']['kv_tokens']:,} tokens" in started


def test_a_second_up_measures_nothing_again(checkout: Checkout, home: Path, started: str) -> None:
    assert started
    (file,) = (home / FOLDER).iterdir()
    before = file.read_text()
    done = checkout.up()
    assert done.returncode == 0, done.stderr
    assert "KV cache" not in done.stdout
    assert file.read_text() == before


def test_status_shows_it_as_long_as_the_log_tells(checkout: Checkout, started: str) -> None:
    done = checkout.inv("status", "--gpu", checkout.backend, "--verbose")
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in started.splitlines() if line.startswith("KV cache"))
    assert line.partition(" (planned")[0] in done.stdout.splitlines()


def _set_length(checkout: Checkout, length: int) -> None:
    text = re.sub(r"(?m)^MAX_MODEL_LEN=.*$", "", checkout.env_file.read_text())
    checkout.env_file.write_text(f"{text}\nMAX_MODEL_LEN={length}\n")
