"""AMD cards and ROCm, from real output (see amd/README.md) and recorded machines."""

from pathlib import Path

import pytest

from lifecycle import tables
from lifecycle.facts import amd
from lifecycle.host import GIB, Amd, Gpu, Os
from lifecycle.machine import Replay
from lifecycle.shell import Output
from tests.unit import facts as recorded

FOLDER = Path(str(recorded.__file__)).parent / "amd"
NATIVE = Os("linux", "x86_64", distro="ubuntu", codename="noble")
WSL = Os("linux", "x86_64", distro="ubuntu", codename="noble", wsl=True)
PACKAGES = "ask: packages"
DXG = "run: env HSA_ENABLE_DXG_DETECTION=1 /opt/rocm/bin/rocminfo"
THERE = Output(0, "")


def said(name: str) -> str:
    return (FOLDER / f"{name}.txt").read_text()


CARD = {
    "exists: /dev/kfd": THERE,
    "folder: /dev/dri": Output(0, "by-path\ncard1\nrenderD128"),
    "folder: /sys/class/drm": Output(0, "card1\ncard1-DP-1\nrenderD128\nversion"),
    "folder: /sys/class/drm/card1/device/drm": Output(0, "card1\nrenderD128"),
    "file: /sys/class/drm/card1/device/vendor": Output(0, "0x1002\n"),
    "file: /sys/class/drm/card1/device/device": Output(0, "0x744c\n"),
    "file: /sys/class/drm/card1/device/revision": Output(0, "0xc8\n"),
    "file: /sys/class/drm/card1/device/mem_info_vram_total": Output(0, "25753026560\n"),
    "file: /sys/class/drm/card1/device/mem_info_vram_used": Output(0, "1073741824\n"),
    "folder: /sys/class/kfd/kfd/topology/nodes": Output(0, "0\n1"),
    "file: /sys/class/kfd/kfd/topology/nodes/0/properties": Output(
        0, "cpu_cores_count 32\nsimd_count 0\ngfx_target_version 0\n"
    ),
    "file: /sys/class/kfd/kfd/topology/nodes/1/properties": Output(0, said("kfd-properties")),
    "run: grep -i -m 1 '^744c,[[:space:]]*c8,' /usr/share/libdrm/amdgpu.ids": Output(
        0, "744C,\tC8,\tAMD Radeon RX 7900 XTX\n"
    ),
}
ROCDXG = {
    "exists: /dev/dxg": THERE,
    "exists: /usr/lib/wsl/lib/libdxcore.so": THERE,
    "exists: /opt/rocm": THERE,
    "exists: /opt/rocm/bin/rocminfo": THERE,
    "exists: /opt/rocm/lib/librocdxg.so": THERE,
    "exists: /opt/rocm/share/rocdxg/dids.conf": THERE,
    "file: /opt/rocm/.info/version": Output(0, "7.2.1\n"),
    "run: /sbin/ldconfig -p": Output(
        0,
        "2 libs found in cache `/etc/ld.so.cache'\n"
        "\tlibrocdxg.so.1 (libc6,x86-64) => /opt/rocm/lib/librocdxg.so.1\n"
        "\tlibhsa-runtime64.so.1 (libc6,x86-64) => /opt/rocm/lib/libhsa-runtime64.so.1\n",
    ),
    PACKAGES: Output(0, '{"rocm-core": "7.2.1.70201-81~24.04", "rocdxg-roct": "1.2.2"}'),
    DXG: Output(0, said("rocminfo-7900xtx")),
}


def test_the_card_stands_in_rocminfo_beside_processor_and_targets() -> None:
    assert amd.parse_rocminfo(said("rocminfo-7900xtx")) == (
        Gpu("Radeon RX 7900 XTX", 25149440 * 1024, 0, "gfx1100"),
    )


def test_graphics_of_a_processor_are_told_apart_and_generic_targets_are_no_cards() -> None:
    card, other = amd.parse_rocminfo(said("rocminfo-with-integrated"))
    assert (card.arch, card.total, card.integrated) == ("gfx803", 8 * GIB, False)
    assert (other.arch, other.name, other.integrated) == ("gfx1036", "AMD Radeon Graphics", True)


@pytest.mark.parametrize("name", ["rocminfo-wsl-processor-only", "rocminfo-wsl-no-adapter"])
def test_a_processor_is_no_card(name: str) -> None:
    assert amd.parse_rocminfo(said(name)) == ()


@pytest.mark.parametrize(
    ("version", "name"),
    [(110000, "gfx1100"), (90010, "gfx90a"), (90402, "gfx942"), (100306, "gfx1036"),
     (110501, "gfx1151"), (120001, "gfx1201")],
)  # fmt: skip
def test_the_kernels_number_is_llvms_name(version: int, name: str) -> None:
    assert amd.gfx_name(version) == name


def test_usecases_are_the_words_before_the_brackets() -> None:
    assert amd.parse_usecases(said("usecases-6.3")) == {
        "dkms",
        "graphics",
        "rocm",
        "wsl",
        "rocmdev",
    }


def test_the_installers_release_is_that_of_rocm_and_not_its_own() -> None:
    # A user's amdgpu-install 7.2.1: its own number is 30.30.1.
    text = "BASEURL=https://repo.radeon.com\nAMDGPUREL=30.30.1\nRELEASE=7.2.1\n"
    assert amd.parse_release(text) == "7.2.1"


def test_the_kernel_shows_name_memory_and_architecture_without_rocm() -> None:
    found = amd.look(Replay(CARD), NATIVE)
    assert found.gpus == (Gpu("AMD Radeon RX 7900 XTX", 25753026560, 25753026560 - GIB, "gfx1100"),)
    assert (found.kfd, found.render, found.dxg) == (True, ("renderD128",), False)
    assert (found.agents, found.rocm, found.problem) == ((), "", "")


def test_memory_in_use_that_cannot_be_read_is_not_called_free() -> None:
    used = next(key for key in CARD if key.endswith("mem_info_vram_used"))
    (card,) = amd.look(Replay({**CARD, used: Output(1, "")}), NATIVE).gpus
    assert (card.total, card.free) == (25753026560, None)


def test_a_card_libdrm_has_no_name_for_gets_rocms() -> None:
    unnamed = {key: value for key, value in CARD.items() if "grep" not in key}
    (bare,) = amd.look(Replay(unnamed), NATIVE).gpus
    assert bare.name == "AMD graphics (PCI device 744c)"
    told = {"exists: /usr/bin/rocminfo": THERE,
            "run: /usr/bin/rocminfo": Output(0, said("rocminfo-7900xtx"))}  # fmt: skip
    (named,) = amd.look(Replay({**unnamed, **told}), NATIVE).gpus
    assert (named.name, named.free) == ("Radeon RX 7900 XTX", 25753026560 - GIB)


def test_a_complete_wsl_is_read_whole() -> None:
    found = amd.look(Replay(ROCDXG), WSL)
    assert [gpu.name for gpu in found.gpus] == ["Radeon RX 7900 XTX"]
    assert (found.agents, found.rocm, found.rocdxg) == (("gfx1100",), "7.2.1", "1.2.2")
    assert (found.dxg, found.dxcore, found.dids, found.linked) == (True, True, True, True)
    assert found.hsa == "/opt/rocm/lib/libhsa-runtime64.so.1"
    assert (found.kfd, found.shadowing, found.problem) == (False, (), "")


def test_packages_that_hide_amds_libraries_are_named() -> None:
    hidden = Output(0, '{"libhsakmt1": "5.7.0-1build1"}')
    assert amd.look(Replay({**ROCDXG, PACKAGES: hidden}), WSL).shadowing == ("libhsakmt1",)


def test_a_library_of_ones_own_has_no_version() -> None:
    assert amd.look(Replay({**ROCDXG, PACKAGES: Output(0, "{}")}), WSL).rocdxg == "unknown"


def test_rocm_10_keeps_its_version_in_a_folders_name() -> None:
    machine = {**ROCDXG, "folder: /opt/rocm": Output(0, "core-10.0\ncore-9.9")}
    del machine["file: /opt/rocm/.info/version"]
    assert amd.look(Replay(machine), WSL).rocm == "10.0"


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (Output(0, said("rocminfo-wsl-processor-only")), "rocminfo lists no graphics card"),
        (Output(1, said("rocminfo-wsl-no-adapter")), "No WDDM adapters found"),
        (Output(1, said("rocminfo-denied")), "Unable to open /dev/kfd read-write: Permission"),
        (Output(124, "", "env: no answer in 1.4 s"), "no answer in time"),
        (Output(-11, "", ""), "failed (exit -11) and said nothing"),
        (Output(139, "", "dlsym failed: /opt/rocm/lib/librocdxg.so: undefined symbol: "
                         "hsaKmtHandleImport"), "hsaKmtHandleImport"),
    ],
    ids=["no card", "no adapter", "denied", "hangs", "crashed", "wrong pair"],
)  # fmt: skip
def test_why_rocminfo_lists_nothing_is_kept(output: Output, problem: str) -> None:
    found = amd.look(Replay({**ROCDXG, DXG: output}), WSL)
    assert found.agents == ()
    assert problem in found.problem


@pytest.mark.parametrize("here", [NATIVE, WSL, Os("win32")], ids=["native", "wsl", "windows"])
def test_nothing_is_run_where_no_amd_card_can_be(here: Os) -> None:
    class Silent(Replay):
        def run(self, *argv: str, limit: float = 1, keep: bool = False) -> Output:
            pytest.fail(f"ran {argv} ({limit}, {keep})")

    assert amd.look(Silent({}), here) == Amd()


@pytest.mark.parametrize(
    ("says", "means"),
    [
        ("undefined symbol: hsaKmtHandleImport", "older than this ROCm"),
        ("undefined symbol: hsaKmtCreateQueueV2", "older than this ROCm"),
        ("undefined symbol: hsaKmtOpenKFD", "missing"),
        ("Call returned HSA_STATUS_ERROR_OUT_OF_RESOURCES: The runtime failed", "Windows"),
        ("ROCR: unsupported GPU\nCall returned HSA_STATUS_ERROR_OUT_OF_RESOURCES", "not know"),
        (said("rocminfo-denied"), "may not use the card"),
        (said("rocminfo-wsl-no-adapter"), "AMD's list"),
        ("ROCk module is NOT loaded, possibly no GPU devices", "native Linux"),
    ],
)
def test_what_rocminfo_complains_of_is_explained(says: str, means: str) -> None:
    found = tables.rocm.complaint(says)
    assert found is not None
    assert means in found.why


def test_the_bridge_is_the_file_the_loader_finds_else_the_one_of_the_package() -> None:
    found = amd.look(Replay(ROCDXG), WSL)
    assert found.bridge == "/opt/rocm/lib/librocdxg.so.1"
    unlinked = {key: text for key, text in ROCDXG.items() if "ldconfig" not in key}
    other = amd.look(Replay(unlinked), WSL)
    assert (other.linked, other.bridge) == (False, "/opt/rocm/lib/librocdxg.so")


def test_groups_of_the_nodes_are_numbers_and_none_under_wsl() -> None:
    nodes = {"exists: /dev/kfd": Output(0, ""), "ask: amd.groups": Output(0, "[44, 992]")}
    assert amd.look(Replay({**CARD, **nodes}), NATIVE).groups == (44, 992)
    assert amd.look(Replay({**ROCDXG, **nodes}), WSL).groups == ()
