"""`inv doctor`: its table, its JSON, its exit code, and a look that can be taken again."""

import json
from pathlib import Path
from typing import Any

import pytest
from invoke import Context, Exit

from lifecycle import facts, recording
from lifecycle.cmd import choose, doctor
from lifecycle.errors import HostNotReady
from lifecycle.host import Docker
from lifecycle.machine import Here
from lifecycle.shell import Output, Shell
from lifecycle.steps.findings import Finding
from tests.unit.given import KEY, Checkout

Captured = pytest.CaptureFixture[str]
CONTEXT = Context()


@pytest.fixture(autouse=True)
def here(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setattr(choose, "ROOT", checkout.root)
    monkeypatch.setattr(choose, "places", lambda: checkout.paths)
    monkeypatch.setattr(Shell, "read", lambda *_, **__: Output(127, "", "not found"))
    # Its socket is no business of a unit test.
    monkeypatch.setattr(facts, "_docker", lambda _: Docker())
    return checkout.env("cpu", "GPU=cpu\nPORT=8000\nMODEL=some-model\n")


def examined(capsys: Captured, **options: Any) -> tuple[str, str, int]:
    """What it printed, what it complained, and its exit code."""
    code = 0
    try:
        doctor.doctor(CONTEXT, **options)
    except Exit as ended:
        code = ended.code
    said = capsys.readouterr()
    return said.out, said.err, code


def test_what_needs_a_person_comes_first_and_the_exit_code_says_so(capsys: Captured) -> None:
    out, err, code = examined(capsys)
    lines = [line for line in out.splitlines() if line.strip()]
    assert code == 3
    # On a busy machine the look at the backend may not have been answered in time.
    assert lines[2].startswith(("you", "?"))
    assert "some-model" in err
    assert "→" in err


def test_json_holds_every_step_and_the_machine_and_no_secret(
    here: Checkout, capsys: Captured
) -> None:
    here.secrets(f"VLLM_API_KEY={KEY}\n")
    out, _, code = examined(capsys, json=True)
    said = json.loads(out)
    assert (code, said["ready"], said["backend"], said["startable"]) == (3, False, "cpu", True)
    assert {one["state"] for one in said["steps"]} <= {"ok", "advice", "todo", "person", "unread"}
    assert all(one["fix"] for one in said["steps"] if one["state"] != "ok")
    assert said["machine"]["os"]["system"] == "linux"
    assert KEY not in out


def test_a_recorded_look_says_the_same_on_replay(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, _ = examined(capsys, record=str(tmp_path))
    monkeypatch.setattr(Here, "text", lambda *_: pytest.fail("looked at this machine"))
    again, _, code = examined(capsys, replay=str(tmp_path))
    assert again == first
    assert code == 3


def test_a_recording_names_nobody(
    here: Checkout, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "distinctive-user")
    monkeypatch.setattr("platform.node", lambda: "distinctive-host.lan")
    said = Output(0, "of distinctive-user\n", "at distinctive-host.lan")
    monkeypatch.setattr(Shell, "read", lambda *_, **__: said)
    _, err, _ = examined(capsys, record=str(tmp_path))
    text = (tmp_path / recording.FILE).read_text()
    assert "distinctive" not in text
    assert str(here.root) not in text
    assert "read it before you send it" in err


def test_to_record_a_replay_is_refused(capsys: Captured, tmp_path: Path) -> None:
    _, err, code = examined(capsys, record=str(tmp_path), replay=str(tmp_path))
    assert code == 2
    assert "exclude each other" in err


def test_a_folder_without_a_recording_is_refused(capsys: Captured, tmp_path: Path) -> None:
    _, err, code = examined(capsys, replay=str(tmp_path))
    assert code == 2
    assert "--record" in err


def test_an_unknown_backend_is_refused(capsys: Captured) -> None:
    _, err, code = examined(capsys, gpu="cpuu")
    assert code == 2
    assert "--gpu cpu" in err


@pytest.mark.parametrize(
    ("states", "says"),
    [
        (["person", "unread"], "one thing needs you: line 0"),
        (["person", "person"], "2 things need you: line 0"),
        (["ok", "unread"], "one thing could not be asked: line 1"),
        (["unread", "unread"], "2 things could not be asked: line 0"),
    ],
)
def test_what_needs_a_person_is_told_before_what_could_not_be_asked(
    states: list[str], says: str
) -> None:
    found = [
        Finding(f"line.{i}", f"line {i}", state, "why", "fix") for i, state in enumerate(states)
    ]
    with pytest.raises(HostNotReady) as refused:
        doctor._refuse(found)
    assert (refused.value.what, refused.value.why, refused.value.fix) == (says, "why", "fix")
