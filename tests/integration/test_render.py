"""`inv render` through the real Compose: a file that says all, holds no secret, and runs alone."""

import os
import subprocess
import time
from pathlib import Path

import pytest
import requests

from lifecycle.cmd.render import OURS
from lifecycle.errors import ConfigError, HostNotReady, NotSupported
from tests.integration.checkout import ROOT, Checkout

pytestmark = pytest.mark.docker

MACHINES = ROOT / "tests" / "unit" / "machines"
KEY = "sk-local-never-in-a-file"
ANSWER_SECONDS = 240


def compose(file: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "compose", "--file", str(file), *words],
        env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture
def keyed(double_checkout: Checkout) -> Checkout:
    """A checkout that has a key to give away."""
    (double_checkout.root / ".env").write_text(f"VLLM_API_KEY={KEY}\n")
    return double_checkout


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        ("wsl2-4090-healthy", "driver: cdi"),
        ("native-4090-daemon-reload", "driver: nvidia"),
        ("wsl2-4090-driver-575", "image: vllm/vllm-openai:v0.31.0-cu129@sha256:"),
        ("native-7900xtx-healthy", "source: /dev/kfd"),
        ("wsl2-7900xtx-rocdxg-healthy", "target: /usr/lib/librocdxg.so.1"),
        ("wsl2-7900xtx-legacy-healthy", "target: /opt/rocm/lib/libhsa-runtime64.so.1"),
    ],
)
def test_the_file_for_a_recorded_machine_stands_by_itself(
    keyed: Checkout, machine: str, told: str
) -> None:
    file = keyed.root / "made" / "compose.yml"
    done = keyed.inv("render", "--host", str(MACHINES / machine), "--out", str(file))
    assert done.returncode == 0, done.stderr
    text = file.read_text()
    assert told in text
    assert "unverified: we have not run" in text
    assert KEY not in text
    refused = compose(file, "config", "--quiet", MODEL_SOURCE="/tmp")
    assert "VLLM_API_KEY is missing a value" in refused.stderr
    taken = compose(file, "config", "--quiet", MODEL_SOURCE="/tmp", VLLM_API_KEY="k")
    assert (taken.returncode, taken.stderr) == (0, "")


def test_what_is_printed_is_what_would_be_written(keyed: Checkout) -> None:
    replay = str(MACHINES / "native-7900xtx-healthy")
    file = keyed.root / "made.yml"
    keyed.inv("render", "--host", replay, "--out", str(file))
    assert keyed.inv("render", "--host", replay).stdout == file.read_text()
    # As the doctor and the setup commands call it.
    assert keyed.inv("render", "--replay", replay).stdout == file.read_text()
    done = keyed.inv("render", "--replay", replay, "--host", str(MACHINES))
    assert done.returncode == ConfigError.exit_code
    # Its own file is written anew without a word.
    assert keyed.inv("render", "--host", replay, "--out", str(file)).returncode == 0


def test_a_file_of_somebody_elses_is_left_alone(keyed: Checkout) -> None:
    file = keyed.root / "compose.yml"
    file.write_text("services: {}\n")
    done = keyed.inv("render", "--gpu", "dtest", "--out", str(file))
    assert done.returncode == ConfigError.exit_code
    assert file.read_text() == "services: {}\n"
    done = keyed.inv("render", "--gpu", "dtest", "--out", str(file), "--force")
    assert done.returncode == 0, done.stderr
    assert file.read_text().startswith(OURS)


def test_a_dry_run_only_says_where_it_would_write(keyed: Checkout) -> None:
    file = keyed.root / "compose.yml"
    done = keyed.inv("--dry", "render", "--gpu", "dtest", "--out", str(file))
    assert done.stdout == f"write {file} (mode 644)\n"
    assert not file.exists()


def test_without_compose_there_is_one_clear_error(keyed: Checkout) -> None:
    keyed.env["PATH"] = str(keyed.root)
    done = keyed.inv("render", "--gpu", "dtest")
    assert done.returncode == HostNotReady.exit_code
    assert "`docker compose` (v2) is missing" in done.stderr
    assert "inv setup.docker" in done.stderr


def test_for_windows_itself_there_is_none(keyed: Checkout) -> None:
    replay = str(MACHINES / "windows-11-ready")
    done = keyed.inv("render", "--gpu", "cpu", "--host", replay)
    assert done.returncode == NotSupported.exit_code
    assert "open the WSL2 distribution" in done.stderr


@pytest.mark.usefixtures("image")
def test_the_file_starts_a_server_without_us(checkout: Checkout) -> None:
    file = checkout.root / "compose.yml"
    done = checkout.inv("render", "--gpu", checkout.backend, "--out", str(file))
    assert done.returncode == 0, done.stderr
    text = file.read_text()
    assert "MODEL_SOURCE" not in text
    made = next(line for line in text.splitlines() if line.startswith("# Once:"))
    Path(made.split()[-1]).mkdir(parents=True, exist_ok=True)
    try:
        up = compose(file, "up", "--detach", VLLM_API_KEY=KEY)
        assert up.returncode == 0, up.stderr
        assert models(checkout.port)
    finally:
        assert compose(file, "down", "--timeout", "8", VLLM_API_KEY="-").returncode == 0


def models(port: int) -> list[str]:
    """The models a server lists, as soon as it does."""
    until = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < until:
        try:
            url = f"http://127.0.0.1:{port}/v1/models"
            got = requests.get(url, headers={"Authorization": f"Bearer {KEY}"}, timeout=5)
            return [one["id"] for one in got.json()["data"]]
        except requests.ConnectionError:
            time.sleep(1)
    pytest.fail(f"no answer within {ANSWER_SECONDS} s")
