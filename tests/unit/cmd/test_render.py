"""What is made of Compose's answer; the rest is in tests/integration/test_render.py."""

import pytest

from lifecycle.cmd.render import LEFT_OPEN, STAND_IN, opened


@pytest.mark.parametrize("name", LEFT_OPEN)
def test_each_stand_in_becomes_a_question(name: str) -> None:
    text = f"      VLLM_X: {STAND_IN.format(name)}\n"
    assert opened(text) == f"      VLLM_X: ${{{name}:?{LEFT_OPEN[name]}}}\n"


def test_no_question_can_be_taken_for_more_yaml() -> None:
    for asked in LEFT_OPEN.values():
        assert ": " not in asked
        assert "#" not in asked


def test_a_folder_is_never_made_by_docker_whatever_composes_version() -> None:
    assert opened("        bind: {}\n") == "        bind: {create_host_path: false}\n"
    newer = "        bind:\n          create_host_path: false\n"
    assert opened(newer) == newer
