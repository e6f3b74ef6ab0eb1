"""The doctor's lines: what blocks first, one fix each."""

import dataclasses

from lifecycle.errors import NotSupported
from lifecycle.host import Host
from lifecycle.step import Remove, Step, not_read
from lifecycle.steps import findings
from lifecycle.steps.findings import ADVICE, OK, PERSON, WORK, Finding
from tests.unit.given import PATHS, host

HOST = Host()
REACHED = Step("so", "so", lambda _: "", found=lambda _: "version 3")
PERSONS = Step("driver", "driver", lambda _: "there is none", fix="install it")
OURS = Step(
    "file", "file", lambda _: "absent", (Remove(PATHS.home),), fix="by hand", by="inv setup.x"
)
BETTER = Step("more", "more", lambda _: "little", fix="buy", advice=True)


def test_each_state_has_its_line_and_the_most_blocking_comes_first() -> None:
    assert findings.urgent_first(findings.examine([REACHED, BETTER, OURS, PERSONS], HOST)) == [
        Finding("driver", "driver", PERSON, "there is none", "install it"),
        Finding("file", "file", WORK, "absent", "inv setup.x", "inv setup.x"),
        Finding("more", "more", ADVICE, "little", "buy"),
        Finding("so", "so", OK, "version 3"),
    ]


def test_lines_of_one_kind_keep_the_order_of_the_plan() -> None:
    second = dataclasses.replace(PERSONS, name="driver")
    assert [
        one.name
        for one in findings.urgent_first(findings.examine([PERSONS, REACHED, second], HOST))
    ] == [
        "driver", "driver", "so",
    ]  # fmt: skip


def test_advice_a_command_can_follow_names_the_command() -> None:
    step = dataclasses.replace(OURS, advice=True)
    assert findings.examine([step], HOST)[0].fix == "inv setup.x"


def test_only_a_person_keeps_a_machine_from_being_ready() -> None:
    assert findings.ready(findings.examine([REACHED, BETTER, OURS], HOST))
    assert not findings.ready(findings.examine([REACHED, PERSONS], HOST))


def test_a_step_that_refuses_is_a_line_for_a_person() -> None:
    def refuse(_: Host) -> str:
        raise NotSupported("not known", why="known: x86_64", fix="take another")

    assert findings.examine([Step("processor", "processor", refuse)], HOST) == [
        Finding("processor", "processor", PERSON, "not known\nknown: x86_64", "take another")
    ]


def test_what_could_not_be_asked_is_neither_fine_nor_a_persons() -> None:
    # A doctor said "not read backend: no answer in 0.43 s", and below it "ok - the model is here".
    fine = Step("model.present", "model.present", lambda _: "", unread=not_read("backend"))
    broken = Step("docker.answers", "docker.answers", lambda _: "silent", unread=not_read("docker"))
    late = host(unread={"backend": "no answer in 0.43 s", "docker": "no answer in 0.25 s"})
    found = findings.examine([fine, broken], late)
    assert [(one.state, one.detail) for one in found] == [
        (findings.UNREAD, "no answer in 0.43 s"),
        (findings.UNREAD, "no answer in 0.25 s"),
    ]
    assert all(one.fix == "Look again: inv doctor" for one in found)
    assert (findings.ready(found), findings.known(found)) == (False, False)
    read = findings.examine([fine, broken], host())
    assert [one.state for one in read] == [findings.OK, findings.PERSON]
    assert findings.known(read)
