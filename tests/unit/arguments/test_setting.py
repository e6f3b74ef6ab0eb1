"""EXTRA_ARGS in an env file: refused with its line, and with no secret."""

from pathlib import Path

import pytest

from lifecycle.errors import ConfigError
from tests.unit.given import Checkout

CUDA = "GPU=cuda\nPORT=8001\nMODEL=o/n\nEXTRA_ARGS="


def refused(checkout: Checkout, value: str) -> str:
    checkout.env("mine", CUDA + value)
    with pytest.raises(ConfigError) as error:
        checkout.load("mine")
    return f"{error.value.what}\n{error.value.why}\n{error.value.fix}"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("--enabel-lora", "Did you mean --enable-lora?"),
        ('--limit-mm-per-prompt {"image":0}', "Write --limit-mm-per-prompt.image 0"),
        ("--lora-modules a=/no/such/folder", "there is no folder /no/such/folder"),
        ("--tool-parser-plugin ./no.py", "there is no file"),
        ("--max-model-len 4096", "it is MAX_MODEL_LEN"),
        ("--ssl-certfile /x", "servers speak HTTP"),
    ],
)
def test_it_is_refused_where_it_stands(checkout: Checkout, value: str, told: str) -> None:
    said = refused(checkout, value)
    assert said.startswith("env/mine.env:4: EXTRA_ARGS")
    assert told in said


@pytest.mark.parametrize(
    "value", ["--hf-token hf_secret", "--api-key=hf_secret", "--hf_tok hf_secret"]
)
def test_a_secret_is_refused_and_not_shown(checkout: Checkout, value: str) -> None:
    assert "hf_secret" not in refused(checkout, f"--seed 1 {value}")


def test_paths_count_from_the_checkout(checkout: Checkout, tmp_path: Path) -> None:
    folder = tmp_path / "loras" / "mine"
    folder.mkdir(parents=True)
    assert "is no LoRA adapter" in refused(checkout, "--enable-lora --lora-modules a=./loras/mine")
    (folder / "adapter_config.json").write_text("{}")
    for word in ("./loras/mine", "loras/mine"):
        checkout.env("mine", CUDA + f"--enable-lora --lora-modules a={word}")
        assert f"a={folder}" in checkout.load("mine").get("EXTRA_ARGS")


def test_a_near_path_is_named(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "parser.py").write_text("")
    assert f"Did you mean {tmp_path}/parser.py?" in refused(
        checkout, "--tool-parser-plugin parsr.py"
    )


def test_repos_and_what_is_right_stay_as_they_were_written(checkout: Checkout) -> None:
    text = "--enable-lora --lora-modules a=org/lora --seed 1"
    checkout.env("mine", CUDA + text)
    assert checkout.load("mine").get("EXTRA_ARGS") == text


def test_where_any_version_may_run_only_the_version_that_runs_can_tell(checkout: Checkout) -> None:
    checkout.env("mine", CUDA + "--swap-space 4\nIMAGE=me/vllm:v0.9.2")
    assert checkout.load("mine").get("EXTRA_ARGS") == "--swap-space 4"
    checkout.env("mine", CUDA.replace("cuda", "rocm") + "--limit-mm-per-prompt image=0")
    assert checkout.load("mine").get("EXTRA_ARGS")
    broken = '--limit-mm-per-prompt {"image":0}\nIMAGE=me/vllm:v0.9.2'
    assert "quotes were lost" in refused(checkout, broken)
