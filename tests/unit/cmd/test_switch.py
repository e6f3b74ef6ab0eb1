"""Another model in the place of one, on a machine that is only told of."""

import dataclasses
from pathlib import Path

import pytest
from invoke import Context

from lifecycle.cmd import choose, server, start
from lifecycle.host import GIB, Amd, Gpu, Host, Memory, Nvidia, Server
from tests.unit.cmd.world import DRY, NEW, OLD, TRACKED, World, dies, ends, stopped, to
from tests.unit.given import KEY

Captured = pytest.CaptureFixture[str]


def test_the_new_model_is_kept_once_it_answered(world: World, capsys: Captured) -> None:
    to(NEW)()
    assert world.events == [f"stop {OLD}", f"start {NEW}"]
    assert choose.load("cpu").model == NEW
    assert (world.checkout.root / "env" / "cpu.env").read_text() == TRACKED
    shown = capsys.readouterr()
    assert f"from {OLD} to new" in shown.err
    assert "http://127.0.0.1:8000/v1" in shown.out
    assert KEY not in shown.out + shown.err + world.override.read_text()


def test_the_next_up_finds_nothing_to_do(world: World, capsys: Captured) -> None:
    to(NEW)()
    world.events.clear()
    server.up(Context(), gpu="cpu")
    shown = capsys.readouterr().err
    assert world.events == []
    assert f"MODEL={NEW} was chosen by inv switch, in env/local/cpu.env" in shown
    assert "nothing to do" in shown


def test_what_the_tracked_file_says_of_its_model_does_not_go_over(world: World) -> None:
    to(NEW)()
    one = choose.load("cpu")
    assert (one.get("TOOL_PARSER"), one.get("MAX_MODEL_LEN"), one.get("PORT")) == ("", "", "8000")
    assert "TOOL_PARSER" not in world.server.launch.settings


def test_what_the_catalogue_says_of_the_new_model_does(world: World) -> None:
    to("qwen3-0.6b")()
    assert world.server.launch.settings["TOOL_PARSER"] == "hermes"
    one = choose.load("cpu")
    assert (one.model, one.get("TOOL_PARSER")) == ("Qwen/Qwen3-0.6B", "hermes")
    assert one.settings["TOOL_PARSER"].source.startswith("env/local/cpu.env:")


def test_a_length_of_ones_own_is_kept(world: World) -> None:
    to(NEW, max_model_len=512)()
    assert choose.load("cpu").get("MAX_MODEL_LEN") == "512"
    assert world.server.launch.settings["MAX_MODEL_LEN"] == "512"


def test_a_length_of_ones_own_for_the_tracked_model_leaves_it_the_rest(world: World) -> None:
    to(OLD, max_model_len=512)()
    one = choose.load("cpu")
    assert (one.get("MAX_MODEL_LEN"), one.get("TOOL_PARSER")) == ("512", "hermes")
    to(OLD)()
    assert choose.load("cpu").get("MAX_MODEL_LEN") == "4096"
    assert not world.override.exists()


def test_back_to_the_tracked_model_takes_the_override_away(world: World) -> None:
    to(NEW)()
    to(OLD)()
    assert not world.override.exists()
    assert world.server.launch.settings["TOOL_PARSER"] == "hermes"


@pytest.mark.parametrize("model", [OLD, NEW])
def test_to_the_model_that_runs_nothing_is_done(world: World, capsys: Captured, model: str) -> None:
    to(model)()
    world.events.clear()
    text = world.override.read_text() if world.override.exists() else None
    to(model)()
    assert world.events == []
    assert f"cpu serves {model} already" in capsys.readouterr().err
    assert (world.override.read_text() if world.override.exists() else None) == text


def test_what_a_person_wrote_into_the_override_stays(world: World) -> None:
    to(NEW)()
    text = world.override.read_text().replace("TOOL_PARSER=\n", "TOOL_PARSER=mistral\n")
    world.override.write_text(text)
    to(NEW)()
    assert world.override.read_text() == text
    # It was started without.
    server.up(Context(), gpu="cpu")
    assert world.server.launch.settings["TOOL_PARSER"] == "mistral"


def test_a_model_that_is_not_there_stops_nothing(world: World, capsys: Captured) -> None:
    world.absent.add(NEW)
    ends(9, to(NEW))
    assert world.events == []
    said = capsys.readouterr().err
    assert said.index("it is not here") < said.index(f"the old model {OLD} still answers")


def test_a_model_that_the_ram_cannot_hold_stops_nothing(world: World) -> None:
    world.memory = Memory(4 * GIB, GIB)
    ends(3, to(NEW))
    assert world.events == []


def test_what_the_old_server_holds_counts_as_free(world: World) -> None:
    world.memory = Memory(8 * GIB, 2 * GIB)
    world.server = dataclasses.replace(world.server, memory=4 * GIB)
    to(NEW)()
    assert world.events == [f"stop {OLD}", f"start {NEW}"]


def test_what_the_old_server_holds_of_a_card_is_unknown_and_so_the_whole_card_counts() -> None:
    card = Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 2 * GIB, "8.9")
    alive = Host(server=Server("ready"), nvidia=Nvidia(gpus=(card,)), amd=Amd(gpus=(card,)))
    seen = start._without_server(alive)
    assert [one.free for one in (*seen.nvidia.gpus, *seen.amd.gpus)] == [None, None]
    gone = dataclasses.replace(alive, server=Server())
    assert start._without_server(gone) == gone


def test_where_no_server_ran_none_is_left(world: World, capsys: Captured) -> None:
    stopped(world).fails[NEW] = [dies()]
    ends(8, to(NEW, gpu="cpu"))
    assert world.events == [f"start {NEW}", f"stop {NEW}"]
    assert not world.override.exists()
    assert "none runs now" in capsys.readouterr().err


def test_where_no_server_ran_the_new_one_is_started(world: World) -> None:
    stopped(world)
    to(NEW, gpu="cpu")()
    assert world.events == [f"start {NEW}"]
    assert choose.load("cpu").model == NEW


def test_a_port_that_somebody_took_stops_nothing(world: World, capsys: Captured) -> None:
    world.checkout.env("cpu", TRACKED.replace("8000", "8005"))
    world.port_owner = "nginx (pid 7)"
    ends(3, to(NEW))
    assert world.events == []
    said = capsys.readouterr().err
    assert said.index("nginx") < said.index("still answers at http://127.0.0.1:8000/v1")


def test_model_in_the_env_file_is_exchanged_as_carefully(world: World, capsys: Captured) -> None:
    world.checkout.env("cpu", TRACKED.replace(OLD, NEW))
    world.fails[NEW] = [dies()]
    ends(8, lambda: server.up(Context(), gpu="cpu"))
    assert world.server.launch.settings["MODEL"] == OLD
    assert f"env/cpu.env:3 still says MODEL={NEW}" in capsys.readouterr().err
    server.up(Context(), gpu="cpu")
    assert world.server.launch.settings["MODEL"] == NEW
    assert not world.override.exists()


def test_up_with_a_model_is_a_switch(world: World) -> None:
    server.up(Context(), gpu="cpu", model=NEW)
    assert world.events == [f"stop {OLD}", f"start {NEW}"]
    assert choose.load("cpu").model == NEW


def test_a_model_above_all_files_makes_a_switch_vain(
    world: World, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL", "/models/elsewhere")
    ends(2, to(NEW))
    assert "MODEL=/models/elsewhere is set in process environment" in capsys.readouterr().err
    monkeypatch.delenv("MODEL")
    world.checkout.secrets(f"VLLM_API_KEY={KEY}\nMODEL=/models/elsewhere\n")
    ends(2, to(NEW))
    assert ".env:2" in capsys.readouterr().err
    assert world.events == []


def test_another_value_above_all_files_is_told(world: World, capsys: Captured) -> None:
    world.checkout.secrets(f"VLLM_API_KEY={KEY}\nMAX_MODEL_LEN=256\n")
    to(NEW)()
    assert "MAX_MODEL_LEN=256 holds for this model, too: .env:2" in capsys.readouterr().err
    assert world.server.launch.settings["MAX_MODEL_LEN"] == "256"


def test_a_dry_switch_says_all_and_changes_nothing(world: World, capsys: Captured) -> None:
    to(NEW, DRY)()
    said = capsys.readouterr().out
    parts = (
        "stop the venv",
        "supervisord",
        "wait until",
        "env/local/cpu.env",
    )
    assert [said.index(part) for part in parts] == sorted(said.index(part) for part in parts)
    assert world.events == []
    assert not world.override.parent.exists()


def test_the_old_server_finishes_what_is_in_flight(world: World) -> None:
    to(NEW)()
    assert [one.now for one in world.patience] == [False]


def test_nobody_waits_who_does_not_want_to(world: World) -> None:
    to(NEW, now=True)()
    assert [one.now for one in world.patience] == [True]


def test_an_unknown_name_names_the_nearest(world: World, capsys: Captured) -> None:
    ends(9, to("qwen3-8c"))
    said = capsys.readouterr().err
    assert "no model is called 'qwen3-8c'" in said
    assert "Did you mean qwen3-8b" in said
    assert world.events == []


def test_a_path_counts_from_where_one_is(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    to("./mine/")()
    assert choose.load("cpu").model == str(tmp_path / "mine")
    assert world.server.launch.settings["SERVED_NAME"] == "mine"


def test_a_path_with_blanks_and_quotes_is_read_back_as_it_is(world: World) -> None:
    model = """/models/my "own" model #1 d'or \\ x"""
    to(model)()
    assert choose.load("cpu").model == model
    assert world.server.launch.settings["MODEL"] == model


def test_a_folder_of_the_models_folder_comes_before_the_catalogue(world: World) -> None:
    (world.checkout.paths.models / "qwen3-0.6b").mkdir(parents=True)
    to("qwen3-0.6b")()
    assert choose.load("cpu").model == "qwen3-0.6b"


@pytest.mark.parametrize("length", [-1, 3])
def test_a_length_that_is_none_is_refused(world: World, length: int) -> None:
    ends(2, to(NEW, max_model_len=length))
    assert world.events == []
