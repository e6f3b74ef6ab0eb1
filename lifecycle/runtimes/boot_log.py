"""Read a start off vLLM's log: how far it has come, and why it died."""

import re
import tomllib
from functools import cache
from typing import Any

from lifecycle.paths import DATA

START_MARK = "=== start"
"""The guard writes this before each start; what stands above it belongs to an earlier one."""

PREFIX = re.compile(r"^(\(\w[\w =]*pid=\d+\) )*([A-Z]+ [\d: -]+ \[[^]]*\] )?")
EXCEPTION = re.compile(r"^(?:[\w.]*\.)?\w*(?:Error|Exception|Exit)(?:: .+)?$")
USAGE = re.compile(r"^[\w. -]+: error: .+")
PYDANTIC = re.compile(r"\d+ validation errors? for ")
"""pydantic says in this line only that something is wrong; what, two lines further down."""


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads((DATA / "boot_log.toml").read_text())


def present(log: str) -> str:
    """The part of a log that belongs to the present start."""
    return log[max(log.rfind(START_MARK), 0) :]


def phase(log: str) -> str:
    """start, load, warm-up or ready."""
    reached = "start"
    for row in _data()["phase"]:
        if re.search(row["pattern"], log):
            reached = row["name"]
    return reached


def last_line(log: str) -> str:
    """The newest line, without its prefix of process, level, time and place."""
    lines = [line for line in log.splitlines() if line.strip() and "===" not in line]
    return PREFIX.sub("", lines[-1]).strip() if lines else ""


def cause(log: str) -> str:
    """The exception at the root of a failed start; the last lines when there is none.

    vLLM's processes die one after another, each with its own traceback: the first exception
    that does not merely report another one's death is the cause.
    """
    lines = [PREFIX.sub("", line).strip() for line in log.splitlines()]
    for number, line in enumerate(lines):
        found = EXCEPTION.match(line) or USAGE.match(line)
        if found and not any(re.search(p, line) for p in _data()["not_the_cause"]["patterns"]):
            more = lines[number + 1 : number + 3] if PYDANTIC.search(line) else []
            return "\n".join([line, *more])
    return "\n".join([line for line in lines if line][-5:]) or "its log is empty"
