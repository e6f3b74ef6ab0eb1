"""The compose files: closed to the network, without secrets, and given all they ask for."""

import importlib
import json
import re
from pathlib import Path

import pytest

from lifecycle.keys import KEYS
from lifecycle.paths import ROOT
from lifecycle.step import Command
from lifecycle.steps import docker, gateway_docker
from lifecycle.steps.gateway_form import Wanted
from lifecycle.steps.overlays import BASE, BORROWED, OVERLAYS, files
from tests.unit.given import PATHS, backend, host
from tests.unit.gpu_hosts import SERVERS

FILES = sorted((ROOT / "compose").glob("*.yml"))
GATEWAY = ROOT / "compose" / "gateway.yml"
VLLM = (ROOT / "compose" / "vllm.yml").read_text()
LINES = [line.partition(" #")[0].strip() for line in VLLM.splitlines()]
CODE = [line for line in LINES if line and not line.startswith("#")]
CPU = backend(RUNTIME="docker")
TEMPLATE = backend(RUNTIME="docker", CHAT_TEMPLATE="/checkout/templates/mine.jinja")
ALL = {"cpu": (CPU, host()), "cpu-template": (TEMPLATE, host()), **SERVERS}
every_server = pytest.mark.parametrize("name", ALL)
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
    # The gateway has the network of the machine itself, and so publishes nothing.
    own = "ports:" if file == GATEWAY else "network_mode"
    for word in (own, "privileged: true", "docker.sock", "0.0.0.0", "expose:"):
        assert word not in text


@every_file
def test_no_file_holds_a_secret(file: Path) -> None:
    for key in (key.name for key in KEYS.values() if key.secret):
        for line in file.read_text().splitlines():
            assert key not in line or line.strip() == f"- {key}"


def test_the_key_is_passed_through_by_name() -> None:
    assert "VLLM_API_KEY" in block("environment")


@every_file
def test_a_missing_file_or_folder_is_an_error_and_not_made(file: Path) -> None:
    text = file.read_text()
    assert text.count("- type: bind") == text.count("create_host_path: false")
    assert text.count("source: ") == text.count("- type: bind")


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
def test_no_file_gives_a_capability_or_opens_the_filter_of_system_calls(file: Path) -> None:
    code = [line.partition("#")[0] for line in file.read_text().splitlines()]
    for word in ("cap_add", "unconfined", "SYS_PTRACE"):
        assert not any(word in line for line in code)


@every_server
def test_every_value_that_is_asked_for_is_given_or_the_start_is_refused(name: str) -> None:
    given = docker.environment(ALL[name][0], PATHS, ALL[name][1])
    for file in files(*ALL[name]):
        text = (ROOT / "compose" / file).read_text()
        asked = re.findall(r"\$\{(\w+)([^}]*)\}", text)
        # Devices are called the same on every Linux; their default stands in the file.
        open_ones = [(name, rest) for name, rest in asked if not rest.startswith(":-/dev/")]
        assert [n for n, rest in open_ones if n not in given or not rest.startswith(":?")] == []
        assert "$" not in re.sub(r"\$\{[^}]*\}", "", text)


@every_server
def test_whatever_is_given_is_asked_for_or_passed_through(name: str) -> None:
    wanted, on = ALL[name]
    text = "".join((ROOT / "compose" / file).read_text() for file in files(wanted, on))
    passed = json.loads(docker.environment_file(wanted, on))["services"]["vllm"]["environment"]
    for variable in docker.environment(wanted, PATHS, on):
        assert f"${{{variable}:?" in text or variable in {*passed, "VLLM_API_KEY"}


def test_every_file_is_there_and_used_somewhere() -> None:
    used = {file for server in ALL.values() for file in files(*server)}
    servers = {file.name for file in FILES if file != GATEWAY}
    assert used == servers == {BASE, *(one.file for one in OVERLAYS)}


def test_the_gateway_gets_every_value_it_asks_for() -> None:
    wanted = Wanted(8080, "{}", runtime="docker")
    (command,) = [
        one for one in gateway_docker.begin(wanted, PATHS, host()) if isinstance(one, Command)
    ]
    assert set(re.findall(r"\$\{(\w+)", GATEWAY.read_text())) == set(command.env)


def test_the_gateway_may_do_no_more_than_it_must() -> None:
    code = [line.strip() for line in GATEWAY.read_text().splitlines()]
    for line in ("cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]', "read_only: true"):
        assert line in code


def test_a_borrowed_file_is_mounted_by_the_overlay_that_is_named_for_it() -> None:
    for one in BORROWED:
        text = (ROOT / "compose" / one.overlay).read_text()
        assert f"source: ${{{one.variable}:?" in text


def test_the_stand_in_for_amdsmi_makes_an_old_vllm_take_the_card_for_amds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The questions of vLLM 0.9's rocm_platform_plugin and RocmPlatform.get_device_name.
    monkeypatch.syspath_prepend(str(ROOT / "compose" / "amd-wsl-legacy"))
    amdsmi = importlib.import_module("amdsmi")
    amdsmi.amdsmi_init()
    assert len(amdsmi.amdsmi_get_processor_handles()) > 0
    info = amdsmi.amdsmi_get_gpu_asic_info(amdsmi.amdsmi_get_processor_handles()[0])
    assert info["market_name"].startswith("AMD Radeon")
    amdsmi.amdsmi_shut_down()
    assert issubclass(amdsmi.AmdSmiException, Exception)
