"""Which known issues a start meets, what is set against them, and how it is said."""

import dataclasses

import pytest

from lifecycle.backend import Backend
from lifecycle.env_file import Setting
from lifecycle.errors import ConfigError
from lifecycle.host import GIB, Amd, Gpu, Host, Nvidia, Os
from lifecycle.steps import known_issues, serve_arguments
from lifecycle.tables.issues import Issue, issues
from tests.unit.given import backend, host

WSL = Os("linux", "x86_64", "Linux", user="1000:1000", wsl=True)
NATIVE = Os("linux", "x86_64", "Linux", user="1000:1000")
ADA = Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 22 * GIB, "8.9")
TURING = Gpu("NVIDIA GeForce RTX 2080 Ti", 11 * GIB, 10 * GIB, "7.5")
RADEON = Gpu("AMD Radeon RX 7900 XTX", 24 * GIB, 0, "gfx1100")
CUDA = backend("4090", GPU="cuda", RUNTIME="docker")
ROCM = backend("7900xtx", GPU="rocm", RUNTIME="docker")


def nvidia(*cards: Gpu, system: Os = WSL) -> Host:
    return host(os=system, nvidia=Nvidia(gpus=cards or (ADA,), driver="581.29", cuda="13.0"))


def radeon(system: Os = WSL, *agents: str) -> Host:
    return host(os=system, amd=Amd(gpus=(RADEON,), agents=agents or ("gfx1100",)))


def met(wanted: Backend, on: Host, vllm: str = "0.33.0") -> dict[str, known_issues.Applied]:
    return {one.issue.id: one for one in known_issues.applied(wanted, on, vllm)}


def test_a_processor_meets_none() -> None:
    assert met(backend(), host(os=WSL)) == {}
    assert known_issues.lines(backend(), host(os=WSL), "") == []


def test_a_card_on_native_linux_meets_nothing_of_wsl() -> None:
    assert met(CUDA, nvidia(system=NATIVE)) == {}
    assert set(met(ROCM, radeon(NATIVE))) == {"rdna-aiter"}


def test_a_4090_under_wsl_with_the_pinned_version() -> None:
    assert set(met(CUDA, nvidia())) == {
        "wsl-display-memory",
        "wsl-spawn",
        "wsl-expandable-segments",
    }


def test_a_7900xtx_under_wsl_with_the_pinned_version() -> None:
    found = met(ROCM, radeon())
    assert set(found) == {"wsl-display-memory", "rdna-aiter", "wsl-rocm-profiler"}
    assert found["rdna-aiter"].environment == {"VLLM_ROCM_USE_AITER": "0"}


@pytest.mark.parametrize(
    ("vllm", "name"),
    [
        ("0.20.1", ""),
        ("0.20.2", "wsl-uva-early"),
        ("0.23.0", "wsl-uva-early"),
        ("0.24.0", "wsl-uva"),
        ("0.29.0", "wsl-uva"),
        ("0.30.0", ""),
        ("0.33.0", ""),
    ],
)
def test_an_issue_of_some_versions_is_met_in_those(vllm: str, name: str) -> None:
    assert [one for one in met(CUDA, nvidia(), vllm) if "uva" in one] == ([name] if name else [])


def test_of_an_unknown_version_only_what_all_have_is_said_and_that_it_is_unknown() -> None:
    assert not any(one.issue.versioned for one in known_issues.applied(CUDA, nvidia(), ""))
    assert "is not known" in known_issues.lines(CUDA, nvidia(), "")[-1]
    assert "is not known" not in "".join(known_issues.lines(CUDA, nvidia(), "0.33.0"))


def test_a_value_of_the_users_comes_before_a_setting() -> None:
    by_key = backend(GPU="cuda", RUNTIME="docker", GPU_MEMORY_UTILIZATION="0.5")
    assert "wsl-display-memory" not in met(by_key, nvidia())
    flags = serve_arguments.flags(by_key, nvidia())
    assert flags.count("--gpu-memory-utilization") == 1
    assert flags[flags.index("--gpu-memory-utilization") + 1] == "0.5"


def test_a_default_is_not_a_value_of_the_users() -> None:
    dtype = dataclasses.replace(CUDA, settings={**CUDA.settings, "DTYPE": Setting("a", "default")})
    assert CUDA.chosen("DTYPE")
    assert not dtype.chosen("DTYPE")
    assert not dtype.chosen("QUANTIZATION")


def test_what_is_set_reaches_the_server() -> None:
    environment = serve_arguments.environment(CUDA, nvidia())
    assert environment["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:False"
    flags = serve_arguments.flags(CUDA, nvidia())
    assert flags[flags.index("--gpu-memory-utilization") + 1] == "0.85"
    native = serve_arguments.flags(CUDA, nvidia(system=NATIVE))
    assert "--gpu-memory-utilization" not in native


def test_an_issue_can_be_turned_off() -> None:
    off = backend(GPU="cuda", RUNTIME="docker", KNOWN_ISSUES_OFF="wsl-spawn,wsl-display-memory")
    assert set(met(off, nvidia())) == {"wsl-expandable-segments"}
    assert "VLLM_WORKER_MULTIPROC_METHOD" not in serve_arguments.environment(off, nvidia())


def test_an_issue_that_there_is_not_names_the_nearest() -> None:
    wrong = backend(GPU="cuda", KNOWN_ISSUES_OFF="wsl-spwan")
    with pytest.raises(ConfigError, match="no known issue wsl-spwan") as caught:
        met(wrong, nvidia())
    assert caught.value.fix == "Did you mean wsl-spawn?"
    with pytest.raises(ConfigError) as caught:
        met(backend(GPU="cuda", KNOWN_ISSUES_OFF="zzz"), nvidia())
    assert "wsl-spawn" in caught.value.fix


def test_a_venv_under_wsl_is_told_where_the_driver_is() -> None:
    venv = backend(GPU="cuda", RUNTIME="venv")
    assert serve_arguments.environment(venv, nvidia())["LD_LIBRARY_PATH"] == "/usr/lib/wsl/lib"
    assert "LD_LIBRARY_PATH" not in serve_arguments.environment(CUDA, nvidia())


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"EXTRA_ARGS": "--cpu-offload-gb 4"}, "wsl-cpu-offload"),
        ({"EXTRA_ARGS": "--cpu_offload_gb=4"}, "wsl-cpu-offload"),
        ({"DTYPE": "bfloat16"}, "turing-bfloat16"),
    ],
)
def test_what_was_asked_for_matters(changes: dict[str, str], name: str) -> None:
    plain = {"GPU": "cuda", "DTYPE": "auto"}
    on = nvidia(TURING)
    assert name not in met(backend(**plain), on)
    assert name in met(backend(**plain | changes), on)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"MODEL": "Qwen/Qwen3-8B-FP8"}, "rdna3-fp8"),
        ({"QUANTIZATION": "fp8_per_tensor"}, "rdna3-fp8-at-start"),
        ({"EXTRA_ARGS": "--enable-sleep-mode"}, "radeon-sleep"),
        ({"MODEL": "Qwen/Qwen3-30B-A3B"}, "wsl-rocm-moe"),
    ],
)
def test_advice_comes_with_what_calls_for_it(changes: dict[str, str], name: str) -> None:
    found = met(backend(GPU="rocm", **changes), radeon())
    assert name in found
    assert (found[name].environment, found[name].flags) == ({}, {})
    assert name not in met(ROCM, radeon())


def test_only_cards_of_the_architecture_count() -> None:
    assert "turing-attention" in met(CUDA, nvidia(TURING), "0.23.0")
    assert "turing-attention" not in met(CUDA, nvidia(ADA), "0.23.0")
    assert "turing-attention" not in met(CUDA, nvidia(TURING), "0.33.0")
    # The server takes the newest card, unless it is told another one.
    assert known_issues.archs(CUDA, nvidia(TURING, ADA)) == {"8.9"}
    assert known_issues.archs(backend(GPU="cuda", DEVICES="0"), nvidia(TURING, ADA)) == {"7.5"}
    # Of those that are named it takes the first ones.
    both = backend(GPU="cuda", DEVICES="0,1")
    assert known_issues.archs(both, nvidia(TURING, ADA)) == {"7.5"}
    sharing = backend(GPU="cuda", DEVICES="0,1", TENSOR_PARALLEL="2")
    assert known_issues.archs(sharing, nvidia(TURING, ADA)) == {"7.5", "8.9"}
    assert known_issues.archs(CUDA, host()) == set()


def test_graphics_of_the_processor_are_kept_out_of_sight() -> None:
    found = met(ROCM, radeon(NATIVE, "gfx1036", "gfx1100"))
    assert found["rocm-integrated"].environment == {"HIP_VISIBLE_DEVICES": "1"}
    assert "rocm-integrated" not in met(ROCM, radeon(NATIVE, "gfx1100", "gfx1100"))
    named = backend(GPU="rocm", RUNTIME="docker", DEVICES="0")
    on = radeon(NATIVE, "gfx1100", "gfx1036")
    assert "rocm-integrated" not in met(named, on)
    assert serve_arguments.environment(named, on)["HIP_VISIBLE_DEVICES"] == "0"


def test_devices_are_counted_as_nvidia_smi_does() -> None:
    environment = serve_arguments.environment(backend(GPU="cuda", DEVICES="1,0"), nvidia())
    assert environment["CUDA_VISIBLE_DEVICES"] == "1,0"
    assert environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert not [name for name in serve_arguments.environment(CUDA, nvidia()) if "DEVICES" in name]


def test_each_is_told_in_one_line_with_setting_reason_and_source() -> None:
    (line,) = [one for one in known_issues.lines(CUDA, nvidia(), "0.29.0") if "uva" in one]
    assert line == (
        "wsl-uva: VLLM_WSL2_ENABLE_PIN_MEMORY=1, because the start otherwise ends with "
        '"UVA is not available" (vllm-project/vllm#47387)'
    )
    advice = backend(GPU="rocm", RUNTIME="docker", MODEL="mistralai/Mixtral-8x7B")
    (line,) = [one for one in known_issues.lines(advice, radeon(), "0.33.0") if "moe" in one]
    assert line.endswith(", or take a dense model (vllm-project/vllm#37189)")
    assert ". Let inv setup.rocm install AMD's amd-smi for WSL" in line
    assert "because" not in line


@pytest.mark.parametrize(
    ("wanted", "version"),
    [
        ({"GPU": "cpu"}, "0.32.0"),
        ({"GPU": "cuda"}, "0.31.0"),
        ({"GPU": "cuda", "RUNTIME": "venv"}, "0.33.0"),
        ({"GPU": "cuda", "IMAGE": "vllm/vllm-openai:v0.28.0-cu129"}, "0.28.0"),
        (
            {"GPU": "rocm", "IMAGE": "rocm/vllm:rocm10.0.0_py3.14_pytorch_2.12.0_vllm_0.27.0"},
            "0.27.0",
        ),
        ({"GPU": "rocm", "IMAGE": "rocm/vllm:rocm10.1.0-pytorch_2.13.0_vllm-0.29.0"}, "0.29.0"),
        ({"GPU": "cuda", "IMAGE": "mine:7"}, ""),
    ],
)
def test_the_version_is_that_of_the_image_or_the_engine(
    wanted: dict[str, str], version: str
) -> None:
    assert serve_arguments.version(backend(**wanted), nvidia()) == version


@pytest.mark.parametrize("row", issues(), ids=lambda row: row.id)
def test_every_row_can_be_met_does_something_and_says_where_it_is_from(row: Issue) -> None:
    assert row.environment or row.flags or row.advice
    assert row.links
    assert row.system in {"", "wsl", "native"}
    assert row.gpus
    assert set(row.gpus) <= {"cuda", "rocm", "cpu"}
    assert row.runtimes
    assert set(row.runtimes) <= {"docker", "venv"}
    assert row.verified in {"hardware", "documented", "reported"}
    assert not row.why.endswith(".")
    assert [part.lower() for part in row.models] == row.models


def test_names_are_used_once() -> None:
    names = [row.id for row in issues()]
    assert len(set(names)) == len(names)
