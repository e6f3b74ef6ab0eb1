"""EXTRA_ARGS on one machine: refusals, what is handed over, what a container sees."""

import json
from pathlib import Path
from typing import Any

import pytest

from lifecycle.backend import Backend
from lifecycle.errors import ConfigError
from lifecycle.host import GIB, Gpu, Host, Memory, Nvidia, Os, Weights
from lifecycle.model import Model
from lifecycle.models import tensors
from lifecycle.planner import architecture
from lifecycle.planner.fit import DOES_NOT_FIT, FITS
from lifecycle.steps import docker, extra_arguments, fit, serve_arguments
from tests.unit.given import PATHS, backend, host, missing
from tests.unit.planner.configs import LLAMA_8B, QWEN_27B

SNAPSHOT = Path("/data/models/hub/models--org--lora/snapshots/abc")
HERE = Weights(path=SNAPSHOT, root=SNAPSHOT.parent.parent, rank=16)
VERSION = "0.33.0"
SPEC = """--speculative-config '{"method":"%s","model":"%s","num_speculative_tokens":3}'"""


def cuda(extra: str = "", **changes: str) -> Backend:
    given = {
        "GPU": "cuda", "MODEL": "Qwen/Qwen3-8B", "MAX_MODEL_LEN": "", "KV_CACHE_GIB": "",
        "RUNTIME": "docker", "EXTRA_ARGS": extra,
    }  # fmt: skip
    return backend("4090", **(given | changes))


def machine(**changes: Any) -> Host:
    card = Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 23 * GIB, "8.9")
    given: dict[str, Any] = {
        "os": Os("linux", "x86_64", "Linux", user="1000:1000"),
        "nvidia": Nvidia(gpus=(card,), driver="581.29", cuda="13.0"),
        "memory": Memory(64 * GIB, 48 * GIB),
    }
    return host(**{**given, **changes})


def refusal(one: Backend, on: Host | None = None, version: str = VERSION) -> str:
    with pytest.raises(ConfigError) as refused:
        extra_arguments.require(one, on or machine(), version)
    return f"{refused.value.what}\n{refused.value.fix}"


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ("--lora-modules a=o/n", "without --enable-lora"),
        ("--enable-lora --max-loras 4 --max-cpu-loras 2", "--max-cpu-loras 4"),
        ("--spec-model o/n -sc.model o/m", "--spec-model and --speculative-config.model"),
        ("-sc.num_speculative_tokens 3", "--speculative-config.method mtp (or ngram)"),
        ("-sc.method mpt -sc.num_speculative_tokens 3", "Did you mean mtp?"),
        ("-sc.method mtp -sc.num_speculative_tokens 0", "must be above 0"),
        ("--profiler-config.torch_profiler_dir /srv/p", "cannot write to /srv/p"),
        ("--swap-space 4", "has no flag --swap-space"),
    ],
)
def test_what_vllm_or_its_container_would_end_with_is_refused(extra: str, told: str) -> None:
    said = refusal(cuda(extra))
    assert told in said
    assert said.startswith("a test: EXTRA_ARGS: ")


@pytest.mark.parametrize(
    "extra",
    [
        "",
        "--seed 1",
        "-sc.method ngram -sc.num_speculative_tokens 3",
        "--spec-method mtp --spec-tokens 2",
        "--enable-lora --max-loras 4",
        "--profiler-config.torch_profiler_dir /tmp/p",
    ],
)
def test_what_is_right_is_not(extra: str) -> None:
    extra_arguments.require(cuda(extra), machine(), VERSION)
    assert missing(extra_arguments.steps(cuda(extra), machine(), VERSION), machine()) == {}


def test_a_plain_server_may_write_where_it_likes() -> None:
    one = cuda("--profiler-config.torch_profiler_dir /srv/p")
    one = one.with_setting("RUNTIME", "venv", "a test")
    extra_arguments.require(one, machine(), VERSION)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("TOOL_PARSER", "hermess", "Did you mean hermes?"),
        ("REASONING_PARSER", "qwen33", "Did you mean qwen3?"),
        ("ATTENTION_BACKEND", "TRITON", "has no such one"),
        ("QUANTIZATION", "hqq", "has no such one"),
    ],
)
def test_a_key_whose_word_the_version_does_not_have_is_refused(
    key: str, value: str, told: str
) -> None:
    said = refusal(cuda(**{key: value}))
    assert f"a test: {key}={value}: vLLM 0.33.0" in said
    assert told in said
    (step,) = extra_arguments.steps(cuda(**{key: value}), machine(), VERSION)
    assert told in step.missing(machine())
    # Of a version that nobody recorded nobody can tell.
    extra_arguments.require(cuda(**{key: value}), machine(), "9.9.9")


def test_a_plugin_may_bring_a_parser() -> None:
    one = cuda("--tool-parser-plugin /srv/p.py", TOOL_PARSER="mine")
    extra_arguments.require(one, machine(), VERSION)


def test_an_adapter_of_a_larger_rank_is_refused_with_the_rank_to_set() -> None:
    one = cuda("--enable-lora --lora-modules a=org/lora")
    on = machine(companions={"org/lora": Weights(path=SNAPSHOT, root=SNAPSHOT, rank=33)})
    assert "Add --max-lora-rank 64." in refusal(one, on)
    extra_arguments.require(
        cuda("--enable-lora --max-lora-rank 64 --lora-modules a=org/lora"), on, VERSION
    )


def test_a_container_gets_folders_and_inner_paths() -> None:
    one = cuda(
        "--enable-lora --lora-modules my=/srv/loras/my other=org/lora again=/srv/loras/my "
        "--tool-parser-plugin /srv/p.py --seed 1"
    )
    local = Weights(path=Path("/srv/loras/my"), root=Path("/srv/loras/my"))
    on = machine(companions={"org/lora": HERE, "/srv/loras/my": local})
    told = extra_arguments.told(one, on, VERSION)
    at = told.index("--lora-modules")
    assert told[at + 1 : at + 4] == (
        "my=/extra/0/my",
        "other=/extra/1/models--org--lora/snapshots/abc",
        "again=/extra/0/my",
    )
    assert told[told.index("--tool-parser-plugin") + 1] == "/extra/2/p.py"
    mounts = extra_arguments.mounts(one, on, VERSION)
    assert [(str(one.source), one.target) for one in mounts] == [
        ("/srv/loras/my", "/extra/0/my"),
        ("/data/models/hub/models--org--lora", "/extra/1/models--org--lora"),
        ("/srv/p.py", "/extra/2/p.py"),
    ]
    volumes = json.loads(docker.environment_file(one, on))["services"]["vllm"]["volumes"]
    assert [volume["target"] for volume in volumes] == [mount.target for mount in mounts]
    assert all(volume["read_only"] for volume in volumes)
    assert all(volume["bind"] == {"create_host_path": False} for volume in volumes)
    arguments = docker.environment(one, PATHS, on)["VLLM_ARGS"]
    assert "my=/extra/0/my" in arguments
    assert "/srv/loras" not in arguments


def test_a_draft_model_of_the_hub_is_handed_over_as_a_folder() -> None:
    text = SPEC % ("eagle3", "org/lora")
    on = machine(companions={"org/lora": HERE})
    plain = cuda(text).with_setting("RUNTIME", "venv", "a test")
    told = extra_arguments.told(plain, on, VERSION)
    assert json.loads(told[1])["model"] == str(SNAPSHOT)
    assert extra_arguments.mounts(plain, on, VERSION) == []
    inside = extra_arguments.told(cuda(text), on, VERSION)
    assert json.loads(inside[1])["model"] == "/extra/0/models--org--lora/snapshots/abc"


def test_without_places_the_words_are_handed_on_as_they_were_written() -> None:
    one = cuda("--max_num_batched_tokens 8k --hf-overrides '{\"a\": 1}'")
    assert extra_arguments.told(one, machine(), VERSION) == (
        "--max_num_batched_tokens", "8k", "--hf-overrides", '{"a": 1}',
    )  # fmt: skip
    flags = serve_arguments.flags(one, machine())
    assert flags[-4:] == extra_arguments.told(one, machine(), VERSION)
    assert json.loads(docker.environment_file(one, machine()))["services"]["vllm"].keys() == {
        "environment"
    }


def planned(extra: str, on: Host | None = None, **changes: str) -> Any:
    found = fit.plan(cuda(extra, **changes), on or machine())
    assert found is not None
    return found


def test_weights_in_ram_free_the_card_as_long_as_there_is_ram() -> None:
    one = planned("--cpu-offload-gb 14", MODEL="Qwen/Qwen3-14B")
    assert one.verdict != DOES_NOT_FIT
    assert one.weights == planned("", MODEL="Qwen/Qwen3-14B").weights - 14 * GIB
    small = machine(memory=Memory(16 * GIB, 8 * GIB))
    assert (
        "14.0 GiB into RAM, and 8.0 GiB can be had"
        in planned("--cpu-offload-gb 14", small, MODEL="Qwen/Qwen3-14B").shortage
    )


def test_no_more_than_the_layers_is_put_into_ram() -> None:
    everything = planned("--cpu-offload-gb 100", machine(memory=Memory(256 * GIB, 200 * GIB)))
    assert 1 * GIB < everything.weights < 3 * GIB  # embedding and head stay


def draft() -> Model:
    return tensors.estimated(
        "d", architecture.parse(LLAMA_8B | {"num_hidden_layers": 2}), source=""
    )


def test_a_draft_model_takes_its_weights_and_its_part_of_the_cache() -> None:
    on = machine(companions={"org/draft": Weights(model=draft())})
    plain, found = planned(""), planned(SPEC % ("eagle3", "org/draft"), on)
    assert found.weights == plain.weights + draft().weights
    assert found.token_bytes > plain.token_bytes
    assert found.unreckoned == ()
    unknown = planned(SPEC % ("eagle3", "org/draft"))
    assert unknown.unreckoned == ("--speculative-config",)
    assert "not reckoned: --speculative-config" in unknown.notes
    assert not unknown.exact
    assert "not reckoned: --speculative-config" in fit.notes(cuda(), unknown)


def test_adapters_take_room_before_there_is_one() -> None:
    plain, found = planned(""), planned("--enable-lora --max-loras 8 --max-lora-rank 256")
    assert found.weights > plain.weights + 10 * GIB
    assert found.verdict == DOES_NOT_FIT
    assert found.unreckoned == ()


def test_a_given_number_of_blocks_is_the_cache() -> None:
    found = planned("--num-gpu-blocks-override 200")
    assert found.tokens == 3200
    assert found.settings["MAX_MODEL_LEN"] == "3072"
    assert found.missing == 0
    few = planned("--num-gpu-blocks-override 20")
    assert few.verdict == DOES_NOT_FIT
    assert (few.missing, few.alternatives) == (0, ())
    assert few.shortage == (
        "--num-gpu-blocks-override 20 is too small: one request of 2048 tokens needs 129 blocks"
    )
    assert "more than is left" in planned("--num-gpu-blocks-override 99999").shortage


def test_copies_need_cards_of_their_own() -> None:
    assert planned("-dp 2").shortage == "it needs 2 cards, this machine has 1"
    assert planned("-dp 2 -dpl 1").shortage == ""


def test_only_layers_of_the_model_itself_are_charged_for_guessing() -> None:
    config = QWEN_27B | {"mtp_num_hidden_layers": 1}
    hybrid = tensors.estimated("q", architecture.parse(config), source="")
    on = machine(weights=Weights(model=hybrid))
    plain = planned("", on)
    ngram = planned("-sc.method ngram -sc.num_speculative_tokens 3", on)
    mtp = planned("-sc.method mtp -sc.num_speculative_tokens 3", on)
    assert plain.weights == ngram.weights < mtp.weights
    assert ngram.unreckoned == ()


def test_length_with_and_without_overrides() -> None:
    big = machine(nvidia=Nvidia(gpus=(Gpu("NVIDIA H100", 80 * GIB, 79 * GIB, "9.0"),), cuda="13.0"))
    long = {"MAX_MODEL_LEN": "131072"}
    found = planned("", big, **long)
    assert "the model can do 40960 tokens, not 131072: MAX_MODEL_LEN=40960" in fit.shortage(
        cuda(**long), found
    )
    lengthened = planned("--hf-overrides.max_position_embeddings 131072", big, **long)
    assert lengthened.verdict == FITS
    yarn = '{"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}'
    assert "max_position_embeddings" in planned(f"--hf-overrides '{yarn}'", big, **long).shortage


def test_other_overrides_are_not_reckoned() -> None:
    assert planned("--hf-overrides.num_hidden_layers 2").unreckoned == ("--hf-overrides",)
    assert planned("--hf-overrides.seq_len 8192").unreckoned == ()


def test_flags_of_the_cpu_that_a_key_has_on_cards() -> None:
    one = backend(EXTRA_ARGS="--tensor-parallel-size 2 --kv-cache-dtype fp8")
    wanted = fit.wanted(one, "0.32.0")
    assert (wanted.tensor, wanted.kv_dtype) == (2, "fp8")


def test_a_count_that_stands_as_text_counts_as_pydantic_takes_it() -> None:
    said = '{"method": "ngram", "num_speculative_tokens": "2.0"}'
    assert fit.wanted(cuda(f"--speculative-config '{said}'"), VERSION).speculated == 2


def test_an_amount_that_an_unknown_version_may_take_is_not_reckoned() -> None:
    one = cuda("--cpu-offload-gb much", IMAGE="foo/bar:nightly")
    assert fit.wanted(one, "").offload == 0
