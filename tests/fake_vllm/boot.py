"""What vLLM prints while it starts: the recorded log, replayed at a chosen pace."""

import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from tests.fake_vllm.faults import Fault
from tests.fake_vllm.settings import Settings

RECORDED = Path(__file__).parent / "recorded"
BOOT = RECORDED / "boot-0.32.0-cpu.log"
CRASH = RECORDED / "crash-0.32.0-cpu.log"
RECORDED_PORT = "8123"
RECORDED_NAME = "smollm2-135m"
STAMP = re.compile(r"\b\d\d-\d\d (\d\d):(\d\d):(\d\d)\b")
API_PID = re.compile(r"(APIServer pid=|Started server process \[)\d+")


def replay(settings: Settings) -> Iterator[tuple[float, str]]:
    """Yield each line of the log with the seconds to wait before it."""
    lines = (CRASH if settings.has(Fault.CRASH_AT_BOOT) else BOOT).read_text(encoding="utf-8")
    moments = _moments(lines.splitlines())
    length = moments[-1][0] or 1.0
    pace = boot_seconds(settings) / length
    started = datetime.now().astimezone()
    previous = 0.0
    for moment, line in moments:
        now = started + timedelta(seconds=moment * pace)
        yield (moment - previous) * pace, _rewrite(line, settings, now)
        previous = moment


def boot_seconds(settings: Settings) -> float:
    """Return how long the start takes."""
    late = settings.fault_seconds if settings.has(Fault.SLOW_BOOT) else 0.0
    return settings.boot_seconds + late


def _moments(lines: list[str]) -> list[tuple[float, str]]:
    """Return each line with its time since the first; lines without a time follow the last."""
    moments: list[tuple[float, str]] = []
    first: float | None = None
    now = 0.0
    for line in lines:
        if found := STAMP.search(line):
            clock = int(found[1]) * 3600.0 + int(found[2]) * 60 + int(found[3])
            first = clock if first is None else first
            now = clock - first
        moments.append((now, line))
    return moments


def _rewrite(line: str, settings: Settings, now: datetime) -> str:
    line = STAMP.sub(now.strftime("%m-%d %H:%M:%S"), line)
    line = API_PID.sub(lambda found: f"{found[1]}{os.getpid()}", line)
    line = line.replace(RECORDED_PORT, str(settings.port))
    return line.replace(RECORDED_NAME, settings.model)
