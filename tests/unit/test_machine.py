"""Looking: every answer is remembered as it was given, and given again as it was remembered."""

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lifecycle.host import Disk, Docker, Os, Weights
from lifecycle.machine import Here, Machine, Replay, plain, side_by_side
from lifecycle.shell import Output, Shell

if TYPE_CHECKING:
    from collections.abc import Callable


class Told(Shell):
    """A shell whose programs answer from a list, and which counts the questions."""

    def __init__(self, *answers: Output) -> None:
        super().__init__()
        self.answers = list(answers)
        self.limits: list[float] = []

    def read(self, *argv: str, limit: float = 10, env: object = None) -> Output:
        del argv, env
        self.limits.append(limit)
        return self.answers.pop(0)


def replayed(here: Here) -> Replay:
    return Replay(here.recorded())


def test_a_program_answers_the_same_on_the_recorded_machine() -> None:
    here = Here(Told(Output(3, "text\n", "oh")))
    said = here.run("a program", "--flag")
    assert said == Output(3, "text\n", "oh")
    assert replayed(here).run("a program", "--flag") == said


def test_files_folders_and_devices_answer_the_same_on_the_recorded_machine(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("täxt")
    here = Here(Shell())
    questions: list[Callable[[Machine], object]] = [
        lambda m: m.text(tmp_path / "file"), lambda m: m.text(tmp_path / "none"),
        lambda m: m.names(tmp_path), lambda m: m.names(tmp_path / "none"),
        lambda m: m.exists(tmp_path / "file"), lambda m: m.exists(tmp_path / "none"),
    ]  # fmt: skip
    found = [question(here) for question in questions]
    assert found == ["täxt", None, ("file",), (), True, False]
    assert [question(replayed(here)) for question in questions] == found


@pytest.mark.parametrize(
    "fact",
    [
        Os("linux", groups=frozenset({"docker", "adm"})),
        Disk(Path("/data"), 5, writable=True, kind="ext4"),
        Weights(Path("/a"), None, 7),
        Docker(runtimes=frozenset({"nvidia"})),
        "text",
        frozenset({"a", "b"}),
    ],
)
def test_what_python_knows_survives_the_recording(fact: object) -> None:
    here = Here(Shell())
    absent: object = Disk(Path()) if isinstance(fact, Disk) else type(fact)()
    assert here.ask("fact", absent, lambda: fact) == fact
    assert replayed(here).ask("fact", absent, lambda: absent) == fact


def test_sets_are_written_in_order_so_that_recordings_can_be_compared() -> None:
    assert plain(frozenset("cab")) == ["a", "b", "c"]


def test_a_question_that_fails_is_answered_as_absent() -> None:
    def fail() -> str:
        raise OSError

    assert Here(Shell()).ask("fact", "absent", fail) == "absent"


def test_an_unknown_question_to_a_recorded_machine_is_answered_as_absent() -> None:
    machine = Replay({})
    assert machine.run("program").code == 127
    assert machine.text("/file") is None
    assert machine.names("/folder") == ()
    assert not machine.exists("/dev/kfd")
    assert machine.ask("fact", "absent", lambda: "there") == "absent"


def test_what_is_kept_is_asked_until_it_succeeds_and_then_never_again() -> None:
    shell = Told(Output(1, ""), Output(0, "yes"))
    here = Here(shell)
    said = [here.again().run("slow.exe", keep=True).text for _ in range(4)]
    assert said == ["", "yes", "yes", "yes"]
    assert shell.answers == []


def test_a_program_gets_no_more_than_what_is_left_of_the_whole_look() -> None:
    shell = Told(Output(0, ""), Output(0, ""), Output(0, ""))
    here = Here(shell, limit=0.4)
    here.run("program", limit=60)
    time.sleep(0.41)
    here.run("program", limit=60)
    here.again().run("program", limit=60)
    first, late, again = shell.limits
    assert first <= 0.4
    assert late == pytest.approx(0.05)
    assert again > late


def test_looks_run_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=5)
    found, problems = side_by_side({"one": meeting.wait, "two": meeting.wait}, 5)
    assert sorted(found) == ["one", "two"]
    assert problems == {}


def test_a_look_that_hangs_or_fails_says_so_and_the_others_count() -> None:
    released = threading.Event()

    def fail() -> None:
        raise ValueError("odd")

    looks: dict[str, Callable[[], object]] = {
        "hangs": released.wait,
        "fails": fail,
        "works": lambda: 1,
    }
    found, problems = side_by_side(looks, 0.1)
    released.set()
    assert found == {"works": 1}
    assert problems == {
        "hangs": "no answer in 0.1 s",
        "fails": "could not be read: ValueError: odd",
    }
