"""What a server was started with: kept, read back, compared."""

import dataclasses
from pathlib import Path

import pytest

from lifecycle.host import Launch
from lifecycle.runtimes import launch
from tests.unit.given import KEY

WAS = Launch("venv", {"PORT": "8000", "MAX_MODEL_LEN": "2048"})


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    (tmp_path / launch.FILE).write_text(launch.text(WAS))
    assert launch.read(tmp_path) == WAS


@pytest.mark.parametrize(
    "text",
    [
        None, "", "[]", "{", '{"runtime": "venv"}', '{"runtime": "venv", "settings": 1}',
        '{"runtime": "podman", "settings": {}}', '{"runtime": ["venv"], "settings": {}}',
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_no_launch(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / launch.FILE).write_text(text)
    assert launch.read(tmp_path) == Launch()


def test_the_same_launch_has_no_differences() -> None:
    assert launch.differences(WAS, dataclasses.replace(WAS)) == []


def test_differences_are_told_one_line_a_value() -> None:
    now = Launch("docker", {"MAX_MODEL_LEN": "4096", "IMAGE": "x"})
    assert launch.differences(WAS, now) == [
        "RUNTIME: venv → docker",
        "IMAGE: unset → x",
        "MAX_MODEL_LEN: 2048 → 4096",
        "PORT: 8000 → unset",
    ]


def test_a_fingerprint_tells_secrets_apart_without_holding_them() -> None:
    one = launch.fingerprint(KEY)
    assert one == launch.fingerprint(KEY) != launch.fingerprint(KEY + "x")
    assert not any(KEY[start : start + 6] in one for start in range(len(KEY) - 6))
