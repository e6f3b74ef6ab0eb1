"""`nvidia-smi`, `nvidia-ctk` and `nvcc` as they speak; each text is from where its test says."""

from pathlib import Path

import pytest

from lifecycle.facts import nvidia
from lifecycle.host import Gpu, Nvidia, Os
from lifecycle.machine import Replay
from lifecycle.shell import Output

MIB = 1024**2
LINUX = Os("linux", "x86_64")
WSL = Os("linux", "x86_64", wsl=True)
SMI = "/usr/lib/wsl/lib/nvidia-smi"
QUERY = (
    "--query-gpu=driver_version,memory.total,memory.free,compute_cap,name "
    "--format=csv,noheader,nounits"
)
RTX_4090 = "581.42, 24564, 23012, 8.9, NVIDIA GeForce RTX 4090\n"
# Output of `--version` under WSL: a public environment report (find_string id 59217458828).
VERSIONS_WSL = """NVIDIA-SMI version  : 580.82.07
NVML version        : 580.95
DRIVER version      : 581.42
CUDA Version        : 13.0
"""


def wsl(**answers: Output) -> Replay:
    """WSL with a working card; a change by the name of the program."""
    by_name = {
        "smi": (f"run: {SMI} {QUERY}", Output(0, RTX_4090)),
        "versions": (f"run: {SMI} --version", Output(0, VERSIONS_WSL)),
        "table": (f"run: {SMI}", Output(127, "")),
        "toolkit": ("run: nvidia-ctk --version", Output(127, "")),
        "nvcc": ("run: nvcc --version", Output(127, "")),
    }
    told = {key: answers.get(name, answer) for name, (key, answer) in by_name.items()}
    return Replay(
        {
            f"exists: {SMI}": Output(0, ""),
            "exists: /usr/lib/wsl/lib/libcuda.so.1": Output(0, ""),
            "folder: /etc/ld.so.conf.d": Output(0, "ld.wsl.conf\nlibc.conf"),
            "file: /etc/ld.so.conf.d/ld.wsl.conf": Output(0, "/usr/lib/wsl/lib\n"),
            "file: /etc/ld.so.conf.d/libc.conf": Output(0, "/usr/local/lib\n"),
            **told,
        }
    )


def test_a_healthy_card_under_wsl() -> None:
    assert nvidia.look(wsl(), WSL) == Nvidia(
        smi=SMI,
        driver="581.42",
        cuda="13.0",
        gpus=(Gpu("NVIDIA GeForce RTX 4090", 24564 * MIB, 23012 * MIB, "8.9"),),
        libcuda="/usr/lib/wsl/lib/libcuda.so.1",
    )


def test_where_there_is_nothing_of_nvidia_nothing_is_wrong() -> None:
    assert nvidia.look(Replay({}), LINUX) == Nvidia()
    assert nvidia.look(Replay({}), WSL) == Nvidia()
    assert nvidia.look(Replay({}), Os("win32")) == Nvidia()


@pytest.mark.parametrize(
    ("line", "card"),
    [
        # https://docs.nvidia.com/deploy/nvidia-smi/index.html: what cannot be told is in brackets.
        ("580.95.05, [N/A], [N/A], 12.1, NVIDIA GB10", Gpu("NVIDIA GB10", arch="12.1")),
        (
            "470.256.02, 2002, [Not Supported], 3.5, NVIDIA GeForce GT 710",
            Gpu("NVIDIA GeForce GT 710", 2002 * MIB, None, "3.5"),
        ),
        ("580.1, 1, 1, [N/A], A, B, C", Gpu("A, B, C", MIB, MIB)),
        ("580.1, 1, 0, [N/A], A", Gpu("A", MIB, 0)),
    ],
)
def test_what_a_card_does_not_tell_is_unknown(line: str, card: Gpu) -> None:
    assert nvidia.parse_cards(line)[1] == (card,)


def test_every_card_counts_and_other_lines_do_not() -> None:
    driver, cards = nvidia.parse_cards(f"{RTX_4090}WARNING: infoROM is corrupted\n{RTX_4090}")
    assert (driver, len(cards)) == ("581.42", 2)


# PrismML-Eng/Bonsai-demo#122: `nvidia-smi -q` keeps the old name, with a note in its place
DEPRECATED = (
    "CUDA Version : [Deprecated; will be removed in CUDA 14.0. Use CUDA UMD Version instead]\n"
    "CUDA UMD Version                          : 13.3\n"
)


@pytest.mark.parametrize(
    ("text", "cuda"),
    [
        (VERSIONS_WSL, "13.0"),
        # microsoft/WSL#10289
        ("| NVIDIA-SMI 536.40   Driver Version: 536.40   CUDA Version: 12.2     |", "12.2"),
        # sgl-project/sglang#27487: drivers 610+
        ("| NVIDIA-SMI 610.43.02  KMD Version: 610.43.02  CUDA UMD Version: 13.3 |", "13.3"),
        (DEPRECATED, "13.3"),
        ("| NVIDIA-SMI 470.14   Driver Version: 470.14   CUDA Version: N/A |", ""),
        ("", ""),
    ],
)
def test_the_newest_cuda_in_old_and_new_words(text: str, cuda: str) -> None:
    assert nvidia.ceiling(text) == cuda


def test_a_driver_too_old_for_the_option_is_asked_for_its_table() -> None:
    table = Output(0, "| NVIDIA-SMI 520.56.06  Driver Version: 520.56.06  CUDA Version: 11.8 |")
    on = wsl(versions=Output(1, "ERROR: Option --version is not recognized."), table=table)
    assert nvidia.look(on, WSL).cuda == "11.8"


def test_a_driver_that_knows_no_compute_capability_still_names_its_cards() -> None:
    older = QUERY.replace("compute_cap", "index")
    refused = Output(2, 'Field "compute_cap" is not a valid field to query.\n')
    answers = {
        "exists: /usr/bin/nvidia-smi": Output(0, ""),
        f"run: /usr/bin/nvidia-smi {QUERY}": refused,
        f"run: /usr/bin/nvidia-smi {older}": Output(0, "460.32, 16160, 16157, 0, Tesla V100\n"),
    }
    found = nvidia.look(Replay(answers), LINUX)
    assert found.gpus == (Gpu("Tesla V100", 16160 * MIB, 16157 * MIB),)
    assert (found.driver, found.problem) == ("460.32", "")


# cpnr/computing#109
MISMATCH = (
    "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.159"
)
# microsoft/WSL#14339
BLOCKED = (
    "Failed to initialize NVML: GPU access blocked by the operating system\n"
    "Failed to properly shut down NVML: GPU access blocked by the operating system"
)
# gist espoirMur/65cec3d67e0a96e270860c9c276ab9fa
NO_MODULE = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that "
    "the latest NVIDIA driver is installed and running."
)
NO_CARD = "No devices were found"


@pytest.mark.parametrize(
    ("code", "text"),
    [(18, MISMATCH), (17, BLOCKED), (9, NO_MODULE), (6, NO_CARD), (0, NO_CARD)],
)
def test_a_failure_is_told_in_its_own_words_on_one_line(code: int, text: str) -> None:
    found = nvidia.look(wsl(smi=Output(code, text + "\n")), WSL)
    assert found.problem == " ".join(text.split())
    assert (found.smi, found.gpus, found.driver) == ("", (), "")


def test_a_silent_failure_and_one_without_an_answer_are_problems_too() -> None:
    assert nvidia.look(wsl(smi=Output(139, "")), WSL).problem == "nvidia-smi failed (exit 139)"
    late = Output(124, "", f"{SMI}: no answer in 1.8 s")
    assert nvidia.look(wsl(smi=late), WSL).problem == late.errors


PCI = "/sys/bus/pci/devices"


def bus(display: str) -> dict[str, Output]:
    return {
        f"folder: {PCI}": Output(0, "0000:00:02.0\n0000:01:00.0\n0000:01:00.1"),
        f"file: {PCI}/0000:00:02.0/vendor": Output(0, "0x8086\n"),
        f"file: {PCI}/0000:00:02.0/class": Output(0, "0x030000\n"),
        f"file: {PCI}/0000:01:00.0/vendor": Output(0, "0x10de\n"),
        f"file: {PCI}/0000:01:00.0/class": Output(0, display),
        f"file: {PCI}/0000:01:00.1/vendor": Output(0, "0x10de\n"),
        f"file: {PCI}/0000:01:00.1/class": Output(0, "0x040300\n"),
    }


@pytest.mark.parametrize("display", ["0x030000\n", "0x030200\n"])
def test_a_card_without_a_driver_is_seen_on_the_bus(display: str) -> None:
    found = nvidia.look(Replay(bus(display)), LINUX)
    assert found.problem == "an NVIDIA card is here (PCI 0000:01:00.0), but no driver is installed"


def test_only_its_sound_device_is_no_card() -> None:
    assert nvidia.look(Replay(bus("0x0c0330\n")), LINUX).problem == ""


def test_toolkit_and_compiler() -> None:
    # NVIDIA/nvidia-container-toolkit#50; nvcc: a public environment report (id 59217458828)
    ctk = (
        "NVIDIA Container Toolkit CLI version 1.12.0\ncommit: 62bd015475656ef795cb0d59cc4030a6bd\n"
    )
    nvcc = (
        "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 11.8, V11.8.89\n"
        "Build cuda_11.8.r11.8/compiler.31833905_0\n"
    )
    found = nvidia.look(wsl(toolkit=Output(0, ctk), nvcc=Output(0, nvcc)), WSL)
    assert (found.toolkit, found.cuda_toolkit) == ("1.12.0", "11.8")


@pytest.mark.parametrize(
    ("real", "misplaced"),
    [
        ("/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05", True),
        ("/usr/lib/wsl/lib/libcuda.so.1", False),
    ],
)
def test_a_linux_driver_is_looked_for_under_wsl_only(real: str, *, misplaced: bool) -> None:
    path = "/usr/lib/x86_64-linux-gnu/libcuda.so.1"
    on = Replay({f"exists: {path}": Output(0, ""), f"run: readlink -f {path}": Output(0, real)})
    assert nvidia.look(on, WSL).linux_driver == ((path,) if misplaced else ())
    assert nvidia.look(on, LINUX).linux_driver == ()
    assert nvidia.look(on, LINUX).libcuda == path


def test_a_loader_that_was_not_told_of_windows_libraries_finds_none() -> None:
    answers = {
        "exists: /usr/lib/wsl/lib/libcuda.so.1": Output(0, ""),
        "folder: /etc/ld.so.conf.d": Output(0, "libc.conf\nld.wsl.conf.bak"),
        "file: /etc/ld.so.conf.d/ld.wsl.conf.bak": Output(0, "/usr/lib/wsl/lib\n"),
    }
    assert nvidia.look(Replay(answers), WSL).libcuda == ""


def test_descriptions_of_cards_for_podman() -> None:
    on = Replay({"folder: /etc/cdi": Output(0, "amd.yaml\nnvidia.yaml")})
    assert nvidia.look(on, LINUX).cdi == ("/etc/cdi/nvidia.yaml",)


def test_the_stamp_is_read_from_our_home_and_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvidia-container.txt").write_text("driver 1, toolkit 2, engine 3\n")
    with monkeypatch.context() as asked:
        asked.setattr(Replay, "ask", lambda _, key, absent, question: question() or (key, absent))
        found = nvidia.look(Replay({}), LINUX, tmp_path)
        assert found.verified == "driver 1, toolkit 2, engine 3"
    recorded = Replay({"ask: nvidia.verified": Output(0, '"driver 9"')})
    assert nvidia.look(recorded, LINUX, tmp_path).verified == "driver 9"


HANDLE = "Unable to determine the device handle for GPU0000:0A:00.0: Unknown Error"
INFOROM = "WARNING: infoROM is corrupted at gpu 0000:0B:00.0"
LOST_ROWS = [
    "[Unknown Error], [Unknown Error], [Unknown Error], [Unknown Error], [Unknown Error]",
    "581.42, [Unknown Error], [Unknown Error], 8.9, NVIDIA GeForce RTX 4090",
    "581.42, ERR!, ERR!, ERR!, ERR!",
    "581.42, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost]",
    "581.42, [GPU requires reset], [N/A], 8.9, NVIDIA GeForce RTX 4090",
]


@pytest.mark.parametrize("code", [0, 1, 14, 15, 255])
@pytest.mark.parametrize("other", [HANDLE, INFOROM, "a, b, c, d, e", *LOST_ROWS])
@pytest.mark.parametrize("first", [True, False])
def test_a_card_that_answers_counts_whatever_else_is_said(
    code: int, other: str, *, first: bool
) -> None:
    text = f"{other}\n{RTX_4090}" if first else f"{RTX_4090}{other}\n"
    found = nvidia.look(wsl(smi=Output(code, text)), WSL)
    assert [gpu.name for gpu in found.gpus] == ["NVIDIA GeForce RTX 4090"]
    assert (found.smi, found.driver, found.problem) == (SMI, "581.42", "")
    assert found.caution == other


def test_a_complaint_beside_the_cards_is_a_caution_and_an_exit_code_alone_too() -> None:
    assert nvidia.look(wsl(smi=Output(14, RTX_4090, f"{INFOROM}\n")), WSL).caution == INFOROM
    silent = nvidia.look(wsl(smi=Output(14, RTX_4090)), WSL)
    assert silent.caution == "nvidia-smi ended with exit code 14"
    assert nvidia.look(wsl(), WSL).caution == ""


@pytest.mark.parametrize("row", LOST_ROWS)
def test_a_lost_card_alone_is_a_problem(row: str) -> None:
    found = nvidia.look(wsl(smi=Output(15, row)), WSL)
    assert (found.gpus, found.problem, found.caution) == ((), row, "")


def test_versions_count_whatever_the_exit_code() -> None:
    assert nvidia.look(wsl(versions=Output(14, f"{VERSIONS_WSL}{INFOROM}\n")), WSL).cuda == "13.0"
