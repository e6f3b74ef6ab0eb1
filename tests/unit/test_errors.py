"""Every failure has its exit code, and the codes are those that docs and scripts rely on."""

import inspect

import pytest

from lifecycle import errors
from lifecycle.errors import INTERRUPTED, READER_GONE, LifecycleError

CODES = {
    "ConfigError": 2,
    "HostNotReady": 3,
    "RestartNeeded": 4,
    "CommandFailed": 5,
    "StepFailed": 6,
    "NotSupported": 7,
    "ServerUnhealthy": 8,
    "ModelUnavailable": 9,
    "OutputLost": 10,
}
CLASSES = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, LifecycleError) and kind is not LifecycleError
}
WITH_CODE = {name: kind for name, kind in CLASSES.items() if "exit_code" in vars(kind)}
"""A finer kind of a failure shares its code."""


def test_exit_codes_are_those_of_the_architecture() -> None:
    assert {name: kind.exit_code for name, kind in WITH_CODE.items()} == CODES
    assert {kind.exit_code for kind in CLASSES.values()} == set(CODES.values())


def test_no_two_failures_share_a_code_and_none_takes_that_of_a_bug() -> None:
    codes = [kind.exit_code for kind in WITH_CODE.values()]
    assert len(set(codes)) == len(codes)
    assert not {0, 1, INTERRUPTED, READER_GONE} & set(codes)


def test_interrupted_and_nobody_reads_are_what_shells_expect() -> None:
    assert INTERRUPTED == 130
    assert READER_GONE == 141


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES.keys())
def test_a_failure_carries_what_why_and_fix(kind: type[LifecycleError]) -> None:
    error = kind("it broke", why="because", fix="mend it")
    assert (str(error), error.what, error.why, error.fix) == (
        "it broke", "it broke", "because", "mend it",
    )  # fmt: skip
