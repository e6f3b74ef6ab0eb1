"""Another model in the place of one, and back when it fails, on a machine that is only told of."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke import Config, Context, Exit

from lifecycle import facts, http
from lifecycle.backend import Backend, override
from lifecycle.cmd import choose, server, start, switch
from lifecycle.cmd import tools as engine_tools
from lifecycle.errors import ServerDied
from lifecycle.host import GIB, Amd, Gpu, Host, Memory, Nvidia, Server, Weights
from lifecycle.runtimes import drain, launch, ready, venv
from lifecycle.shell import Shell
from lifecycle.step import AwaitReady, Command, WriteFile
from lifecycle.steps.venv import Tools
from tests.unit import given
from tests.unit.given import KEY, TOOLS, Checkout

Captured = pytest.CaptureFixture[str]
DRY = Context(Config(overrides={"run": {"dry": True}}))
OLD, NEW = "smollm2-135m-instruct", "/models/new"
TRACKED = f"GPU=cpu\nPORT=8000\nMODEL={OLD}\nMAX_MODEL_LEN=4096\nTOOL_PARSER=hermes\n"


class World:
    """One server, started and stopped by real steps and a told machine; and what happened to it."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout
        self.events: list[str] = []
        self.server = Server()
        self.starts = 0
        self.absent: set[str] = set()
        self.fails: dict[str, list[BaseException | None]] = {}
        """What the next starts of a model end with."""
        self.busy: list[int | None] = []
        """How many requests the next looks find; none, after that."""
        self.port_owner = ""
        self.memory = Memory(16 * GIB, 12 * GIB)

    @property
    def run(self) -> Path:
        return self.checkout.paths.run("cpu")

    @property
    def override(self) -> Path:
        return override("cpu", self.checkout.root)

    def look(self, *_: object) -> Server:
        return self.server

    def gather(self, backend: Backend, *_: object) -> Host:
        problem = "it is not here" if backend.model in self.absent else ""
        folder = Path("/models") / Path(backend.model).name
        weights = Weights(folder, folder, 300_000_000, problem)
        return given.host(
            server=self.server, weights=weights, port_owner=self.port_owner, memory=self.memory
        )

    def begin(self, shell: Shell, command: Command, *_: object) -> None:
        assert not shell.dry
        started = launch.read(self.run)
        self.starts += 1
        self.events.append(f"start {started.settings['MODEL']}")
        self.server = Server(
            "ready", started, pid=42, since=self.starts, models=(started.settings["SERVED_NAME"],)
        )
        assert command.argv[0].endswith("supervisord")

    def wait(self, action: AwaitReady, *_: object) -> None:
        model = self.server.launch.settings["MODEL"]
        left = self.fails.get(model, [])
        fate = left.pop(0) if left else None
        if fate is not None:
            (self.run / venv.LOG).write_text(f"the log of {action.model}\n")
            raise fate

    def down(self, *_: object) -> None:
        if self.server.alive:
            self.events.append(f"stop {self.server.launch.settings['MODEL']}")
        self.server = Server()
        (self.run / launch.FILE).unlink(missing_ok=True)

    def unfinished(self, *_: object) -> int | None:
        return self.busy.pop(0) if self.busy else 0


@pytest.fixture
def world(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> World:
    """The tracked model is served."""
    checkout.env("cpu", TRACKED).secrets(f"VLLM_API_KEY={KEY}\n")
    checkout.paths.secrets.chmod(0o600)
    made = World(checkout)

    def tools(*_: object) -> Tools:
        return TOOLS

    def run(shell: Shell, command: Command, *rest: object) -> None:
        if shell.dry:
            return shell.say(str(command))
        return made.begin(shell, command, *rest)

    monkeypatch.setattr(choose, "ROOT", checkout.root)
    monkeypatch.setattr(choose, "places", lambda: checkout.paths)
    monkeypatch.setattr(facts, "hardware", lambda _: Host())
    monkeypatch.setattr(facts, "gather", made.gather)
    monkeypatch.setattr(facts.server, "look", made.look)
    monkeypatch.setattr(engine_tools, "tools", tools)
    monkeypatch.setattr(Shell, "run", run)
    monkeypatch.setattr(venv, "down", made.down)
    monkeypatch.setattr(ready, "wait", made.wait)
    monkeypatch.setattr(http, "unfinished", made.unfinished)
    monkeypatch.setattr(drain, "ASK_SECONDS", 0)
    server.up(Context(), gpu="cpu")
    made.events.clear()
    return made


def stopped(world: World) -> World:
    world.down()
    world.events.clear()
    return world


def dies(why: str = "ValueError: no such shape") -> ServerDied:
    return ServerDied("the server died", why=why, fix="The whole log: inv logs --gpu cpu")


def ends(code: int, run: Callable[[], object]) -> Exit:
    with pytest.raises(Exit) as caught:
        run()
    assert caught.value.code == code
    return caught.value


def to(model: str, context: Context | None = None, **options: object) -> Callable[[], object]:
    return lambda: switch.switch(context or Context(), model, **options)


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
    assert [one.free for one in (*seen.nvidia.gpus, *seen.amd.gpus)] == [0, 0]
    gone = dataclasses.replace(alive, server=Server())
    assert start._without_server(gone) == gone


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
        "requests in flight",
        "stop the venv",
        "supervisord",
        "wait until",
        "env/local/cpu.env",
    )
    assert [said.index(part) for part in parts] == sorted(said.index(part) for part in parts)
    assert world.events == []
    assert not world.override.parent.exists()


def test_requests_in_flight_are_waited_for(world: World, capsys: Captured) -> None:
    world.busy = [2, 1, 0, 1]
    to(NEW)()
    assert world.busy == []
    assert "waiting for 2 requests in flight, 30 s at most" in capsys.readouterr().err


def test_nobody_waits_who_does_not_want_to(world: World) -> None:
    world.busy = [2]
    to(NEW, now=True)()
    assert world.busy == [2]


def test_requests_that_take_too_long_are_cut_off(
    world: World, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "wait", lambda *_: 3)
    to(NEW)()
    assert "3 requests not done after 30 s: cut off" in capsys.readouterr().err
    assert world.events == [f"stop {OLD}", f"start {NEW}"]


def test_a_server_that_does_not_tell_is_not_waited_for(world: World, capsys: Captured) -> None:
    world.busy = [None]
    to(NEW)()
    assert "does not tell how many requests it has" in capsys.readouterr().err


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
