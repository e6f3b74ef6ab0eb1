"""What a person sees of a model on its way: bars on a terminal, lines in a log."""

import io
import time

import pytest
from rich.console import Console

from lifecycle import report
from lifecycle.files import CHECKING, FETCHING, HERE, Files
from lifecycle.report import terminal

Captured = pytest.CaptureFixture[str]
MB = 1_000_000


def arriving(count: int = 2) -> Files:
    return Files.of((f"model-{number:02}.safetensors", 100 * MB) for number in range(count))


def bring(files: Files, size: int, now: float) -> None:
    first = next(iter(files.files.values()))
    first.state, first.done = FETCHING, first.done + size
    files.fetched += size
    files.take(now)


def test_a_line_has_files_bytes_speed_time_left_and_what_holds_it_up() -> None:
    files = arriving()
    bring(files, 0, 0)
    bring(files, 20 * MB, 2)
    told = "0 of 2 files, 20.0 MB of 200.0 MB, 10.0 MB/s, 18 s left"
    assert report.fetched(files, 2) == told
    files.note = "the hub answered HTTP 429: waiting 30 s, as it says"
    assert report.fetched(files, 2) == f"{told} ({files.note})"


def test_what_is_complete_has_no_speed() -> None:
    files = arriving(1)
    bring(files, 100 * MB, 0)
    files.files["model-00.safetensors"].state = HERE
    assert report.fetched(files, 60) == "1 of 1 files, 100.0 MB of 100.0 MB"


def test_a_log_gets_a_line_every_few_seconds_and_each_event_once(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    shown, files = report.Downloads(live=True), arriving()
    for tick in range(120):
        now[0] = tick / 10
        bring(files, MB // 10, now[0])
        if tick == 70:
            files.events.append("model-00.safetensors was not what it should be")
        shown.show(files)
    shown.stop()
    first, event, second = (line.strip() for line in capsys.readouterr().err.splitlines())
    assert first.startswith("fetch  0 of 2 files, 5.1 MB of 200.0 MB, 1.0 MB/s")
    assert event == "model-00.safetensors was not what it should be"
    assert second.startswith("fetch  0 of 2 files, 10.1 MB")


def test_a_log_tells_soon_why_nothing_comes(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    shown, files = report.Downloads(live=True), arriving()
    files.note = "process 7 on box, since 12:00:00, fetches the same model; waiting for it"
    for tick in range(50):
        now[0] = tick / 10
        shown.show(files)
    (line,) = capsys.readouterr().err.splitlines()
    assert "process 7 on box" in line


def test_bars_show_what_is_at_work_when_not_all_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=120, height=10)
    monkeypatch.setattr(terminal, "err", screen)
    shown, files = report.Downloads(live=True), arriving(20)
    names = list(files.files)
    files.files[names[0]].state, files.files[names[0]].done = HERE, 100 * MB
    files.files[names[1]].state, files.files[names[1]].done = FETCHING, 50 * MB
    files.files[names[2]].state, files.files[names[2]].done = CHECKING, 100 * MB
    shown.show(files)
    assert shown._bars._live
    visible = [task.fields["name"] for task in shown._bars._live.tasks if task.visible]
    assert visible == ["total", names[1], names[2]]
    shown.stop()
    drawn = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "fetching, 50.0 MB of 100.0 MB" in drawn
    assert "1 of 20 files, 150.0 MB of 2.00 GB" in drawn
