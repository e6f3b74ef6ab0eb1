"""Files and repos that arguments name."""

import pytest

from lifecycle.arguments import NEWEST, Place, parse, places, table, with_places, words
from lifecycle.arguments.places import _rows

EVERYTHING = (
    """--lora-modules a=/l/a '{"name": "b", "path": "o/b", "base_model_name": "m"}' """
    "--speculative-config.model o/d --speculative-config.revision v1 "
    "--tokenizer o/t --tokenizer-revision v2 --generation-config ./g --tool-parser-plugin p.py "
    "--enable-lora --default-mm-loras.audio /l/c --profiler-config.torch_profiler_dir /tmp/p"
)


def test_every_place_is_a_flag_of_some_version_and_a_field_of_it() -> None:
    for row in _rows():
        flags = [table(version).flags.get(row.flag) for version in ("0.32.0", NEWEST)]
        known = [flag for flag in flags if flag]
        assert known, row.flag
        key = row.key.partition(".")[0]
        if key and known[0].fields:
            assert key in known[0].fields, (row.flag, key)


def test_places_in_lists_objects_and_plain_flags() -> None:
    assert set(places(parse(EVERYTHING, NEWEST))) == {
        Place("--lora-modules", "/l/a", "adapter"),
        Place("--lora-modules", "o/b", "adapter"),
        Place("--default-mm-loras.audio", "/l/c", "adapter"),
        Place("--speculative-config.model", "o/d", "model", "v1"),
        Place("--tokenizer", "o/t", "tokenizer", "v2"),
        Place("--generation-config", "./g", "config"),
        Place("--tool-parser-plugin", "p.py", "file"),
        Place("--profiler-config.torch_profiler_dir", "/tmp/p", "writes"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "--speculative-config.method ngram --speculative-config.model ngram",
        "--generation-config vllm",
        "--speculative-config.model my_package.Proposer",
        "--speculative-config.method custom_class --speculative-config.model x",
        "--tool-parser-plugin ''",
        "--seed 1",
    ],
)
def test_what_is_no_place(text: str) -> None:
    assert places(parse(text, NEWEST)) == []


def test_other_words_can_be_put_in_their_places_and_all_is_written_out_again() -> None:
    found = parse(EVERYTHING, NEWEST)
    moved = with_places(found, lambda place: f"/in{place.word}")
    again = parse(" ".join(f"'{word}'" for word in words(moved, NEWEST)), NEWEST)
    assert again == moved
    assert {one.word for one in places(again)} == {f"/in{one.word}" for one in places(found)}
    assert words(found, NEWEST)  # the first one is what it was


@pytest.mark.parametrize(
    "text",
    [
        "--no-enable-prefix-caching --enforce-eager",
        "--seed -1",
        "--cudagraph-capture-sizes 1 2",
        "--middleware a.b --middleware c.d",
        '--hf-overrides \'{"a": [1, null, "x y"]}\'',
        "--max-num-batched-tokens 8k",
        "--root-path=-x",
    ],
)
def test_written_out_it_means_the_same(text: str) -> None:
    import shlex

    found = parse(text, NEWEST)
    assert parse(shlex.join(words(found, NEWEST)), NEWEST) == found


def test_what_nobody_knows_is_kept() -> None:
    assert words(parse("--new 1 --seed 2"), NEWEST) == ("--seed", "2", "--new", "1")
