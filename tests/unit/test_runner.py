"""Applying steps: in order, a look after each change, and every way to end."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lifecycle import engine, runner
from lifecycle.errors import (
    CommandFailed,
    HostNotReady,
    ModelUnavailable,
    RestartNeeded,
    ServerDied,
    ServerUnhealthy,
    StepFailed,
)
from lifecycle.files import Files
from lifecycle.host import Host
from lifecycle.hub import client
from lifecycle.layers import Pull
from lifecycle.models import figures, seed
from lifecycle.run_log import RunLog
from lifecycle.runner import Runner
from lifecycle.runtimes import ready
from lifecycle.shell import Shell
from lifecycle.step import (
    Action,
    AskHub,
    AwaitReady,
    Command,
    EditFile,
    PullImage,
    Remove,
    SeedModel,
    Step,
    StopServer,
    WriteFile,
)  # fmt: skip
from tests.unit.given import KEY, PATHS

NOTED = Path("/data/noted")
AWAIT = AwaitReady("cpu", "venv", "http://127.0.0.1:8000", "mine", KEY)


class World(Shell):
    """A machine whose state is a set of names, the shell that changes it, and who watches."""

    def __init__(self, *there: str, dry: bool = False) -> None:
        super().__init__(dry=dry, say=lambda line: self.events.append(f"said {line}"))
        self.there = set(there)
        self.events: list[str] = []

    def look(self) -> Host:
        self.events.append("look")
        return Host(port_owner=" ".join(sorted(self.there)))

    def run(self, command: Command, on_line: Callable[[str], None] = print) -> None:
        if self.dry:
            return super().run(command, on_line)
        self.events.append(f"run {command}")
        self.there.add(command.argv[-1])
        return on_line("50 %")

    def write(self, file: WriteFile) -> None:
        if self.dry:
            return super().write(file)
        return self.events.append(str(file))

    def remove(self, target: Remove) -> None:
        if self.dry:
            return super().remove(target)
        return self.events.append(str(target))

    def begin(self, step: Step, why: str) -> None:
        self.events.append(f"begin {step.name}: {why}")

    def progress(self, phase: str, detail: str) -> None:
        self.events.append(f"progress {phase}{detail}")

    def pulling(self, pull: Pull) -> None:
        self.events.append(f"pulling {pull.reference}")

    def fetching(self, files: Files) -> None:
        self.events.append(f"fetching {len(files.files)} files")

    def tell(self, text: str) -> None:
        self.events.append(f"told {text}")

    def stop(self) -> None:
        self.events.append("stop")

    def done(self, step: Step) -> None:
        self.events.append(f"done {step.name}")

    def apply(self, *steps: Step) -> bool:
        host = Host(port_owner=" ".join(sorted(self.there)))
        return Runner(PATHS, self, self.look, self).apply(steps, host)


def state(name: str, *actions: Action, fix: str = "", restart: str = "") -> Step:
    def missing(host: Host) -> str:
        return "" if name in host.port_owner.split() else f"no {name}"

    return Step(name, name, missing, actions, fix, restart=restart)


def made(name: str) -> Step:
    return state(name, Command(("make", name)))


def test_when_all_is_there_nothing_is_done_not_even_a_look() -> None:
    world = World("one", "two")
    assert world.apply(made("one"), state("two")) is False
    assert world.events == []


def test_steps_come_in_order_and_the_machine_is_looked_at_after_each() -> None:
    world = World()
    assert world.apply(made("one"), made("two")) is True
    assert world.events == [
        "begin one: no one", "run make one", "progress 50 %", "look", "done one",
        "begin two: no two", "run make two", "progress 50 %", "look", "done two",
    ]  # fmt: skip


def test_what_is_done_is_kept_in_a_log_and_a_failure_names_it(tmp_path: Path) -> None:
    world, log = World(), RunLog(tmp_path, "up")
    steps = [made("one"), state("two", Command(("make", "other")))]
    runner = Runner(PATHS, world, world.look, world, log)
    with pytest.raises(StepFailed) as caught:
        runner.apply(steps, Host())
    assert log.path is not None
    assert caught.value.log == str(log.path)
    text = log.path.read_text()
    for part in (
        "one: one\nno one\n$ make one\n50 %\n[done",
        "failed: still not true after the fix: two",
    ):
        assert part in text


def test_a_dry_run_leaves_no_log(tmp_path: Path) -> None:
    world, log = World(), RunLog(tmp_path, "up")
    world.dry = True
    Runner(PATHS, world, world.look, world, log).apply([made("one")], Host())
    assert log.path is None


def test_a_step_that_an_earlier_one_made_needless_is_passed_by() -> None:
    world = World()
    both = state("one", Command(("make", "two")), Command(("make", "one")))
    world.apply(both, made("two"))
    assert [event for event in world.events if event.startswith("run")] == [
        "run make two", "run make one",
    ]  # fmt: skip


def test_actions_that_do_not_bring_the_state_about_are_a_failed_step() -> None:
    world = World()
    with pytest.raises(StepFailed, match="still not true after the fix: one") as caught:
        world.apply(state("one", Command(("make", "other")), fix="mend it"), made("two"))
    assert (caught.value.why, caught.value.fix) == ("no one", "mend it")
    assert "run make two" not in world.events


def test_what_only_a_person_can_do_ends_the_run_before_anything_after_it() -> None:
    world = World()
    with pytest.raises(HostNotReady, match="requirement not met: one") as caught:
        world.apply(state("one", fix="switch it on"), made("two"))
    assert (caught.value.why, caught.value.fix) == ("no one", "switch it on")
    assert world.events == []


def test_a_step_may_name_its_own_failure() -> None:
    step = Step("model.present", "a model", lambda _: "absent", failure=ModelUnavailable)
    with pytest.raises(ModelUnavailable, match="a model"):
        World().apply(step)


def test_what_needs_a_restart_ends_the_run_with_the_sentence_to_follow() -> None:
    world = World()
    with pytest.raises(RestartNeeded) as caught:
        world.apply(state("one", Command(("make", "one")), restart="restart Windows"), made("two"))
    assert caught.value.fix == "restart Windows"
    assert "run make two" not in world.events


def test_after_the_restart_the_same_plan_goes_on() -> None:
    world = World("one")
    assert world.apply(state("one", Command(("make", "one")), restart="again"), made("two"))
    assert "run make one" not in world.events


EVERYTHING = state(
    "one", Command(("make", "it")), WriteFile(NOTED, KEY, 0o600), Remove(NOTED),
    PullImage("image:1"), AskHub("o/n", "main"), SeedModel("o/n", "v1"),
    StopServer("cpu", "venv"), AWAIT,
)  # fmt: skip


def test_a_dry_run_says_every_change_makes_none_and_does_not_look() -> None:
    world = World(dry=True)
    assert world.apply(EVERYTHING, state("two", Remove(NOTED)))
    assert world.events == [
        "begin one: no one",
        "said make it",
        "said write /data/noted (mode 600)",
        "said remove /data/noted",
        "said docker pull image:1",
        "said ask the hub for the figures of o/n at main",
        "said fetch o/n at v1 from the hub",
        "said stop the venv server of backend cpu",
        "said wait until http://127.0.0.1:8000/v1/models lists mine and a generation came back",
        "begin two: no two",
        "said remove /data/noted",
    ]


def test_a_dry_run_says_where_a_restart_comes_between() -> None:
    world = World(dry=True)
    world.apply(state("one", Command(("make", "one")), restart="restart Windows"), made("two"))
    assert [event for event in world.events if event.startswith("said")] == [
        "said make one", "said # only after a restart: restart Windows", "said make two",
    ]  # fmt: skip


def test_advice_nobody_can_carry_out_does_not_stop_the_rest() -> None:
    world = World()
    wish = dataclasses.replace(state("a bigger machine", fix="buy one"), advice=True)
    assert world.apply(wish, made("two"))
    assert "run make two" in world.events


def test_a_persons_own_file_is_shown_as_a_difference_before_it_is_changed(tmp_path: Path) -> None:
    world, file = World(), tmp_path / ".wslconfig"
    file.write_text("[wsl2]\n")
    edit = EditFile(file, "[wsl2]\n", "[wsl2]\nmemory=8GB\n")
    with pytest.raises(StepFailed):
        world.apply(state("one", edit))
    told = next(event for event in world.events if event.startswith("told"))
    assert "+memory=8GB" in told
    assert "-[wsl2]" not in told


def test_a_command_that_talks_to_the_person_gets_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    handed: list[str] = []

    def replace(command: Command) -> int:
        handed.append(str(command))
        return 0

    monkeypatch.setattr(world, "replace", replace)
    with pytest.raises(StepFailed):
        world.apply(state("one", Command(("log", "in"), attached=True)))
    assert handed == ["log in"]
    assert world.events.index("stop") < world.events.index("look")


def test_a_command_that_failed_on_the_persons_terminal_is_a_failed_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    monkeypatch.setattr(world, "replace", lambda _: 3)
    with pytest.raises(CommandFailed, match=r"exit 3.*log in"):
        world.apply(state("one", Command(("log", "in"), attached=True)))


def test_a_dry_run_only_says_a_command_that_talks_to_the_person() -> None:
    world = World(dry=True)
    world.apply(state("one", Command(("log", "in"), attached=True)))
    assert "said log in" in world.events


def test_a_dry_run_still_tells_what_only_a_person_can_do() -> None:
    with pytest.raises(HostNotReady):
        World(dry=True).apply(state("one", fix="switch it on"))


@pytest.fixture
def downs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Backends whose server was taken down."""
    names: list[str] = []
    module = SimpleNamespace(down=lambda backend, *_: names.append(backend))
    monkeypatch.setattr(runner, "runtime", lambda _: module)
    return names


def stand_in_hub(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = object()

    def learn(door: object, _: object, repo: str, revision: str) -> None:
        assert door is hub
        world.events.append(f"asked for {repo} {revision}")

    def bring(
        door: object, what: tuple[str, str, str], _: object, show: Callable[..., None], tell: object
    ) -> None:
        assert (door, tell) == (hub, world.tell)
        world.events.append(f"brought {' '.join(what)}")
        show(Files.of([("model.safetensors", 7)]))

    monkeypatch.setattr(client, "connect", lambda *_: hub)
    monkeypatch.setattr(figures, "learn", learn)
    monkeypatch.setattr(seed, "bring", bring)


def test_each_action_goes_through_its_door(
    downs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    stand_in_hub(world, monkeypatch)
    monkeypatch.setattr(engine, "pull", lambda name, watch: watch(Pull(name)))
    monkeypatch.setattr(ready, "wait", lambda *_: world.there.add("one"))
    world.apply(EVERYTHING)
    assert world.events[1:] == [
        "run make it", "progress 50 %", "write /data/noted (mode 600)", "remove /data/noted",
        "pulling image:1", "asked for o/n main", "brought o/n v1 model", "fetching 1 files",
        "look", "done one",
    ]  # fmt: skip
    assert downs == ["cpu"]


@pytest.mark.parametrize(
    ("failure", "down"), [(ServerDied("died"), ["cpu"]), (ServerUnhealthy("hangs"), [])]
)
def test_a_server_that_died_is_taken_down_one_that_hangs_is_left(
    downs: list[str],
    monkeypatch: pytest.MonkeyPatch,
    failure: ServerUnhealthy,
    down: list[str],
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(ready, "wait", fail)
    with pytest.raises(type(failure)):
        World().apply(state("one", AWAIT))
    assert downs == down
