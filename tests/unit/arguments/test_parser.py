"""What vLLM 0.33.0 makes of arguments, and what it refuses.

The real parser of 0.32.0 says the same: `tests/integration/test_vllm_arguments.py`.
"""

from typing import Any

import pytest

from lifecycle.arguments import NEWEST, Refused, parse

JSON = """'{"image": 0, "video": 0}'"""


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("--enforce-eager", {"--enforce-eager": True}),
        ("--no-enable-prefix-caching", {"--enable-prefix-caching": False}),
        ("--enable-lora --disable-lora", {"--enable-lora": False}),  # the last one counts
        ("--cpu_offload_gb=14", {"--cpu-offload-gb": 14.0}),
        ("--cpu-offload-g 14", {"--cpu-offload-gb": 14.0}),
        ("--seed -1", {"--seed": -1}),
        ("--seed 1 --seed 2", {"--seed": 2}),
        ("--max-num-batched-tokens 8k", {"--max-num-batched-tokens": 8000}),
        ("--max-num-batched-tokens 2.5k", {"--max-num-batched-tokens": 2500}),
        ("--kv-cache-memory-bytes 4G", {"--kv-cache-memory-bytes": 4 << 30}),
        ("-dp 2 -pp=3", {"--data-parallel-size": 2, "--pipeline-parallel-size": 3}),
        ("-O3", {"--optimization-level": "3"}),
        ("-O=2", {"--optimization-level": "2"}),
        ("-O 0", {"--optimization-level": "0"}),
        (f"--limit-mm-per-prompt {JSON}", {"--limit-mm-per-prompt": {"image": 0, "video": 0}}),
        (f"--limit_mm_per_prompt={JSON}", {"--limit-mm-per-prompt": {"image": 0, "video": 0}}),
        (
            "--limit-mm-per-prompt.image 0 --limit-mm-per-prompt.video=0",
            {"--limit-mm-per-prompt": {"image": 0, "video": 0}},
        ),
        (
            "-sc.method mtp --speculative-config.num_speculative_tokens 3",
            # As vLLM does it: each spelling makes an object of its own, and the last one counts.
            {"--speculative-config": {"num_speculative_tokens": 3}},
        ),
        (
            "-sc.method mtp -sc.num_speculative_tokens 3",
            {"--speculative-config": {"method": "mtp", "num_speculative_tokens": 3}},
        ),
        (
            "--hf-overrides.rope_parameters.factor 4 --hf-overrides.rope_parameters.rope_type yarn",
            {"--hf-overrides": {"rope_parameters": {"factor": 4, "rope_type": "yarn"}}},
        ),
        ("--hf-overrides.seq_len 1k", {"--hf-overrides": {"seq_len": 1000}}),
        (
            "--compilation-config.cudagraph_capture_sizes+ 1,2",
            {"--compilation-config": {"cudagraph_capture_sizes": ["1", "2"]}},
        ),
        ("--allowed-origins '[\"*\"]'", {"--allowed-origins": ["*"]}),
        ("--cudagraph-capture-sizes 1 2 4", {"--cudagraph-capture-sizes": [1, 2, 4]}),
        ("--middleware a.b --middleware c.d", {"--middleware": ["a.b", "c.d"]}),
        (
            """--lora-modules a=/x '{"name": "b", "path": "o/n"}'""",
            {"--lora-modules": [{"name": "a", "path": "/x"}, {"name": "b", "path": "o/n"}]},
        ),
        ("--moe-backend FLASHINFER-TRTLLM", {"--moe-backend": "flashinfer_trtllm"}),
        ("--tool-parser-plugin ''", {"--tool-parser-plugin": ""}),
    ],
)  # fmt: skip
def test_it_is_read_as_vllm_reads_it(text: str, values: dict[str, Any]) -> None:
    assert parse(text, NEWEST).values == values


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("--enabel-lora", "has no flag --enabel-lora", "Did you mean --enable-lora?"),
        ("--swap-space 4", "vLLM 0.33.0 has no flag --swap-space", "vllm serve --help=all"),
        ("--cpu-offload 4", "--cpu-offload may mean --cpu-offload-gb, --cpu-offload-params", ""),
        ("--seed", "--seed has no value", ""),
        ("--max-num-batched-tokens --enforce-eager", "--max-num-batched-tokens has no value", ""),
        (
            "--enforce-eager true",
            "--enforce-eager takes no value: remove 'true'",
            "--no-enforce-eager",
        ),
        ("--enforce-eager=true", "--enforce-eager takes no value", ""),
        ("stray", "'stray' belongs to no flag", "Quote"),
        ("--block-size 16k", "must be a whole number, not '16k'", "Write 16000"),
        ("--seed 1.5", "--seed: must be a whole number, not '1.5'", ""),
        ("--cpu-offload-gb much", "--cpu-offload-gb: must be a number, not 'much'", ""),
        ("--cpu-offload-gb nan", "--cpu-offload-gb: must be a number, not 'nan'", ""),
        ("--cpu-offload-gb 1e400", "--cpu-offload-gb: must be a number, not '1e400'", ""),
        ("--cpu-offload-gb -5", "--cpu-offload-gb: must be 0 or more, not '-5'", ""),
        ("-pp -1", "--pipeline-parallel-size: must be 1 or more, not '-1'", ""),
        ("--data-parallel-size 0", "--data-parallel-size: must be 1 or more, not '0'", ""),
        ("--task embed", "has no flag --task", "vllm serve --help=all"),
        ("--max-num-batched-tokens 2.5K", "not '2.5K'", "write 2.5k"),
        ("--max-lora-rank 100", "'100' is not one of 1, 8, 16", ""),
        ("--max-lora-rank x", "must be a whole number", ""),
        (
            "--limit-mm-per-prompt image=0,video=0",
            "vLLM no longer takes KEY=VALUE lists",
            "Write --limit-mm-per-prompt.image 0 --limit-mm-per-prompt.video 0",
        ),
        (
            '--limit-mm-per-prompt {"image":0,"video":0}',
            "its double quotes were lost",
            "Write --limit-mm-per-prompt.image 0 --limit-mm-per-prompt.video 0",
        ),
        (
            '--hf-overrides {"rope_parameters":{"rope_type":"yarn","factor":4.0}}',
            "its double quotes were lost",
            """--hf-overrides '{"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}'""",
        ),
        ("--hf-overrides '{'", "is not JSON", ""),
        (
            """--speculative-config "{'method': 'ngram'}" """,
            "is not JSON",
            "Write --speculative-config.method ngram",
        ),
        ("--speculative-config '[]'", "must be a JSON object", ""),
        ("--speculative-config 3", "must be a JSON object", ""),
        ("--allowed-origins *", "is not JSON", '--allowed-origins \'["ONE"'),
        ("--speculative-config.metod mtp", "no entry 'metod'", "--speculative-config.method?"),
        ("--compilation-config '{\"mod\": 3}'", "no entry 'mod'", "--compilation-config.mode?"),
        (
            "--speculative-config.num_speculative_tokens three",
            'num_speculative_tokens must be a whole number, not "three"',
            "",
        ),
        ("--speculative-config.method", "--speculative-config.method has no value", ""),
        ("--lora-modules org/lora", "'org/lora' names no adapter", "NAME=PATH"),
        ("""--lora-modules '{"name": "a"}'""", "names no adapter", ""),
        ("--x 'a", "cannot be read: No closing quotation", "Close every quote"),
        ("--enable-lora=", "--enable-lora takes no value", ""),
    ],
)
def test_what_it_refuses_is_told_with_the_spelling_that_works(
    text: str, what: str, fix: str
) -> None:
    with pytest.raises(Refused) as refused:
        parse(text, NEWEST)
    assert what in refused.value.what
    assert fix in refused.value.fix


@pytest.mark.parametrize("version", ["", "0.9.2", "0.31.0", "9.0.0"])
def test_a_version_that_nobody_recorded_may_have_more_flags(version: str) -> None:
    found = parse("--seed 1 --swap-space 4 --new-switch", version)
    assert found.values == {"--seed": 1}
    assert found.unknown == ("--swap-space", "4", "--new-switch")
    assert set(found.flags) == {"--seed", "--swap-space", "--new-switch"}


def test_a_version_that_nobody_recorded_may_take_lists_and_no_broken_json() -> None:
    found = parse("--limit-mm-per-prompt image=0,video=0", "0.9.2")
    assert found.held("--limit-mm-per-prompt") == {"image": 0, "video": 0}
    with pytest.raises(Refused, match="not JSON"):
        parse('--limit-mm-per-prompt {"image":0}', "0.9.2")


def test_text_that_nobody_could_read_is_no_number() -> None:
    found = parse("--cpu-offload-gb much --max-loras x", "0.9.2")
    assert (found.amount("--cpu-offload-gb"), found.number("--max-loras")) == (0, 0)


def test_versions_differ() -> None:
    assert parse("--disable-lora", "0.33.0").values == {"--enable-lora": False}
    with pytest.raises(Refused):
        parse("--disable-lora", "0.32.0")
