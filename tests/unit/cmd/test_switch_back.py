"""Back to the old model when a switch fails, is interrupted or is killed."""

import pytest
from invoke import Context

from lifecycle.cmd import choose, server
from lifecycle.host import Answers, Sanity
from lifecycle.shell import Shell
from lifecycle.step import WriteFile
from tests.unit.cmd.world import NEW, OLD, TRACKED, World, dies, ends, to

Captured = pytest.CaptureFixture[str]


def test_a_model_that_does_not_start_gives_way_to_the_old_one(
    world: World, capsys: Captured
) -> None:
    world.fails[NEW] = [dies()]
    before = world.server.launch
    ends(8, to(NEW))
    assert world.events == [f"stop {OLD}", f"start {NEW}", f"stop {NEW}", f"start {OLD}"]
    assert (world.server.phase, world.server.launch) == ("ready", before)
    assert not world.override.exists()
    said = capsys.readouterr().err
    back = f"the old model {OLD} answers again at http://127.0.0.1:8000/v1"
    assert said.index("✗ the server died") < said.index("no such shape") < said.index(back)


def test_a_model_whose_answers_are_broken_gives_way_to_the_old_one(
    world: World, capsys: Captured
) -> None:
    advice = ("files of the model are damaged: inv seed-models --verify",)
    world.answers[NEW] = Answers(Sanity.BROKEN, "it writes '!!!!'", advice, checked=1)
    ends(8, to(NEW))
    assert world.events == [f"stop {OLD}", f"start {NEW}", f"stop {NEW}", f"start {OLD}"]
    assert not world.override.exists()
    said = capsys.readouterr().err
    assert "✗ the server of cpu runs, but its answers are broken\n  it writes '!!!!'" in said
    assert "→ perhaps files of the model are damaged: inv seed-models --verify" in said


def test_a_model_whose_answers_are_doubtful_is_served(world: World, capsys: Captured) -> None:
    world.answers[NEW] = Answers(Sanity.DOUBTFUL, "it wrote 'Bananas'", checked=1)
    to(NEW)()
    assert world.server.launch.settings["MODEL"] == NEW
    assert "answers   are doubtful\n          it wrote 'Bananas'" in capsys.readouterr().out


def test_the_log_of_the_model_that_failed_is_kept(world: World, capsys: Captured) -> None:
    world.fails[NEW] = [dies()]
    ends(8, to(NEW))
    kept = world.run / "failed-switch.log"
    assert kept.read_text() == "the log of new\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    said = capsys.readouterr().err
    assert str(kept) in said
    assert "inv logs" not in said


def test_from_one_chosen_model_to_a_broken_one_the_first_stays_chosen(world: World) -> None:
    to("/models/first")()
    text = world.override.read_text()
    world.fails[NEW] = [dies()]
    ends(8, to(NEW))
    assert world.override.read_text() == text
    assert world.server.launch.settings["MODEL"] == "/models/first"


def test_the_old_server_comes_back_as_it_was_started_and_not_as_its_file_says_by_now(
    world: World,
) -> None:
    world.checkout.env("cpu", TRACKED.replace("4096", "2048"))
    before, world.fails[NEW] = world.server.launch, [dies()]
    ends(8, to(NEW))
    assert world.server.launch == before


def test_ctrl_c_in_the_middle_brings_the_old_one_back(world: World, capsys: Captured) -> None:
    world.fails[NEW] = [KeyboardInterrupt()]
    ends(130, to(NEW))
    assert world.server.launch.settings["MODEL"] == OLD
    assert not world.override.exists()
    said = capsys.readouterr().err
    assert said.index("interrupted; going back") < said.index("answers again")


def test_a_second_ctrl_c_ends_it_and_says_what_is_left_to_do(world: World) -> None:
    world.fails |= {NEW: [KeyboardInterrupt()], OLD: [KeyboardInterrupt()]}
    end = ends(130, to(NEW))
    assert "inv up --gpu cpu" in str(end)
    assert choose.load("cpu").model == OLD


def test_ctrl_c_while_it_is_written_down_undoes_that(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Shell.write

    def interrupted(shell: Shell, file: WriteFile) -> None:
        write(shell, file)
        if file.path == world.override and file.text:
            raise KeyboardInterrupt

    monkeypatch.setattr(Shell, "write", interrupted)
    ends(130, to(NEW))
    assert choose.load("cpu").model == world.server.launch.settings["MODEL"] == OLD


def test_a_full_disk_in_the_end_brings_the_old_one_back(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    write = Shell.write

    def full(shell: Shell, file: WriteFile) -> None:
        if file.path == world.override:
            raise OSError(28, "No space left on device", str(file.path))
        write(shell, file)

    monkeypatch.setattr(Shell, "write", full)
    ends(3, to(NEW))
    assert world.server.launch.settings["MODEL"] == OLD
    assert "the disk is full" in capsys.readouterr().err


def test_an_old_model_that_does_not_come_back_either_is_said(
    world: World, capsys: Captured
) -> None:
    world.fails |= {NEW: [dies()], OLD: [dies("MemoryError")]}
    ends(8, to(NEW))
    said = capsys.readouterr().err
    assert said.index("no such shape") < said.index(f"the old model {OLD} did not come back either")
    assert "MemoryError" in said
    assert "inv up --gpu cpu tries again" in said


def killed_before_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The new model answered, and then somebody ended us for good."""

    class Killed(BaseException):
        """Nothing runs after a kill -9, so nothing of ours may."""

    def gone(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("lifecycle.cmd.exchange.Exchange._write", gone)
        patch.setattr("lifecycle.cmd.exchange.Exchange._go_back", gone)
        with pytest.raises(Killed):
            to(NEW)()
    world.events.clear()
    return world


def test_after_a_kill_up_brings_the_old_model(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_end(world, monkeypatch)
    server.up(Context(), gpu="cpu")
    assert world.events == [f"stop {NEW}", f"start {OLD}"]


def test_after_a_kill_the_same_switch_only_writes_it_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_end(world, monkeypatch)
    to(NEW)()
    assert world.events == []
    assert choose.load("cpu").model == NEW
