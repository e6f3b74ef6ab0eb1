"""Flags in EXTRA_ARGS that memory depends on."""

import tomllib

import pytest

from lifecycle.arguments import NEWEST, RECORDED, memory, parse, table
from lifecycle.arguments.flags import FILE

BLIND = [
    ("--language-model-only", True),
    ('--limit-mm-per-prompt \'{"image": 0, "video": 0}\'', True),
    ("--limit-mm-per-prompt.image 0 --limit-mm-per-prompt.video 0", True),
    ('--limit-mm-per-prompt \'{"image": {"count": 0}, "video": 0}\'', True),
    ('--limit-mm-per-prompt \'{"image": 1, "video": 0}\'', False),
    # vLLM allows what is not named: the tower of pictures and films is loaded.
    ("--limit-mm-per-prompt '{\"image\": 0}'", False),
    ("--no-language-model-only", False),
    ("", False),
]


@pytest.mark.parametrize(("text", "blind"), BLIND)
def test_whether_anything_may_be_seen(text: str, *, blind: bool) -> None:
    assert memory.blind(parse(text, NEWEST)) == blind


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("", ""),
        ("-sc.method mtp -sc.num_speculative_tokens 3", "mtp"),
        ("-sc.method qwen3_next_mtp -sc.num_speculative_tokens 3", "mtp"),
        ("-sc.method ngram -sc.num_speculative_tokens 3", "ngram"),
        ("-sc.model '[ngram]' -sc.num_speculative_tokens 3", "ngram"),
        ("-sc.model o/n -sc.num_speculative_tokens 3", "draft_model"),
        ("--spec-method eagle3 --spec-model o/n --spec-tokens 3", "eagle3"),
    ],
)
def test_how_tokens_are_guessed_ahead(text: str, method: str) -> None:
    said = memory.speculation(parse(text, NEWEST))
    assert memory.method(said) == method
    assert said.get("num_speculative_tokens", 3) == 3


@pytest.mark.parametrize(
    ("text", "eager"),
    [
        ("", False),
        ("--enforce-eager", True),
        ("-O0", True),
        ("-O3", False),
        ("--compilation-config.cudagraph_mode NONE", True),
        ("-cc.cudagraph_mode PIECEWISE", False),
        ("-cc.mode 3", False),
    ],
)
def test_whether_graphs_are_captured(text: str, *, eager: bool) -> None:
    assert memory.eager(parse(text, NEWEST)) == eager


def test_what_nobody_reckons_is_named_and_what_nobody_knows_is_too() -> None:
    found = parse("--seed 1 --kv-offloading-size 4 --swap-space 4 --enable-eplb", "0.9.2")
    assert memory.unreckoned(found) == ["--enable-eplb", "--kv-offloading-size", "--swap-space"]


def test_every_flag_of_the_list_is_one_of_vllms() -> None:
    known = {flag for version in RECORDED for flag in table(version).flags}
    rows = tomllib.loads(FILE.read_text())["memory"]
    assert set(rows["unreckoned"]) | set(rows["reckoned"]) <= known
    assert not set(rows["unreckoned"]) & set(rows["reckoned"])
