"""The operating system, in one spelling."""

import platform

import pytest

from lifecycle.facts import os
from lifecycle.machine import Here
from lifecycle.shell import Shell


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "platform", lambda **_: "Linux")


def test_a_look_starts_no_process() -> None:
    assert os.look(Here(Shell())).name


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize(
    ("machine", "spelled"),
    [("x86_64", "x86_64"), ("AMD64", "x86_64"), ("arm64", "aarch64"), ("aarch64", "aarch64")],
)
def test_architectures_are_spelled_as_the_tables_do(
    monkeypatch: pytest.MonkeyPatch, machine: str, spelled: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert os.look(Here(Shell())).machine == spelled


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize(
    ("release", "wsl"),
    [
        ("5.15.167.4-microsoft-standard-WSL2", True),
        ("4.4.0-19041-Microsoft", True),
        ("6.1.0", False),
    ],
)
def test_wsl_shows_in_the_kernels_release(
    monkeypatch: pytest.MonkeyPatch, release: str, *, wsl: bool
) -> None:
    monkeypatch.setattr(platform, "release", lambda: release)
    assert os.look(Here(Shell())).wsl is wsl
