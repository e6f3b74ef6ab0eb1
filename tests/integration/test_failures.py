"""What a person meets when something is wrong: one clear error, its exit code, nothing left."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.errors import (
    ConfigError,
    HostNotReady,
    ModelUnavailable,
    ServerUnhealthy,
)
from tests.fake_hub import FakeHub
from tests.integration.checkout import Checkout, free_port


def test_a_port_in_use_names_its_owner(double_checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", double_checkout.port)):
        double_checkout.env["LIFECYCLE_HOME"] = ""
        done = double_checkout.up()
    assert done.returncode == HostNotReady.exit_code, done.stderr
    assert f"port {double_checkout.port} is taken by" in done.stderr
    assert f"pid {os.getpid()}" in done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"PORT": "99999"}, "PORT=99999: must be a whole number from 1024 to 65535"),
        ({"RUNTIME": "podman"}, "RUNTIME=podman: must be one of venv, docker"),
        ({"MODEL": "a$b"}, "a value must be one line without '$'"),
    ],
)
def test_a_wrong_value_is_a_config_error(
    double_checkout: Checkout, change: dict[str, str], said: str
) -> None:
    double_checkout.env.update(change)
    done = double_checkout.up()
    assert done.returncode == ConfigError.exit_code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("key", ["\u201cdistinctive\u201d", "密码distinctive", "distinctive\u2603"])
@pytest.mark.parametrize("command", ["up", "status", "chat Hello", "down", "gateway.status"])
def test_a_key_that_cannot_be_sent_is_one_clear_error(
    double_checkout: Checkout, command: str, key: str
) -> None:
    (double_checkout.root / ".env").write_text(f"VLLM_API_KEY={key}\n")
    done = double_checkout.inv(*command.split())
    assert done.returncode == (0 if command == "down" else ConfigError.exit_code), done.stderr
    assert "Traceback" not in done.stderr
    assert "distinctive" not in done.stdout + done.stderr
    assert (".env:1: VLLM_API_KEY=…: holds" in done.stderr) is (command != "down")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("HF_ENDPOINT", "plan --gpu dtest --model org/none"),
        ("HTTPS_PROXY", "plan --gpu dtest --model org/none"),
        ("ENDPOINT", "up --gpu dtest"),
        ("DOCKER_HOST", "doctor --gpu 4090"),
    ],
)
def test_a_password_in_an_address_is_not_shown(
    double_checkout: Checkout, name: str, command: str
) -> None:
    double_checkout.env[name] = "http://somebody:distinctive@127.0.0.1:9"
    done = double_checkout.inv(*command.split(), limit=120)
    assert done.returncode
    assert "distinctive" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_option_is_blamed_on_the_option(double_checkout: Checkout) -> None:
    words = ("plan", "--gpu", "dtest", "--model", "qwen3-8b", "--max-model-len", "5")
    done = double_checkout.inv(*words)
    assert done.returncode == ConfigError.exit_code
    assert done.stderr.startswith("✗ --max-model-len 5: must be a whole number from 16 to ")


@pytest.mark.parametrize("command", ["plan --gpu 4090", "render --gpu 4090", "up --gpu 4090"])
def test_a_path_of_windows_is_refused_by_every_command(
    double_checkout: Checkout, command: str
) -> None:
    (double_checkout.root / ".env").write_text("MODELS_DIR=C:\\models\\hf\n")
    done = double_checkout.inv(*command.split())
    assert done.returncode == ConfigError.exit_code
    assert ".env:1: MODELS_DIR=C:\\models\\hf: is a path of Windows" in done.stderr
    assert "/mnt/c/models/hf" in done.stderr
    assert not list(double_checkout.root.glob("C:*"))


def test_an_unknown_key_names_file_line_and_the_nearest(double_checkout: Checkout) -> None:
    with double_checkout.env_file.open("a") as file:
        file.write("MODLE=x\n")
    line = len(double_checkout.env_file.read_text().splitlines())
    done = double_checkout.up()
    assert done.returncode == ConfigError.exit_code
    assert f"env/dtest.env:{line}: unknown key MODLE" in done.stderr
    assert "Did you mean MODEL?" in done.stderr


@pytest.mark.parametrize(
    ("backend", "missing"),
    [("4090", "no card and no driver of NVIDIA's"), ("7900xtx", "no AMD card")],
)
def test_a_gpu_backend_says_what_is_missing(
    double_checkout: Checkout, backend: str, missing: str
) -> None:
    double_checkout.env["MODEL"] = "smollm2-135m-instruct"
    done = double_checkout.inv("up", "--gpu", backend)
    assert done.returncode == HostNotReady.exit_code
    assert missing in done.stderr
    assert "--gpu cpu" in done.stderr


def test_a_model_that_is_nowhere_is_unavailable(double_checkout: Checkout, tmp_path: Path) -> None:
    with FakeHub(tmp_path) as hub:
        double_checkout.env.update({"MODEL": "org/absent", "HF_ENDPOINT": hub.url})
        done = double_checkout.up()
    assert done.returncode == ModelUnavailable.exit_code, done.stderr
    assert "there is no org/absent on the hub" in done.stderr


def test_a_hub_that_cannot_be_reached_is_told_as_that(double_checkout: Checkout) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    double_checkout.env.update({"MODEL": "org/absent", "HF_ENDPOINT": nobody})
    done = double_checkout.up()
    assert done.returncode == HostNotReady.exit_code, done.stderr
    assert f"cannot reach {nobody}" in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_found_before_anything_is_fetched(
    double_checkout: Checkout, small_disk: Path
) -> None:
    double_checkout.env["LIFECYCLE_HOME"] = str(small_disk)
    done = double_checkout.up()
    assert done.returncode == HostNotReady.exit_code, done.stderr
    assert "needs 6.0 GiB" in done.stderr
    assert not (small_disk / "engines").exists()


def test_a_disk_that_fills_up_is_said_and_leaves_no_half_key(
    double_checkout: Checkout, small_disk: Path
) -> None:
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass
    code = (
        "from pathlib import Path\n"
        "from lifecycle.shell import Shell\n"
        "from lifecycle.step import WriteFile\n"
        f"Shell().write(WriteFile(Path({str(small_disk / 'secret')!r}), 'x' * 100_000, 0o600))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=double_checkout.root, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "No space left" in done.stderr
    assert sorted(p.name for p in small_disk.iterdir()) == ["filler"]


def test_a_folder_that_cannot_be_written_is_said(double_checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    double_checkout.env["LIFECYCLE_HOME"] = str(tmp_path / "file" / "below")
    done = double_checkout.up()
    assert done.returncode == HostNotReady.exit_code, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_dies_is_explained_and_not_started_again(
    checkout: Checkout, tmp_path: Path
) -> None:
    checkout.env["EXTRA_ARGS"] = f"--tokenizer {tmp_path}"
    done = checkout.up()
    assert done.returncode == ServerUnhealthy.exit_code, done.stderr
    assert f"the server of {checkout.backend} died in phase start" in done.stderr
    assert "Couldn't instantiate the backend tokenizer" in done.stderr
    assert checkout.status()["phase"] == "stopped"
    assert "backend tokenizer" in checkout.inv("logs", "--gpu", checkout.backend).stdout


def test_a_flag_that_vllm_does_not_have_is_refused_before_anything_starts(
    checkout: Checkout,
) -> None:
    checkout.env["EXTRA_ARGS"] = "--no-such-flag"
    done = checkout.up()
    assert done.returncode == ConfigError.exit_code, done.stderr
    assert "has no flag --no-such-flag" in done.stderr


def test_a_dry_run_prints_every_command_and_changes_nothing(double_checkout: Checkout) -> None:
    done = double_checkout.inv("--dry", "up", "--gpu", "dtest")
    assert done.returncode == 0, done.stderr
    for part in ("uv venv", "uv pip install", "convert_gguf.py", "supervisord", "write "):
        assert part in done.stdout, part
    assert not (double_checkout.root / ".env").exists()
    assert not Path(double_checkout.env["LIFECYCLE_HOME"]).exists()


def test_smoke_on_a_dead_server_is_one_failure_that_says_what_to_type(
    double_checkout: Checkout,
) -> None:
    (double_checkout.root / ".env").write_text("VLLM_API_KEY=x\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "smoke", "-q", "-p", "no:cacheprovider"],
        cwd=double_checkout.root, env={**double_checkout.environment(), "SMOKE_BACKEND": "dtest"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "inv up --gpu dtest" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
