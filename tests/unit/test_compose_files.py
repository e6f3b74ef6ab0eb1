"""The compose files: closed to the network, without secrets, and given all they ask for."""

import re
from pathlib import Path

import pytest

from lifecycle.keys import KEYS
from lifecycle.paths import ROOT
from lifecycle.steps import docker
from lifecycle.steps.docker import OVERLAYS
from tests.unit.given import PATHS, backend, host

FILES = sorted((ROOT / "compose").glob("*.yml"))
VLLM = (ROOT / "compose" / "vllm.yml").read_text()
LINES = [line.partition(" #")[0].strip() for line in VLLM.splitlines()]
CODE = [line for line in LINES if line and not line.startswith("#")]
every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def block(name: str) -> list[str]:
    """The items of a list in vllm.yml."""
    rest = CODE[CODE.index(f"{name}:") + 1 :]
    ends = (number for number, line in enumerate(rest) if not line.startswith("- "))
    return [line.removeprefix("- ") for line in rest[: next(ends, len(rest))]]


def test_it_is_published_on_the_loopback_only() -> None:
    assert CODE.count("ports:") == 1
    (port,) = block("ports")
    assert re.fullmatch(r"127\.0\.0\.1:\$\{PORT:\?[^}]+\}:8000", port)


@every_file
def test_no_file_opens_another_way_in(file: Path) -> None:
    text = file.read_text()
    for word in ("network_mode", "privileged: true", "docker.sock", "0.0.0.0", "expose:"):
        assert word not in text


@every_file
def test_no_file_holds_a_secret(file: Path) -> None:
    for key in (key.name for key in KEYS.values() if key.secret):
        for line in file.read_text().splitlines():
            assert key not in line or line.strip() == f"- {key}"


def test_the_key_is_passed_through_by_name() -> None:
    assert "VLLM_API_KEY" in block("environment")


def test_a_missing_folder_is_an_error_and_not_made() -> None:
    assert CODE.count("- type: bind") == CODE.count("create_host_path: false") == 2


def test_the_model_is_mounted_read_only() -> None:
    model = CODE[CODE.index("source: ${MODEL_SOURCE:?use inv up}") :]
    assert model[2] == "read_only: true"


def test_it_may_do_no_more_than_it_must() -> None:
    for line in (
        "cap_drop: [ALL]",
        'security_opt: ["no-new-privileges:true"]',
        "read_only: true",
        "init: true",
        "restart: unless-stopped",
    ):
        assert line in CODE
    assert any(line.startswith("user: ${RUN_AS") for line in CODE)


def test_its_log_cannot_fill_the_disk() -> None:
    assert any("max-size" in line and "max-file" in line for line in CODE)


@every_file
def test_every_value_that_is_asked_for_is_given_or_the_start_is_refused(file: Path) -> None:
    given = docker.environment(backend(RUNTIME="docker"), PATHS, host())
    asked = re.findall(r"\$\{(\w+)([^}]*)\}", file.read_text())
    assert [name for name, rest in asked if name not in given or not rest.startswith(":?")] == []
    assert "$" not in re.sub(r"\$\{[^}]*\}", "", file.read_text())


@every_file
def test_every_variable_that_is_passed_through_is_one_of_ours(file: Path) -> None:
    given = docker.environment(backend(RUNTIME="docker"), PATHS, host())
    passed = re.findall(r"^ +- ([A-Z][A-Z_]+)$", file.read_text(), re.MULTILINE)
    assert set(passed) <= set(given)


def test_every_variable_of_the_server_reaches_it() -> None:
    files = VLLM + (ROOT / "compose" / OVERLAYS["cpu"]).read_text()
    for name in docker.environment(backend(RUNTIME="docker"), PATHS, host()):
        assert f"${{{name}:?" in files or f"- {name}\n" in files


def test_every_overlay_is_there() -> None:
    assert set(OVERLAYS.values()) | {"vllm.yml"} <= {file.name for file in FILES}
