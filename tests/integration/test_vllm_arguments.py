"""The parser of a real vLLM takes every value that a key takes, as we render it.

It is that of the CPU engine; for the version of the GPU images see `tests/unit/test_vllm_flags.py`.
"""

import json
import subprocess
from pathlib import Path

import pytest

from lifecycle import tables
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
