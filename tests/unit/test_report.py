"""What a person sees: what, why and fix; and never a secret."""

import io
import json
import time

import pytest
from rich.console import Console

from lifecycle import report
from lifecycle.errors import HostNotReady
from lifecycle.host import GIB, Cpu, Host, Memory, Os, Server, Windows
from lifecycle.layers import Pull
from lifecycle.report import terminal
from lifecycle.step import Step
from lifecycle.steps.findings import OK, PERSON, UNREAD, Finding
from tests.unit.given import KEY, backend, running

Captured = pytest.CaptureFixture[str]
TOKEN = "hf_distinctive9Xw2"
SECRETIVE = backend(HF_TOKEN=TOKEN)


def test_a_failure_says_what_why_and_what_to_do(capsys: Captured) -> None:
    report.failure(HostNotReady("it broke", why="one\ntwo", fix="do this\nor that"))
    shown = capsys.readouterr()
    assert shown.err == "✗ it broke\n  one\n  two\n→ do this\n  or that\n"
    assert shown.out == ""


def test_a_failure_without_why_and_fix_is_one_line(capsys: Captured) -> None:
    report.failure(HostNotReady("it broke"))
    assert capsys.readouterr().err == "✗ it broke\n"


PLAIN = ["[bold]x[/]", "[/]", "a\\", "\\[x]", "--flag ':warning:'", "x" * 300, "rm -r 'two words'"]


@pytest.mark.parametrize("text", PLAIN)
def test_a_line_is_printed_as_it_is_so_that_it_can_be_pasted(capsys: Captured, text: str) -> None:
    report.line(text)
    assert capsys.readouterr().out == f"{text}\n"


@pytest.mark.parametrize("text", PLAIN)
def test_a_note_is_printed_as_it_is_and_not_among_the_output(capsys: Captured, text: str) -> None:
    report.note(text)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"{text}\n")


@pytest.mark.parametrize("text", PLAIN)
def test_a_failure_is_printed_as_it_is(capsys: Captured, text: str) -> None:
    report.failure(HostNotReady(text, why=text, fix=text))
    assert capsys.readouterr().err == f"✗ {text}\n  {text}\n→ {text}\n"


def test_a_document_is_json(capsys: Captured) -> None:
    report.document({"a": ["[bold]", "ü"]})
    assert json.loads(capsys.readouterr().out) == {"a": ["[bold]", "ü"]}


def test_the_endpoint_names_the_keys_place_and_not_the_key(capsys: Captured) -> None:
    report.endpoint(SECRETIVE)
    shown = capsys.readouterr().out
    for part in ("http://127.0.0.1:8000/v1", "VLLM_API_KEY in .env", "curl", "OpenAI(", "inv chat"):
        assert part in shown
    assert KEY not in shown
    assert TOKEN not in shown


def test_the_endpoint_takes_any_model_name(capsys: Captured) -> None:
    report.endpoint(backend(SERVED_NAME="a[bold]b"))
    assert capsys.readouterr().out.count("a[bold]b") == 3


def test_settings_are_shown_with_their_source_and_secrets_hidden(capsys: Captured) -> None:
    report.settings(SECRETIVE)
    shown = capsys.readouterr().out
    assert "MAX_MODEL_LEN" in shown
    assert "a test" in shown
    assert shown.count("(set, hidden)") == 2
    assert KEY not in shown
    assert TOKEN not in shown


def test_visible_settings_hold_no_secret() -> None:
    seen = report.visible(SECRETIVE)
    assert seen["PORT"] == {"value": "8000", "source": "a test"}
    assert KEY not in json.dumps(seen)
    assert TOKEN not in json.dumps(seen)


@pytest.mark.parametrize(
    ("server", "parts"),
    [
        (Server(), ["cpu", "stopped", "smollm2-135m-instruct", "127.0.0.1:8000", "venv"]),
        (running(backend()), ["ready", "42"]),
        (running(backend(), restarts=2), ["ready (2x)"]),
        (running(backend(), phase="load", memory=3 * 2**30), ["load", "3.0 GiB"]),
        (
            Server("failed", detail="[boom] it", log="/x.log"),
            ["failed", "cpu: [boom] it", "/x.log"],
        ),
    ],
    ids=["stopped", "ready", "restarted", "starting", "failed"],
)
def test_a_server_is_one_line_and_its_trouble_below(
    capsys: Captured, server: Server, parts: list[str]
) -> None:
    report.servers([(SECRETIVE, server)])
    shown = capsys.readouterr().out
    assert [part for part in parts if part not in shown] == []
    assert KEY not in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "60 min"), (3600, "1 h"), (7200, "2 h"),
        (86_400, "1 d"), (864_000, "10 d"),
    ],
)  # fmt: skip
def test_a_duration_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text


def test_a_plan_at_work_tells_state_reason_phases_and_end(capsys: Captured) -> None:
    step = Step("server.answers", "the server [x] answers", lambda _: "", phase="start")
    progress = report.Progress(live=True)
    progress.begin(step, "it runs with other values:\nA: 1 → 2")
    progress.progress("load", "reading")
    progress.progress("load", "reading more")
    progress.progress("", "still")
    progress.done(step)
    first, second, third, last = capsys.readouterr().err.splitlines()
    assert first.split() == [
        "start",
        "the",
        "server",
        "[x]",
        "answers:",
        "it",
        "runs",
        "with",
        "other",
        "values:",
    ]
    assert second.split() == ["A:", "1", "→", "2"]
    assert third.split()[:2] == ["load", "after"]
    assert last.split()[:3] == ["ready", "the", "server"]


def test_a_backend_shown_by_mistake_shows_no_secret() -> None:
    assert KEY not in f"{SECRETIVE} {SECRETIVE!r} {running(SECRETIVE)!r}"


def test_memory_of_a_card_is_shown_where_a_server_uses_one(capsys: Captured) -> None:
    served = backend("4090", GPU="cuda", RUNTIME="docker")
    report.servers([(served, running(backend()))], {"cuda": (22 * GIB, 24 * GIB)})
    report.servers([(served, running(backend()))])
    with_card, without = capsys.readouterr().out.split("backend")[1:]
    assert "22.0 of 24.0 GiB" in with_card
    assert "VRAM" not in without


def coming(current: int, total: int = 100_000_000) -> dict[str, object]:
    detail = {"current": current, "total": total}
    return {"status": "Downloading", "progressDetail": detail, "id": "a"}


def test_a_pull_in_a_line_has_layers_bytes_speed_and_time_left() -> None:
    pull = Pull("some:1")
    pull.take(coming(0), 0)
    pull.take(coming(20_000_000), 2)
    assert report.so_far(pull, 2) == "0 of 1 layers, 20.0 MB of 100.0 MB, 10.0 MB/s, 8 s left"
    pull.take({"status": "Waiting", "id": "b"}, 2)
    assert report.so_far(pull, 2) == "0 of 2 layers, 20.0 MB of at least 100.0 MB, 10.0 MB/s"


def test_a_pull_in_a_log_is_a_line_every_few_seconds_and_each_reason_to_wait(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress, pull = report.Progress(live=True), Pull("some:1")
    for tick in range(13):
        now[0] = float(tick)
        pull.take(coming(tick * 1_000_000), now[0])
        progress.pulling(pull)
    pull.begin_again("the network: again in 2 s")
    progress.pulling(pull)
    progress.pulling(pull)
    pull.take(coming(1), 13)
    progress.stop()
    first, second, note, end = (line.strip() for line in capsys.readouterr().err.splitlines())
    assert first == "pull  0 of 1 layers, 5.0 MB of 100.0 MB, 1.0 MB/s, 2 min left"
    assert second.startswith("pull  0 of 1 layers, 10.0 MB of 100.0 MB")
    assert note == "the network: again in 2 s"
    assert end.startswith("Docker keeps whole images")


def test_bars_show_every_layer_that_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=100, height=10)
    monkeypatch.setattr(terminal, "err", screen)
    progress, pull = report.Progress(live=True), Pull("some:1")
    for number in range(20):
        event = coming(5_000_000 * (number < 3), 10_000_000 * (number < 3))
        pull.take({**event, "id": f"layer{number:02}"}, 0)
        if number >= 3:
            pull.take({"status": "Waiting", "id": f"layer{number:02}"}, 0)
    progress.pulling(pull)
    live = progress._bars._bars._live  # type: ignore[union-attr]
    assert [task.fields["name"] for task in live.tasks if task.visible] == [  # type: ignore[union-attr]
        "total", "layer00", "layer01", "layer02",
    ]  # fmt: skip
    pull.digest = "sha256:1"
    progress.stop()
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "fetching, 10.0 MB" in shown
    assert "0 of 20 layers, 15.0 MB of at least 30.0 MB" in shown


@pytest.mark.parametrize(
    ("on", "head"),
    [
        (
            Host(os=Os("win32", name="Windows 11"), windows=Windows(memory=64 * GIB)),
            "Windows 11, 64 GiB RAM, no graphics card",
        ),
        (Host(os=Os("win32", name="Windows 11")), "Windows 11, no graphics card"),
        (
            Host(Os("linux", name="Debian"), cpu=Cpu("", (0, 1)), memory=Memory(16 * GIB)),
            "Debian, 2 cores, 16 GiB RAM, no graphics card",
        ),
    ],
)
def test_a_machine_is_described_by_what_is_known_of_it(
    capsys: Captured, on: Host, head: str
) -> None:
    report.checkup(backend(), on, [], startable=True)
    assert capsys.readouterr().out.startswith(head)


def test_a_doctor_that_could_not_ask_does_not_say_that_all_is_ready(capsys: Captured) -> None:
    late = Finding(
        "model.present",
        "the model is here",
        UNREAD,
        "no answer in 0.43 s",
        "Look again: inv doctor",
    )
    report.checkup(backend(), Host(os=Os("linux", name="Debian")), [late], startable=True)
    said = capsys.readouterr().out
    assert "All is ready" not in said
    assert "What is marked ? did not answer in time. Look again: inv doctor" in said
    assert "?" in said.splitlines()[3]


@pytest.mark.parametrize(
    ("states", "rest", "shown"),
    [([OK, OK], "everything", "2 states"), ([PERSON, OK], "all else", "1 state ")],
)
def test_the_doctor_folds_what_is_fine(
    states: list[str], rest: str, shown: str, capsys: Captured
) -> None:
    found = [Finding(f"a.{n}", f"state {n}", one, "why") for n, one in enumerate(states)]
    on = Host(os=Os("linux", name="Debian"))
    report.checkup(backend(), on, found, startable=True)
    said = capsys.readouterr().out
    assert rest in said
    assert shown in said
    assert ("state 0" in said, "state 1" in said) == (states[0] == PERSON, False)
    report.checkup(backend(), on, found, startable=True, everything=True)
    said = capsys.readouterr().out
    assert "state 1" in said
    assert "--all" not in said
