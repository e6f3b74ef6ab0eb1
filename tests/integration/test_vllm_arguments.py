"""The parser of a real vLLM takes every value that a key takes, as we render it.

It is that of the CPU engine; for the version of the GPU images see `tests/unit/test_vllm_flags.py`.
"""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lifecycle import tables
from lifecycle.arguments import Refused, parse
from lifecycle.backend import Backend
from lifecycle.host import Host, Os
from lifecycle.keys import GPUS, TABLE, Key
from lifecycle.steps import serve_arguments
from tests.unit.given import backend, host

ENGINE = tables.serving.engine("cpu")
PARSER = """\
import contextlib, io, json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser

parser = make_arg_parser(FlexibleArgumentParser())

def complaint(words):
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser.parse_args(words)
    except SystemExit:
        return said.getvalue().splitlines()[-1]
    return ""

print("ANSWER" + json.dumps([complaint(words) for words in json.load(sys.stdin)]))
"""
NUMBERS = {
    "MAX_MODEL_LEN": ("16", "16777216"),
    "MAX_NUM_SEQS": ("1", "65536"),
    "GPU_MEMORY_UTILIZATION": ("0.05", "0.9", "1"),
    "TENSOR_PARALLEL": ("1", "64"),
}
Case = tuple[str, Backend, Host]


@pytest.fixture(scope="module")
def python(engine: Path) -> Path:
    """The Python of a complete engine."""
    return engine / "bin" / "python"


def values(key: Key, folder: Path) -> list[str]:
    """The ends of a range, every word of a choice, or the examples of the documentation."""
    if key.name == "CHAT_TEMPLATE":
        file = folder / "mine.jinja"
        file.write_text("{{ messages }}")
        return [str(file)]
    if key.name in NUMBERS:
        return list(NUMBERS[key.name])
    told = key.check("?")
    if "must be one of " in told:
        return told.removeprefix("must be one of ").split(", ")
    return [word for word in key.doc.split("`")[1::2] if key.check(word) == ""]


def cases(folder: Path) -> list[Case]:
    """Every key at every value, on every hardware it holds for, on Linux and under WSL2."""
    return [
        (
            f"{key.name}={value} on {gpu}",
            backend(GPU=gpu, RUNTIME="docker", **{key.name: value}),
            on,
        )
        for key in TABLE
        if key.flag
        for value in values(key, folder)
        for gpu in key.gpus
        for on in (host(), host(os=Os("linux", "x86_64", wsl=True)))
    ]


def told(python: Path, wanted: list[tuple[str, ...]]) -> list[str]:
    """What vLLM's parser says to each list of arguments; "" where it has no complaint."""
    done = subprocess.run(
        [python, "-I", "-c", PARSER], input=json.dumps(wanted),
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = [one for one in done.stdout.splitlines() if one.startswith("ANSWER")]
    answers = json.loads(line.removeprefix("ANSWER"))
    assert isinstance(answers, list)
    return [str(one) for one in answers]


def test_every_value_of_every_key_is_taken(python: Path, tmp_path: Path) -> None:
    some = cases(tmp_path)
    assert {gpu for _, one, _ in some for gpu in (one.gpu,)} == set(GPUS)
    arguments = [serve_arguments.flags(one, on) for _, one, on in some]
    complaints = told(python, arguments)
    refused = [(name, why) for (name, _, _), why in zip(some, complaints, strict=True) if why]
    assert refused == []
    assert len(some) > 100


def test_the_parser_does_refuse_what_is_wrong(python: Path) -> None:
    wrong = [
        ("--no-such-flag",),
        ("--kv-cache-dtype", "int3"),
        ("--gpu-memory-utilization", "much"),
    ]
    assert all(told(python, wrong))


VALUES = """\
import argparse, contextlib, dataclasses, io, json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser

parser = make_arg_parser(FlexibleArgumentParser())
plain = vars(parser.parse_args(["model"]))

def shown(value):
    if dataclasses.is_dataclass(value):
        return {one.name: shown(getattr(value, one.name)) for one in dataclasses.fields(value)}
    known = (dict, list, str, int, float, bool, type(None))
    return value if isinstance(value, known) else str(value)

def named(name, value):
    held = list(map(shown, value)) if isinstance(value, list) else shown(value)
    return "--" + name.replace("_", "-"), held

def said(words):
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            found = vars(parser.parse_args(["model", *words]))
    except (SystemExit, Exception):
        return None
    return dict(named(name, value) for name, value in found.items() if value != plain[name])

print("ANSWER" + json.dumps([said(words) for words in json.load(sys.stdin)], default=str))
"""
SPELLED = (
    "--enforce-eager", "--no-enable-prefix-caching", "--enable-lora --no-enable-lora --enable-lora",
    "--cpu_offload_gb=14", "--cpu-offload-gb 14", "--cpu-offload-g 14", "--cpu-offload 14",
    "--seed -1", "--seed=-1", "--seed 1 --seed 2", "--seed", "--seed 1.5", "--seed x",
    "--max-num-batched-tokens 8k", "--max-num-batched-tokens 2.5k", "--max-num-batched-tokens 2.5K",
    "--kv-cache-memory-bytes 4G", "--kv-cache-memory-bytes None", "--block-size 16k",
    "-dp 2 -pp=3", "-dp2", "-O3", "-O=2", "-O 0", "--enabel-lora", "--swap-space 4", "stray",
    "--enforce-eager true", "--enforce-eager=true", "--trust-remote-code", "--max",
    "--limit-mm-per-prompt '{\"image\": 0, \"video\": 0}'", "--limit-mm-per-prompt image=0,video=0",
    '--limit-mm-per-prompt {"image":0}',
    "--limit-mm-per-prompt.image 0 --limit-mm-per-prompt.video=0",
    "--limit_mm_per_prompt.image 1", "-sc.method ngram -sc.num_speculative_tokens 3",
    "-sc.method mtp --speculative-config.num_speculative_tokens 3",
    "--speculative-config '{\"method\": \"ngram\"}'", "--speculative-config None",
    "--speculative-config.method", "--hf-overrides.rope_parameters.factor 4",
    "--hf-overrides '{\"a\": {\"b\": [1, null]}}'",
    "--hf-overrides.a.b 1 --hf-overrides.a.c 2k", "--hf-overrides.a+ x,y --hf-overrides.a+ z",
    "--compilation-config '{\"mod\": 3}'", "--kv-transfer-config {kv_connector:X}",
    "--allowed-origins '[\"*\"]'", "--allowed-origins *", "--allowed-origins '[\"a\", \"b\"]'",
    "--cudagraph-capture-sizes 1 2 4", "--cudagraph-capture-sizes", "--cudagraph-capture-sizes x",
    "--middleware a.b --middleware c.d", "--max-lora-rank 64", "--max-lora-rank 100",
    "--max-lora-rank x", "--lora-target-modules a b", "--moe-backend FLASHINFER-TRTLLM",
    "--moe-backend nonsense", "--kv-cache-dtype fp8", "--kv-cache-dtype int3",
    "--tokenizer None", "--tokenizer ''", "--tool-parser-plugin /x.py", "--revision None",
    "--generation-config vllm", "--num-gpu-blocks-override 200", "--num-gpu-blocks-override many",
    "--spec-method mtp --spec-tokens 3", "--spec-method mpt", "--root-path=-x", "--root-path -x",
    "--override-generation-config '{\"temperature\": 0.5}'", "--override-generation-config.top_k 5",
    "--default-chat-template-kwargs.enable_thinking false", "--mm-processor-kwargs.max_pixels 1m",
    "--additional-config plain", "--additional-config '{\"a\": 1}'", "--kv-offloading-size 4.5",
    "--long-prefill-token-threshold 1024", "--data-parallel-size-local 2", "--hf-config-path /x",
    "--enable-expert-parallel", "--lora-modules x", "--lora-modules '{\"name\": \"a\"}'",
    "--async-scheduling", "--no-async-scheduling", "--no-seed", "--load-format dummy",
)  # fmt: skip
"""Arguments as people write them, right ones and wrong ones."""


def real(python: Path, wanted: list[list[str]]) -> list[dict[str, Any] | None]:
    """What vLLM's own parser makes of each; None where it refuses."""
    done = subprocess.run(
        [python, "-I", "-c", VALUES], input=json.dumps(wanted),
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = [one for one in done.stdout.splitlines() if one.startswith("ANSWER")]
    answers: list[dict[str, Any] | None] = json.loads(line.removeprefix("ANSWER"))
    return answers


def recorded(text: str) -> dict[str, Any] | None:
    """And what the recorded table does."""
    try:
        return dict(parse(text, ENGINE.version).values)
    except Refused:
        return None


def test_the_recorded_table_reads_arguments_as_vllms_own_parser_does(python: Path) -> None:
    theirs = real(python, [shlex.split(text) for text in SPELLED])
    ours = [recorded(text) for text in SPELLED]
    differing = [
        (text, own, vllm)
        for text, own, vllm in zip(SPELLED, ours, theirs, strict=True)
        if (own is None) != (vllm is None) or not agree(own or {}, vllm or {})
    ]
    assert differing == []
    assert sum(one is None for one in ours) > 25
    assert sum(one is not None for one in ours) > 50


def agree(own: dict[str, Any], vllm: dict[str, Any]) -> bool:
    """Every value that differs from vLLM's default is ours, too, and no other is."""
    return all(own.get(name) == value for name, value in vllm.items()) and all(
        name in vllm or value in DEFAULTS for name, value in own.items()
    )


DEFAULTS = (None, False, "", "None", 0, 1, ["*"], "vllm", "auto")
"""What may be said and changes nothing."""
