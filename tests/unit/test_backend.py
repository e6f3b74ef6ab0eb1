"""A backend: what its env file becomes, and which of several values wins."""

import shutil

import pytest

from lifecycle import backend as backends
from lifecycle import env_file
from lifecycle.backend import DEFAULT
from lifecycle.env_file import PROCESS, Setting
from lifecycle.errors import ConfigError
from lifecycle.host import GIB
from lifecycle.paths import ROOT
from tests.unit.given import Checkout, backend

SHIPPED = backends.names(ROOT)


@pytest.fixture
def shipped(checkout: Checkout) -> Checkout:
    """The env files of this repository, without the developer's own `.env`."""
    ignored = shutil.ignore_patterns("local")
    shutil.copytree(ROOT / "env", checkout.root / "env", dirs_exist_ok=True, ignore=ignored)
    return checkout


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_backend_loads(shipped: Checkout, name: str) -> None:
    assert shipped.load(name).name == name


def test_shipped_backends_have_ports_of_their_own(shipped: Checkout) -> None:
    ports = {shipped.load(name).port for name in SHIPPED}
    assert len(ports) == len(SHIPPED) >= 3


def test_names_are_the_files_and_hidden_or_other_files_do_not_count(checkout: Checkout) -> None:
    checkout.env("9x", "").env(".hidden", "").env("Upper", "")
    (checkout.root / "env" / "notes.txt").touch()
    assert backends.names(checkout.root) == ["9x", "cpu"]


def test_process_beats_secrets_file_beats_backend_file_beats_default(checkout: Checkout) -> None:
    file = "GPU=cpu\nPORT=8000\nMODEL=m\nDTYPE=float16\nMAX_NUM_SEQS=1\nMAX_MODEL_LEN=16\n"
    checkout.env("cpu", file).secrets("MAX_NUM_SEQS=2\nMAX_MODEL_LEN=32\n")
    settings = checkout.load(MAX_MODEL_LEN="64").settings
    won = {key: (one.text, one.source) for key, one in settings.items()}
    assert won["MAX_MODEL_LEN"] == ("64", PROCESS)
    assert won["MAX_NUM_SEQS"] == ("2", ".env:1")
    assert won["DTYPE"] == ("float16", "env/cpu.env:4")
    assert won["KV_CACHE_GIB"] == ("1", DEFAULT)


def test_an_empty_value_is_as_good_as_none(checkout: Checkout) -> None:
    checkout.env("cpu", "GPU=cpu\nPORT=8000\nMODEL=m\nDTYPE=\n").secrets("MODEL=\n")
    one = checkout.load(PORT="")
    assert (one.get("DTYPE"), one.model, one.port) == ("auto", "m", 8000)


def test_other_variables_of_the_process_do_not_matter(checkout: Checkout) -> None:
    assert "PATH" not in checkout.load(PATH="/bin", MODLE="x").settings


@pytest.mark.parametrize(
    ("values", "runtime"),
    [
        ({"GPU": "cpu"}, "venv"),
        ({"GPU": "cuda"}, "docker"),
        ({"GPU": "rocm"}, "docker"),
        ({"GPU": "cpu", "RUNTIME": "docker"}, "docker"),
        ({"GPU": "cuda", "RUNTIME": "venv"}, "venv"),
    ],
)
def test_the_runtime_follows_the_hardware_unless_it_is_set(
    values: dict[str, str], runtime: str
) -> None:
    assert backend(**values).runtime == runtime


@pytest.mark.parametrize(
    ("model", "served"),
    [("smollm2", "smollm2"), ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"), ("/models/mine/", "mine")],
)
def test_the_served_name_is_the_repo_id_or_the_last_part_of_the_path(
    model: str, served: str
) -> None:
    assert backend(MODEL=model).served_name == served
    assert backend(MODEL=model, SERVED_NAME="own").served_name == "own"


def test_the_cache_is_given_in_gib() -> None:
    assert backend(KV_CACHE_GIB="0.5").kv_cache_bytes == GIB // 2


def test_flags_come_in_the_tables_order() -> None:
    one = backend(MAX_NUM_SEQS="8")
    assert one.vllm_flags() == (
        "--max-model-len", "4096", "--max-num-seqs", "8", "--dtype", "bfloat16",
    )  # fmt: skip


def test_an_option_replaces_one_value_and_says_where_it_came_from() -> None:
    changed = backend().with_setting("RUNTIME", "docker", "--runtime")
    assert (changed.runtime, changed.settings["RUNTIME"].source) == ("docker", "--runtime")


def test_a_bad_option_is_refused_with_its_name() -> None:
    with pytest.raises(ConfigError, match="--runtime podman: must be one of"):
        backend().with_setting("RUNTIME", "podman", "--runtime")


def test_a_backend_shows_no_value_in_its_repr() -> None:
    assert repr(backend("mine")) == "Backend(name='mine')"


def test_the_nearest_word_is_named_only_when_one_is_near() -> None:
    assert env_file.nearest("MODLE", ["MODEL", "PORT"], "Did you mean {}?") == "Did you mean MODEL?"
    assert env_file.nearest("zzz", ["MODEL", "PORT"], "Did you mean {}?") == ""


CHOSEN = "# by inv switch\nMODEL=other\nMAX_MODEL_LEN=\nDTYPE=\nTOOL_PARSER=mistral\n"
OWN = "GPU=cpu\nPORT=8000\nMODEL=m\nMAX_MODEL_LEN=16\nDTYPE=float16\nMAX_NUM_SEQS=1\n"


def test_the_override_beats_the_backends_file_and_is_beaten_by_the_rest(checkout: Checkout) -> None:
    checkout.env("cpu", OWN).env("local/cpu", CHOSEN)
    settings = checkout.load().settings
    won = {key: (one.text, one.source) for key, one in settings.items()}
    assert won["MODEL"] == ("other", "env/local/cpu.env:2")
    assert won["TOOL_PARSER"] == ("mistral", "env/local/cpu.env:5")
    assert won["MAX_NUM_SEQS"] == ("1", "env/cpu.env:6")
    checkout.secrets("TOOL_PARSER=hermes\n")
    assert checkout.load().get("TOOL_PARSER") == "hermes"
    assert checkout.load(MODEL="third").model == "third"


def test_an_empty_value_of_the_override_takes_that_of_the_backends_file_away(
    checkout: Checkout,
) -> None:
    checkout.env("cpu", OWN).env("local/cpu", CHOSEN)
    one = checkout.load()
    assert "MAX_MODEL_LEN" not in one.settings
    assert one.settings["DTYPE"] == Setting("auto", DEFAULT)
    # Further up an empty value takes nothing away.
    checkout.secrets("TOOL_PARSER=\n")
    assert checkout.load(TOOL_PARSER="").get("TOOL_PARSER") == "mistral"


def test_an_override_is_no_backend_and_is_for_its_own_only(checkout: Checkout) -> None:
    checkout.env("local/cpu", CHOSEN).env("local/gone", CHOSEN).env("x", CUDA)
    assert backends.names(checkout.root) == ["cpu", "x"]
    assert checkout.load("x").model == "a/b"


def test_a_text_can_stand_for_the_override(checkout: Checkout) -> None:
    checkout.env("cpu", OWN).env("local/cpu", CHOSEN)
    assert backends.load("cpu", checkout.root, {}, "").model == "m"
    one = backends.load("cpu", checkout.root, {}, "MODEL=new\n").settings["MODEL"]
    assert (one.text, one.source) == ("new", "env/local/cpu.env:1")


@pytest.mark.parametrize("line", ["PORT=8001", "GPU=cuda", "EXTRA_ARGS=--seed 1", "PORT="])
def test_an_override_holds_only_what_goes_with_a_model(checkout: Checkout, line: str) -> None:
    checkout.env("local/cpu", f"MODEL=m\n{line}\n")
    key = line.partition("=")[0]
    with pytest.raises(ConfigError, match=f"env/local/cpu.env:2: {key} does not belong") as caught:
        checkout.load()
    assert caught.value.fix == f"Move the line {key}=… to env/cpu.env."


def test_an_override_without_a_model_is_a_mistake(checkout: Checkout) -> None:
    checkout.env("local/cpu", "MODEL=\n")
    with pytest.raises(ConfigError, match=r"env/local/cpu\.env:1: MODEL has no value") as caught:
        checkout.load()
    assert "delete env/local/cpu.env" in caught.value.fix


def test_a_key_of_other_hardware_in_the_override_is_a_mistake_too(checkout: Checkout) -> None:
    checkout.env("local/cpu", "MODEL=m\nKV_CACHE_DTYPE=fp8\n")
    with pytest.raises(ConfigError, match=r"env/local/cpu\.env:2: KV_CACHE_DTYPE does not apply"):
        checkout.load()
    checkout.env("local/cpu", "MODEL=m\nKV_CACHE_DTYPE=\n")
    assert checkout.load().model == "m"


CUDA = "GPU=cuda\nPORT=8001\nMODEL=a/b\n"


def test_a_key_of_other_hardware_in_the_backends_own_file_is_a_mistake(checkout: Checkout) -> None:
    checkout.env("cpu", "GPU=cpu\nPORT=8000\nMODEL=m\nGPU_MEMORY_UTILIZATION=0.9\n")
    with pytest.raises(ConfigError, match=r"env/cpu\.env:4: GPU_MEMORY_UTILIZATION") as caught:
        checkout.load()
    assert caught.value.why == "it is for GPU=cuda and rocm"
    checkout.env("x", f"{CUDA}KV_CACHE_GIB=4\n")
    with pytest.raises(ConfigError, match="KV_CACHE_GIB does not apply to GPU=cuda"):
        checkout.load("x")


def test_a_key_for_all_backends_counts_for_those_it_fits(checkout: Checkout) -> None:
    checkout.env("x", CUDA).secrets("GPU_MEMORY_UTILIZATION=0.9\nKV_CACHE_GIB=4\n")
    card, processor = checkout.load("x", DEVICES="1"), checkout.load(DEVICES="1")
    assert (card.get("GPU_MEMORY_UTILIZATION"), card.devices) == ("0.9", (1,))
    assert (card.get("KV_CACHE_GIB"), card.get("CPU_SETTINGS")) == ("", "")
    assert (processor.get("GPU_MEMORY_UTILIZATION"), processor.devices) == ("", ())
    assert processor.kv_cache_bytes == 4 * GIB


def test_a_flag_that_a_key_owns_is_refused_among_the_extra_ones(checkout: Checkout) -> None:
    checkout.env("x", f"{CUDA}EXTRA_ARGS=--seed 1 -tp 2\n")
    with pytest.raises(ConfigError, match=r"env/x\.env:4: .*must not hold -tp: it is TENSOR_P"):
        checkout.load("x")


def test_a_model_cannot_be_shared_among_more_cards_than_are_named(checkout: Checkout) -> None:
    checkout.env("x", f"{CUDA}DEVICES=0\nTENSOR_PARALLEL=2\n")
    with pytest.raises(ConfigError, match="TENSOR_PARALLEL=2 needs") as caught:
        checkout.load("x")
    assert caught.value.why == "env/x.env:4 names 0"
    assert checkout.load("x", DEVICES="0,1").devices == (0, 1)


def test_a_template_is_a_file_and_its_path_is_made_whole(checkout: Checkout) -> None:
    checkout.env("x", f"{CUDA}CHAT_TEMPLATE=templates/mine.jinja\n")
    with pytest.raises(ConfigError, match="there is no file") as caught:
        checkout.load("x")
    assert "env/x.env:4" in caught.value.what
    file = checkout.root / "templates" / "mine.jinja"
    file.parent.mkdir()
    file.touch()
    inside = checkout.load("x").vllm_flags()
    assert inside[inside.index("--chat-template") + 1] == "/templates/mine.jinja"
    here = checkout.load("x", RUNTIME="venv").vllm_flags()
    assert here[here.index("--chat-template") + 1] == str(file)


def test_tools_are_switched_on_with_their_parser() -> None:
    flags = backend(TOOL_PARSER="hermes").vllm_flags()
    at = flags.index("--enable-auto-tool-choice")
    assert flags[at : at + 3] == ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
    assert "--enable-auto-tool-choice" not in backend().vllm_flags()
