"""What a start took is shown and kept, and never makes a start that worked look failed."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from lifecycle import runtimes
from lifecycle.cmd import measure
from lifecycle.host import GIB, Amd, Gpu, Nvidia, Server
from lifecycle.measured import Measured
from lifecycle.models.measured import FOLDER, Notes, Start
from lifecycle.paths import Paths
from lifecycle.shell import Shell
from lifecycle.steps import fit
from tests.fake_vllm.boot import BOOT
from tests.unit.given import KEY, LOCAL_IMAGE, backend, host, running

RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 23 * GIB, "8.9")
RTX = Gpu("NVIDIA GeForce RTX 3090", 24 * GIB, 23 * GIB, "8.6")
FIGURES = Path(__file__).parent.parent / "runtimes" / "memory_log" / "v1-0.31.log"
CARDS = {"GPU": "cuda", "RUNTIME": "docker", "IMAGE": "me/vllm:1", "KV_CACHE_GIB": ""}


@pytest.fixture
def where(tmp_path: Path) -> Paths:
    return Paths(root=tmp_path, home=tmp_path / "home", models=tmp_path / "models")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The server's log, to be set."""
    server = SimpleNamespace(text="", asked=[])

    def of(name: str) -> SimpleNamespace:
        server.asked.append(name)
        return SimpleNamespace(log=lambda *_: server.text)

    monkeypatch.setattr(runtimes, "runtime", of)
    return server


def kept(where: Paths) -> list[Path]:
    folder = where.home / FOLDER
    return sorted(folder.iterdir()) if folder.is_dir() else []


def test_figures_are_shown_and_kept(
    where: Paths, log: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    log.text = BOOT.read_text()
    measure.after_start(backend(), where, host(), Shell())
    assert "KV cache  1.0 GiB = 46,592 tokens" in capsys.readouterr().out
    (file,) = kept(where)
    data = json.loads(file.read_text())
    assert (data["model"], data["card"]) == ("smollm2-135m-instruct", "a processor")
    assert data["engine"].startswith("cpu-")
    assert data["starts"][0]["settings"]["MAX_MODEL_LEN"] == "4096"
    assert log.asked == ["venv"]


def test_a_silent_log_is_not_kept(
    where: Paths, log: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    log.text = "INFO:     Application startup complete.\n"
    measure.after_start(backend(), where, host(), Shell())
    assert not kept(where)
    assert capsys.readouterr().out == ""


def test_a_folder_that_cannot_be_written_is_only_said(
    where: Paths, log: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    log.text = BOOT.read_text()
    where.home.mkdir()
    (where.home / FOLDER).write_text("a file is in the way")
    measure.after_start(backend(), where, host(), Shell())
    assert "could not be kept" in capsys.readouterr().err


def test_the_next_estimate_gets_what_was_measured(where: Paths, log: SimpleNamespace) -> None:
    log.text = FIGURES.read_text()
    wanted, machine = backend(**CARDS), host(nvidia=Nvidia(gpus=(RTX,)))
    assert measure.overhead(wanted, where, machine) is None
    measure.after_start(wanted, where, machine, Shell())
    assert measure.overhead(wanted, where, machine) == pytest.approx(0.38 * GIB, abs=2)
    assert measure.overhead(backend(**CARDS | {"IMAGE": "me/vllm:2"}), where, machine) is None
    (start,) = Notes(where.home, measure.subject(wanted, machine)).starts()
    assert start.found.kv_tokens == 70_240


def test_of_cards_that_share_a_model_each_holds_a_part_of_it(where: Paths) -> None:
    wanted = backend(**CARDS | {"MODEL": "Qwen/Qwen3-8B", "TENSOR_PARALLEL": "2"})
    machine = host(nvidia=Nvidia(gpus=(RTX_4090, RTX_4090)))
    reckoned = fit.plan(wanted, machine)
    assert reckoned is not None
    assert reckoned.weights < 9 * GIB  # of 15.3
    took = Measured(
        weights=reckoned.weights,
        kv_available=int(0.9 * 24 * GIB) - reckoned.weights - GIB,
        utilization=0.9,
        budget=int(0.9 * 24 * GIB),
    )
    notes = Notes(where.home, measure.subject(wanted, machine))
    notes.keep(Start.now(measure.settings(wanted), took), Shell(), print)
    assert measure.earlier(wanted, where, machine) == pytest.approx(GIB, abs=2)


def test_no_text_of_a_flag_and_no_key_is_kept(where: Paths, log: SimpleNamespace) -> None:
    log.text = BOOT.read_text()
    secret = "--enforce-eager --override-generation-config distinctive"
    measure.after_start(backend(EXTRA_ARGS=secret), where, host(), Shell())
    (file,) = kept(where)
    text = file.read_text()
    assert "distinctive" not in text
    assert KEY not in text
    (start,) = json.loads(text)["starts"]
    assert start["settings"]["EXTRA_ARGS"].startswith("sha256:")
    assert start["settings"]["eager"] == "yes"


@pytest.mark.parametrize(
    ("changes", "card"),
    [
        ({}, "NVIDIA GeForce RTX 3090"),
        ({"TENSOR_PARALLEL": "2"}, "2 x NVIDIA GeForce RTX 3090"),
        ({"DEVICES": "2"}, "another card"),
        ({"DEVICES": "1,2", "TENSOR_PARALLEL": "2"}, "2 x NVIDIA GeForce RTX 3090 + another card"),
    ],
)
def test_the_card_is_the_one_that_is_used(changes: dict[str, str], card: str) -> None:
    machine = host(nvidia=Nvidia(gpus=(RTX, RTX, Gpu("another card"))))
    assert measure.subject(backend(**CARDS, **changes), machine).card == card


def test_an_amd_card_is_not_the_processors_own() -> None:
    cards = (Gpu("AMD Radeon Graphics", integrated=True), Gpu("AMD Radeon RX 7900 XTX", 24 * GIB))
    wanted = backend(**CARDS | {"GPU": "rocm"})
    found = measure.subject(wanted, host(amd=Amd(gpus=cards)))
    assert (found.card, found.engine) == ("AMD Radeon RX 7900 XTX", "me/vllm:1")


def test_in_docker_the_image_is_the_engine() -> None:
    assert measure.subject(backend(RUNTIME="docker"), host()).engine == LOCAL_IMAGE


def test_a_running_server_is_asked_in_its_own_runtime(
    where: Paths, log: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    log.text = BOOT.read_text()
    measure.running(backend(RUNTIME="docker"), running(backend()), where)
    assert "46,592 tokens" in capsys.readouterr().out
    assert log.asked == ["venv"]
    measure.running(backend(), Server(), where)
    assert capsys.readouterr().out == ""
