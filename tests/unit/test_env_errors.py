"""Every mistake in an env file is one clear error, with file and line."""

import pytest

from lifecycle.errors import ConfigError
from tests.unit.given import KEY, Checkout

GOOD = "GPU=cpu\nPORT=8000\nMODEL=m\n"


def mistake(checkout: Checkout, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        checkout.load(**environ)
    return caught.value


def everything(error: ConfigError) -> str:
    return f"{error.what}\n{error.why}\n{error.fix}"


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("", 1),
        ("\n\n", 3),
        ("# about\n", 2),
        ("# about\n\n", 3),
        ("GPU=cpu\n\n# about\n\n", 5),
        ("GPU=cpu # why\n", 2),
        ("  \n", 2),
        ("\n \t\n\n", 4),
        ("GPU='cpu'\n", 2),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
def test_the_line_number_is_right(
    checkout: Checkout, before: str, line: int, ending: str, start: bytes
) -> None:
    text = f"{before}MODLE=x\n".replace("\n", ending)
    error = mistake(checkout.env("cpu", start + text.encode()))
    assert error.what == f"env/cpu.env:{line}: unknown key MODLE"


@pytest.mark.parametrize(
    ("written", "meant"),
    [("MODLE", "MODEL"), ("port", "PORT"), ("MAX_MODEL_LENGTH", "MAX_MODEL_LEN")],
)
def test_an_unknown_key_names_the_nearest_one(checkout: Checkout, written: str, meant: str) -> None:
    error = mistake(checkout.env("cpu", f"{GOOD}{written}=1\n"))
    assert error.what == f"env/cpu.env:4: unknown key {written}"
    assert error.fix == f"Did you mean {meant}?"


def test_an_unknown_key_like_no_other_names_the_reference(checkout: Checkout) -> None:
    assert "docs/reference/env.md" in mistake(checkout.env("cpu", f"{GOOD}ZZZ=1\n")).fix


def test_a_key_set_twice_names_both_lines(checkout: Checkout) -> None:
    error = mistake(checkout.env("cpu", f"{GOOD}\nPORT=8001\n"))
    assert error.what == "env/cpu.env:5: PORT is set twice (first in env/cpu.env:2)"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("PORT=99999", "PORT=99999: must be a whole number from 1024 to 65535"),
        ("PORT=http", "PORT=http: must be a whole number from 1024 to 65535"),
        ("MAX_MODEL_LEN=4k", "MAX_MODEL_LEN=4k: must be a whole number from 16 to 16777216"),
        ("KV_CACHE_GIB=0", "KV_CACHE_GIB=0: must be a number from 0.1 to 4096"),
        ("GPU=nvidia", "GPU=nvidia: must be one of cpu, cuda, rocm"),
        ("DTYPE=int4", "DTYPE=int4: must be one of auto, bfloat16, float16, float32"),
    ],
)
def test_a_bad_value_is_told_with_its_line(checkout: Checkout, line: str, problem: str) -> None:
    error = mistake(checkout.env("cpu", f"# about\n{line}\n"))
    assert error.what == f"env/cpu.env:2: {problem}"


def test_a_bad_value_of_the_process_names_the_process(checkout: Checkout) -> None:
    error = mistake(checkout, PORT="99999")
    assert error.what.startswith("process environment: PORT=99999: must be")


@pytest.mark.parametrize("value", ["$HOME/m", "${HOME}/m", "'$HOME'", "a$", '"a\nb"'])
def test_a_dollar_or_a_second_line_is_refused(checkout: Checkout, value: str) -> None:
    error = mistake(checkout.env("cpu", f"GPU=cpu\nPORT=8000\nMODEL={value}\n"))
    assert error.what.startswith("env/cpu.env:3: MODEL=")
    assert error.what.endswith("a value must be one line without '$'")


@pytest.mark.parametrize("key", ["VLLM_API_KEY", "HF_TOKEN"])
def test_a_secret_in_a_backends_file_is_refused_and_not_repeated(
    checkout: Checkout, key: str
) -> None:
    error = mistake(checkout.env("cpu", f"{GOOD}{key}={KEY}\n"))
    assert error.what == f"env/cpu.env:4: {key} does not belong in a backend's file"
    assert ".env" in error.fix
    assert KEY not in everything(error)


@pytest.mark.parametrize("key", ["LIFECYCLE_HOME", "MODELS_DIR"])
def test_a_key_of_the_machine_in_a_backends_file_is_refused(checkout: Checkout, key: str) -> None:
    error = mistake(checkout.env("cpu", f"{GOOD}{key}=/data\n"))
    assert error.what == f"env/cpu.env:4: {key} does not belong in a backend's file"


@pytest.mark.parametrize("key", ["GPU", "PORT", "MODEL"])
def test_a_missing_required_key_is_named_with_its_meaning(checkout: Checkout, key: str) -> None:
    lines = [line for line in GOOD.splitlines(keepends=True) if not line.startswith(f"{key}=")]
    error = mistake(checkout.env("cpu", "".join(lines)))
    assert error.what == f"env/cpu.env: {key} is missing"
    assert error.why
    assert f"{key}=" in error.fix


def test_a_shared_port_names_both_files(checkout: Checkout) -> None:
    error = mistake(checkout.env("other", "# about\nGPU=cuda\nPORT=8000\nMODEL=m\n"))
    assert error.what == "env/other.env:3: PORT=8000 is also in env/cpu.env:2"


def test_a_mistake_in_another_backends_file_is_not_told_here(checkout: Checkout) -> None:
    assert checkout.env("other", "MODLE=x\n").load().port == 8000


@pytest.mark.parametrize("line", ["just words", "PORT", "=8001", "PORT: 8001", 'MODEL="open'])
def test_a_line_that_is_no_assignment_is_told(checkout: Checkout, line: str) -> None:
    error = mistake(checkout.env("cpu", f"GPU=cpu\n{line}\n"))
    assert error.what.startswith("env/cpu.env:2: not a KEY=value line")
    assert "KEY=value" in error.fix


@pytest.mark.parametrize("content", [b"MODEL=\xff\n", "GPU=cpu\n".encode("utf-16")])
def test_a_file_that_is_not_utf_8_is_told(checkout: Checkout, content: bytes) -> None:
    error = mistake(checkout.env("cpu", content))
    assert error.what == "env/cpu.env cannot be read"
    assert "utf-8" in error.why


def test_an_unknown_backend_names_those_there_are(checkout: Checkout) -> None:
    with pytest.raises(ConfigError) as caught:
        checkout.load("cpuu")
    assert caught.value.what == "there is no backend 'cpuu'"
    assert "cpu" in caught.value.why
    assert caught.value.fix == "Did you mean --gpu cpu?"


@pytest.mark.parametrize(
    "value", [f"--api-key {KEY}", f"--api_key={KEY}", f"--seed 1 --api-key {KEY}$"]
)
def test_a_key_among_extra_arguments_is_refused_and_not_repeated(
    checkout: Checkout, value: str
) -> None:
    for error in (
        mistake(checkout.env("cpu", f"{GOOD}EXTRA_ARGS={value}\n")),
        mistake(checkout.env("cpu", GOOD), EXTRA_ARGS=value),
    ):
        assert "EXTRA_ARGS=…" in error.what
        assert KEY not in everything(error)


@pytest.mark.parametrize(
    "line",
    [
        f"VLLM_API_KEY: {KEY}",
        f'VLLM_API_KEY="{KEY}',
        f"VLLM_API_KEY {KEY}",
        f"VLLM_API_KEY={KEY}$",
        f"VLLM_API_KEYS={KEY}",
        f"VLLM_API_KEY={KEY}\nVLLM_API_KEY={KEY}",
    ],
)
def test_no_mistake_in_the_secrets_file_repeats_a_secret(checkout: Checkout, line: str) -> None:
    error = mistake(checkout.secrets(f"{line}\n"))
    assert error.what.startswith(".env:")
    assert KEY not in everything(error)
