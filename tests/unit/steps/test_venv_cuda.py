"""A CUDA server without a container: what it needs of the machine, and what it is started with."""

import re
from dataclasses import replace

import pytest

from lifecycle import tables
from lifecycle.host import GIB, Gpu, Host, Nvidia, Os, Venv
from lifecycle.step import Command, Step
from lifecycle.steps import serve, serve_arguments, venv
from tests.unit.given import PATHS, TOOLS, actions, backend, host, missing

ENGINE = tables.serving.engine("cuda")
CUDA = backend("4090", GPU="cuda", RUNTIME="venv")
WSL = Os("linux", "x86_64", "Linux", user="1000:1000", wsl=True)
CARD = Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 22 * GIB, "8.9")
GOOD = Nvidia(gpus=(CARD,), driver="581.29", cuda="13.0", libcuda="/usr/lib/wsl/lib/libcuda.so.1")
READY = Venv(ENGINE.fingerprint(), "/usr/bin/cc", "/usr/include/python3.11/Python.h")


def machine(**changes: object) -> Host:
    return replace(host(os=WSL, nvidia=GOOD, venv=READY), **changes)  # type: ignore[arg-type]


def plan(on: Host) -> list[Step]:
    return [*venv.machine(CUDA, on, TOOLS), *venv.install(CUDA, PATHS, on, TOOLS)]


def told(on: Host) -> dict[str, str]:
    return missing(plan(on), on)


def test_a_prepared_machine_lacks_nothing() -> None:
    assert told(machine()) == {}


def test_the_card_comes_before_everything_that_takes_minutes() -> None:
    bare = machine(nvidia=Nvidia(), venv=Venv())
    names = list(told(bare))
    assert names[0] == "nvidia.answers"
    assert "installed" in names[-1]


@pytest.mark.parametrize(
    ("driver", "cuda", "old"),
    [
        ("581.29", "13.0", False),
        ("591.44", "13.1", False),
        ("576.02", "12.9", True),
        ("551.61", "", True),
    ],
)
def test_a_driver_that_does_not_run_the_engines_cuda_is_told(
    driver: str, cuda: str, *, old: bool
) -> None:
    on = machine(nvidia=replace(GOOD, driver=driver, cuda=cuda))
    found = [why for id_, why in told(on).items() if id_ == "engine.cuda_driver"]
    assert bool(found) == old
    if old:
        assert f"driver {driver}" in found[0]
        assert "needs driver 580 or newer" in found[0]
        (step,) = [s for s in plan(on) if s.id == "engine.cuda_driver"]
        assert "in Windows" in step.fix
        assert "--runtime docker" in step.fix
        assert step.actions == ()


def test_a_card_without_kernels_is_told() -> None:
    pascal = Gpu("NVIDIA GeForce GTX 1080 Ti", 11 * GIB, 10 * GIB, "6.1")
    (why,) = told(machine(nvidia=replace(GOOD, gpus=(pascal,)))).values()
    assert "GTX 1080 Ti" in why


@pytest.mark.parametrize(
    ("lacks", "package", "id_"),
    [
        ("compiler", "gcc libc6-dev", "engine.c_compiler"),
        ("header", "python3.11-dev", "engine.python_headers"),
    ],
)
def test_what_triton_compiles_with_is_asked_for(lacks: str, package: str, id_: str) -> None:
    on = machine(venv=replace(READY, **{lacks: ""}))
    (step,) = [s for s in plan(on) if s.missing(on)]
    assert step.id == id_
    assert package in step.fix
    assert step.actions == ()
    root = replace(on, os=replace(WSL, root=True, apt=True))
    done = actions(s for s in plan(root) if s.missing(root))
    assert package in " ".join(str(action) for action in done)


def test_the_engine_comes_from_the_default_index_and_its_lock() -> None:
    (*_, install) = venv.install(CUDA, PATHS, machine(venv=Venv()), TOOLS)
    (fill,) = [a.argv for a in install.actions if isinstance(a, Command) and "install" in a.argv]
    assert not {"--torch-backend", "--find-links"} & set(fill)
    assert {"--no-deps", str(ENGINE.lock_file)} <= set(fill)


def test_every_package_of_the_lock_has_a_hash_and_is_for_this_platform() -> None:
    text = ENGINE.lock_file.read_text()
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert len(blocks) > 150
    for block in blocks:
        assert re.match(r"[a-z0-9-]+==\S+ ;.* sys_platform == 'linux'", block)
        assert "--hash=sha256:" in block
    assert f"{ENGINE.distribution}=={ENGINE.version} " in text
    assert f"torch=={ENGINE.torch} " in text
    assert "://" not in text


def test_the_lock_holds_what_the_source_pins() -> None:
    source = ENGINE.lock_file.with_suffix(".in").read_text()
    text = ENGINE.lock_file.read_text()
    pins = re.findall(r"^([a-z-]+==\S+) ;", source, re.MULTILINE)
    assert len(pins) >= 4
    assert [pin for pin in pins if f"{pin.removesuffix('*')}" not in text] == []


def test_compiler_and_headers_of_cuda_are_of_one_minor() -> None:
    # vllm-project/vllm#44305: nvcc 13.5 beside the headers of 13.0 compiles nothing.
    text = ENGINE.lock_file.read_text()
    parts = ("cuda-nvcc", "cuda-crt", "nvvm", "cuda-cccl", "cuda-runtime", "cuda-nvrtc")
    minors = {re.search(rf"^nvidia-{part}==(\d+\.\d+)\.", text, re.MULTILINE) for part in parts}
    assert {found and found[1] for found in minors} == {ENGINE.cuda}


def test_flashinfers_sampler_which_would_be_compiled_is_off_and_that_is_told() -> None:
    # vllm-project/vllm#49497: "Could not find nvcc and default cuda_home='/usr/local/cuda'".
    on = machine()
    assert serve_arguments.environment(CUDA, on)["VLLM_USE_FLASHINFER_SAMPLER"] == "0"
    assert any("cuda-venv-sampler: " in note for note in serve_arguments.notes(CUDA, on))
    native = machine(os=replace(WSL, wsl=False))
    assert "VLLM_USE_FLASHINFER_SAMPLER" in serve_arguments.environment(CUDA, native)
    container = backend("4090", GPU="cuda", RUNTIME="docker")
    assert "VLLM_USE_FLASHINFER_SAMPLER" not in serve_arguments.environment(container, on)
    off = backend("4090", GPU="cuda", RUNTIME="venv", KNOWN_ISSUES_OFF="cuda-venv-sampler")
    assert "VLLM_USE_FLASHINFER_SAMPLER" not in serve_arguments.environment(off, on)


def test_the_server_is_vllms_own_command_with_the_model_first() -> None:
    line = venv.command(CUDA, PATHS, machine())
    assert line[:5] == (
        "/data/engines/cuda-0.33.0/bin/python",
        "-m",
        "vllm.entrypoints.cli.main",
        "serve",
        str(machine().weights.path),
    )
    assert "--model" not in line
    assert "--kv-cache-memory-bytes" not in line
    assert line[line.index("--gpu-memory-utilization") + 1] == "0.85"


def test_its_environment_knows_the_driver_and_nothing_of_the_processors_settings() -> None:
    wanted = serve.launched(CUDA, machine())
    made = venv.start(CUDA, PATHS, machine(), wanted)
    (run,) = [action for action in made if isinstance(action, Command)]
    assert run.env["LD_LIBRARY_PATH"] == "/usr/lib/wsl/lib"
    assert not [name for name in run.env if "CPU" in name]
    assert wanted.settings["ENGINE"] == "cuda-0.33.0"


def test_beside_a_container_the_processors_engine_converts_a_model() -> None:
    container = backend("4090", GPU="cuda", RUNTIME="docker")
    names = [step.id for step in venv.install(container, PATHS, machine(), TOOLS)]
    assert "engine.installed" in names
    assert not any("Triton" in name for name in names)
