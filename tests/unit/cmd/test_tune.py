"""`inv tune`: each row is started and measured, the fastest is kept."""

from functools import partial

import pytest
from invoke import Context

from lifecycle.backend import Backend
from lifecycle.cmd import tune
from lifecycle.cmd.tune import Trial, fastest
from lifecycle.errors import HostNotReady
from lifecycle.host import Launch, Server
from lifecycle.runtimes import load
from tests.unit.cmd.world import DRY, World, ends
from tests.unit.given import KEY

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def speeds(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Tokens a second by CPU_SETTINGS, and by DTYPE where that is there."""
    known = {"lean": 100.0, "spread": 200.0}

    def measured(_: Backend) -> float:
        settings = world.server.launch.settings
        return known.get(settings["DTYPE"]) or known[settings["CPU_SETTINGS"]]

    monkeypatch.setattr(load, "tokens_per_second", measured)
    return known


def test_the_fastest_is_kept_and_runs(
    world: World, speeds: dict[str, float], capsys: Captured
) -> None:
    tune.tune(Context())
    assert world.server.launch.settings["CPU_SETTINGS"] == "spread"
    text = world.checkout.paths.secrets.read_text()
    assert text.startswith(f"VLLM_API_KEY={KEY}\n")
    assert text.endswith("\nCPU_SETTINGS=spread\n")
    shown = capsys.readouterr().out
    assert "200 tokens/s" in shown
    assert speeds


def test_again_the_line_is_replaced(world: World, speeds: dict[str, float]) -> None:
    tune.tune(Context())
    speeds["lean"] = 300.0
    tune.tune(Context())
    assert world.server.launch.settings["CPU_SETTINGS"] == "lean"
    text = world.checkout.paths.secrets.read_text()
    assert text.count("CPU_SETTINGS") == 1
    assert "CPU_SETTINGS=lean" in text
    assert world.checkout.paths.secrets.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("speed", "told"), [(400.0, True), (205.0, False)])
def test_a_type_that_is_faster_is_told_and_not_kept(
    world: World, speeds: dict[str, float], capsys: Captured, speed: float, *, told: bool
) -> None:
    speeds["float32"] = speed
    tune.tune(Context())
    shown = capsys.readouterr()
    assert "spread, DTYPE=float32" in shown.out
    said = "DTYPE=float32 is 2.0 times as fast: put it into env/cpu.env"
    assert (said in shown.err) == told
    assert world.server.launch.settings["DTYPE"] == "auto"


@pytest.mark.parametrize(("lean", "spread", "name"), [
    (100, 104, "lean"), (100, 106, "spread"), (120, 100, "lean"),
])  # fmt: skip
def test_a_leaner_one_that_is_as_good_is_taken(lean: float, spread: float, name: str) -> None:
    assert fastest([Trial("lean", 20, lean), Trial("spread", 40, spread)]).name == name


def test_a_dry_run_says_what_it_would_measure(world: World, capsys: Captured) -> None:
    before = world.checkout.paths.secrets.read_text()
    tune.tune(DRY)
    assert "restart cpu with CPU_SETTINGS=lean, and measure it" in capsys.readouterr().out
    assert (world.checkout.paths.secrets.read_text(), world.events) == (before, [])


def test_a_server_of_another_checkout_is_left_alone(world: World, capsys: Captured) -> None:
    stranger = Server("ready", Launch("venv", {}, "/other"), owner="/other")
    world.server = stranger
    for context in (Context(), DRY):
        ends(HostNotReady.exit_code, partial(tune.tune, context))
        assert "it belongs to another checkout" in capsys.readouterr().err
    assert (world.server, world.events) == (stranger, [])


def test_a_card_has_no_cpu_settings(world: World, capsys: Captured) -> None:
    world.checkout.env("card", "GPU=cuda\nPORT=8001\nMODEL=a/b\n")
    ends(2, lambda: tune.tune(Context(), gpu="card"))
    assert "inv tune measures CPU settings, and card has GPU=cuda" in capsys.readouterr().err
