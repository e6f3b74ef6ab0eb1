"""Flags in EXTRA_ARGS that memory depends on."""

import pytest

from lifecycle.steps import extra_arguments


@pytest.mark.parametrize(
    ("text", "number"),
    [("8192", 8192), ("8k", 8000), ("8K", 8192), ("2.5k", 2500), ("4G", 4 << 30), ("4g", 4 * 10**9),
     ("", 0), ("many", 0), ("-1", 0)],
)  # fmt: skip
def test_numbers_as_vllm_reads_them(text: str, number: int) -> None:
    assert extra_arguments.number(text) == number


def test_values_of_flags() -> None:
    said = "--enforce-eager --max_num_batched_tokens 8192 -pp=2"
    assert extra_arguments.values(said) == {
        "--enforce-eager": "", "--max-num-batched-tokens": "8192", "-pp": "2",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "blind"),
    [
        ("--language-model-only", True),
        ('--limit-mm-per-prompt \'{"image": 0, "video": 0}\'', True),
        ("--limit-mm-per-prompt image=0,video=0", True),
        ('--limit-mm-per-prompt \'{"image": {"count": 0}, "video": 0}\'', True),
        ('--limit-mm-per-prompt \'{"image": 1, "video": 0}\'', False),
        # vLLM allows what is not named: the tower of pictures and films is loaded.
        ("--limit-mm-per-prompt '{\"image\": 0}'", False),
        ("--limit-mm-per-prompt nonsense", False),
        ("", False),
    ],
)
def test_whether_anything_may_be_seen(text: str, *, blind: bool) -> None:
    assert extra_arguments.blind(extra_arguments.values(text)) == blind


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ('--speculative-config \'{"method": "mtp", "num_speculative_tokens": 3}\'', 3),
        ('--speculative-config \'{"method": "mtp"}\'', 0),
        ("--speculative-config '[]'", 0),
        ("", 0),
    ],
)
def test_tokens_guessed_ahead(text: str, number: int) -> None:
    assert extra_arguments.speculated(extra_arguments.values(text)) == number
