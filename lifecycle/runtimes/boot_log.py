"""Read a start off vLLM's log: how far it has come, and why it died."""

import re
import tomllib
from functools import cache
from typing import Any

from lifecycle.paths import DATA
from lifecycle.runtimes import exit_codes

START_MARK = "=== start"
"""The guard writes this before each start; what stands above it belongs to an earlier one."""

END_MARK = re.compile(r"^=== end: exit (-?\d+) ===$", re.MULTILINE)
"""The guard's, after each start."""

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


def death(log: str, code: int | None = None, *, tries: int = 1, out_of_memory: bool = False) -> str:
    """Why a server ended, as far as its log and its exit code tell.

    Args:
        log: the newest start that ended in it counts.
        code: its exit code; unset: as the guard wrote it down, if it did.
        tries: how often it ended like that.
        out_of_memory: somebody who knows says that memory ran out.
    """
    ends = list(END_MARK.finditer(log))
    if ends:
        code = int(ends[-1][1]) if code is None else code
        log = present(log[: ends[-1].start()])
    said = f"tried {tries} times" if tries > 1 else ""
    if code is not None and exit_codes.signal(code):
        how = exit_codes.named(code, out_of_memory=out_of_memory)
        return "\n".join(filter(None, [", ".join(filter(None, [how, said])), _exception(log)]))
    known = _exception(log)
    how = exit_codes.named(code) if code and not known else ""
    return "\n".join(filter(None, [how, cause(log), said]))


def cause(log: str) -> str:
    """The exception at the root of a failed start; the last lines when there is none."""
    lines = [PREFIX.sub("", line).strip() for line in log.splitlines()]
    told = [line for line in lines if line and not _says_nothing(line)]
    nothing = "its log does not say why" if any(lines) else "its log is empty"
    return _exception(log) or "\n".join(told[-5:]) or nothing


def _says_nothing(line: str) -> bool:
    """Of requests that were answered, and the guard's own marks."""
    return any(re.search(pattern, line) for pattern in _data()["says_nothing"]["patterns"])


def _exception(log: str) -> str:
    """VLLM's processes die one after another, each with its own traceback: the first exception
    that does not merely report another one's death is the cause. "" when there is none.
    """
    lines = [PREFIX.sub("", line).strip() for line in log.splitlines()]
    for number, line in enumerate(lines):
        found = EXCEPTION.match(line) or USAGE.match(line)
        if found and not any(re.search(p, line) for p in _data()["not_the_cause"]["patterns"]):
            more = lines[number + 1 : number + 3] if PYDANTIC.search(line) else []
            return "\n".join([line, *more])
    return ""
