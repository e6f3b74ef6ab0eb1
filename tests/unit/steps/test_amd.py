"""AMD machines as literals: what each lacks, and who mends it."""

import dataclasses

import pytest

from lifecycle import tables
from lifecycle.errors import HostNotReady, NotSupported, RestartNeeded
from lifecycle.host import Adapter, Amd, Gpu, Host, Nvidia, Os, Windows, Wsl
from lifecycle.steps import amd, findings
from tests.unit.given import PATHS, host
from tests.unit.steps.amd_hosts import (
    ELEVEN,
    GOOD_WSL,
    IN_FORCE,
    LEGACY,
    LINUX,
    RYZEN,
    WSL_OS,
    XTX,
    commands,
    fresh,
    lacks,
    native,
    state,
    wsl,
)


@pytest.mark.parametrize(
    "on",
    [
        native(),
        native(Amd((XTX,), kfd=True, render=("renderD128",))),
        wsl(),
        wsl(LEGACY, {"rocminfo": "1", "hsa-runtime-rocr4wsl-amdgpu": "25.10"}),
        wsl(dataclasses.replace(GOOD_WSL, rocm="10.0")),
        wsl(dataclasses.replace(GOOD_WSL, rocdxg="unknown")),
        wsl(windows=Windows()),
        wsl(os=dataclasses.replace(WSL_OS, root=True, groups=frozenset())),
    ],
    ids=[
        "native",
        "before rocminfo ran",
        "wsl",
        "legacy",
        "10.0",
        "own build",
        "no interop",
        "root",
    ],
)
def test_a_good_machine_lacks_nothing(on: Host) -> None:
    assert lacks(on) == {}
    assert commands(on) == []


def test_what_was_never_tried_on_a_card_says_so() -> None:
    found = state(wsl(), "amd.card")
    assert found.detail == (
        "AMD Radeon RX 7900 XTX (gfx1100); documented by AMD, not tried by us on a card"
    )
    assert "reported by others, not tried by us" in state(wsl(), "rocm.installed").name


# --- the card ---


@pytest.mark.parametrize(
    ("on", "why"),
    [
        (native(Amd()), "the kernel shows no AMD card"),
        (native(Amd((RYZEN,), kfd=True)), "only graphics that are part of the processor: AMD Rad"),
        (native(Amd((Gpu("AMD Radeon RX 6800", arch="gfx1030"),))), "nobody is known to run vLLM"),
        (native(Amd((Gpu("AMD Radeon RX 7600 XT", arch="gfx1102"),))), "no kernels for gfx1102"),
        (wsl(windows=dataclasses.replace(ELEVEN, adapters=(Adapter("NVIDIA GeForce RTX 4090"),))),
         "Windows has no AMD card: NVIDIA GeForce RTX 4090"),
        (fresh(windows=dataclasses.replace(ELEVEN, adapters=(Adapter("AMD Radeon RX 7600 XT"),))),
         "not on AMD's list for WSL2"),
    ],
    ids=["none", "processor", "unknown", "no kernels", "other vendor", "not for wsl"],
)  # fmt: skip
def test_a_card_vllm_cannot_use_is_named_with_the_reason(on: Host, why: str) -> None:
    assert why in lacks(on)["amd.card"]


def test_a_card_of_no_table_is_not_supported() -> None:
    on = native(Amd((Gpu("AMD Radeon RX 6800", arch="gfx1030"),)))
    assert amd.steps(on, PATHS)[0].failure is NotSupported
    assert amd.steps(native(Amd()), PATHS)[0].failure is HostNotReady


def test_strix_halo_is_a_card_although_it_is_part_of_the_processor() -> None:
    adapter = Adapter("AMD Radeon(TM) 8060S Graphics", adrenalin="26.9.2")
    found = dataclasses.replace(GOOD_WSL, agents=("gfx1151",))
    on = wsl(found, windows=dataclasses.replace(ELEVEN, adapters=(adapter,)))
    assert lacks(on) == {}
    assert "gfx1151" in state(on, "amd.card").detail


def test_integrated_graphics_before_the_card_are_pointed_out_with_its_number() -> None:
    on = native(
        Amd((RYZEN, XTX), ("gfx1036", "gfx1100"), kfd=True, render=("renderD128", "renderD129"))
    )
    found = state(on, "amd.alone")
    assert found.state == findings.ADVICE
    assert "DEVICES=1 " in found.fix
    assert list(lacks(on)) == ["amd.alone"]


def test_rocm_tells_of_integrated_graphics_where_windows_cannot_be_asked() -> None:
    found = dataclasses.replace(GOOD_WSL, gpus=(XTX,), agents=("gfx1036", "gfx1100"))
    on = wsl(found, windows=Windows())
    assert "gfx1036 is part of the processor" in state(on, "amd.alone").detail


def test_windows_tells_of_integrated_graphics_too() -> None:
    both = (*ELEVEN.adapters, Adapter("AMD Radeon(TM) Graphics"))
    on = fresh(windows=dataclasses.replace(ELEVEN, adapters=both))
    assert "AMD Radeon(TM) Graphics is part of the processor" in state(on, "amd.alone").detail


# --- the way to it ---


@pytest.mark.parametrize(
    ("on", "id_", "why"),
    [
        (native(Amd((XTX,))), "amd.kernel", "/dev/kfd is missing"),
        (native(Amd((XTX,), kfd=True)), "amd.kernel", "no render node"),
        (wsl(Amd()), "amd.wsl_bridge", "/dev/dxg is missing"),
        (wsl(Amd(), wsl=Wsl(generation=1)), "wsl.generation", "WSL 1 has no graphics card"),
        (wsl(Amd(dxg=True)), "amd.wsl_bridge", "libdxcore.so is missing"),
        (wsl(windows=dataclasses.replace(ELEVEN, build="10.0.19045.5011")), "amd.windows",
         "Windows build 10.0.19045.5011"),
        (wsl(windows=dataclasses.replace(
            ELEVEN, adapters=(Adapter("AMD Radeon RX 7900 XTX", adrenalin="25.8.1"),))),
         "amd.adrenalin", "it is Adrenalin 25.8.1"),
    ],
)  # fmt: skip
def test_what_only_a_person_can_mend_is_theirs(on: Host, id_: str, why: str) -> None:
    found = state(on, id_)
    assert (found.state, why in found.detail, bool(found.fix)) == (findings.PERSON, True, True)


def test_nothing_is_installed_for_a_card_that_is_not_there() -> None:
    """With interop off Windows cannot be asked; the card that answers tells all the same."""
    off = wsl(Amd(dxg=True, dxcore=True), windows=Windows(problem="interop is off"))
    assert commands(off)
    on = dataclasses.replace(off, nvidia=Nvidia(gpus=(Gpu("NVIDIA GeForce RTX 4090"),)))
    said = state(on, "amd.card")
    assert (said.state, "RTX 4090" in said.detail) == (findings.PERSON, True)
    assert "inv setup.cuda" in said.fix
    assert next(step for step in amd.setup(on, PATHS, "") if step.missing(on)).actions == ()


def test_what_stands_on_a_missing_state_is_not_told() -> None:
    ten = fresh(windows=dataclasses.replace(ELEVEN, build="10.0.19045.5011"))
    assert list(lacks(ten)) == ["amd.windows"]
    assert list(lacks(fresh())) == ["rocm.installed"]


def test_the_floor_of_adrenalin_is_that_of_the_recipe() -> None:
    driver = (Adapter("AMD Radeon RX 7900 XTX", adrenalin="25.8.1"),)
    packages = {"rocminfo": "1", "hsa-runtime-rocr4wsl-amdgpu": "25.10"}
    on = wsl(LEGACY, packages, windows=dataclasses.replace(ELEVEN, adapters=driver))
    assert lacks(on) == {}


def test_an_unreadable_look_blames_nothing() -> None:
    on = wsl(Amd(), unread={"amd": "no answer in 1.4 s"})
    assert lacks(on) == {"amd.read": "no answer in 1.4 s"}


def test_on_windows_itself_card_and_driver_are_judged() -> None:
    on = host(os=Os("win32"), windows=ELEVEN)
    assert lacks(on) == {}
    old = dataclasses.replace(ELEVEN, adapters=(Adapter("AMD Radeon RX 7900 XTX", "", "25.1.1"),))
    assert list(lacks(host(os=Os("win32"), windows=old))) == ["amd.adrenalin"]


# --- who may use it ---


def test_a_user_joins_the_groups_once_and_must_sign_in_again() -> None:
    alone = dataclasses.replace(LINUX, groups=frozenset({"user"}), listed=frozenset({"user"}))
    on = native(os=alone)
    assert commands(on)[:3] == [
        "sudo groupadd --force --system render",
        "sudo groupadd --force --system video",
        "sudo usermod -aG render,video user",
    ]
    joined = native(os=dataclasses.replace(alone, listed=IN_FORCE))
    step = next(step for step in amd.steps(joined, PATHS) if step.missing(joined))
    assert (step.actions, step.failure) == ((), RestartNeeded)
    assert "not in force yet" in step.missing(joined)


# --- the proof ---


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (
            "dlsym failed: librocdxg.so: undefined symbol: hsaKmtHandleImport",
            "older than this ROCm",
        ),
        ("ROCR: unsupported GPU\nCall returned HSA_STATUS_ERROR_OUT_OF_RESOURCES", "not know"),
        ("something new", "something new"),
    ],
)
def test_a_card_that_rocm_does_not_list_is_explained(problem: str, why: str) -> None:
    on = wsl(dataclasses.replace(GOOD_WSL, agents=(), problem=problem))
    found = state(on, "rocm.lists_card")
    assert (found.state, why in found.detail, problem in found.detail) == (
        findings.PERSON, True, True,
    )  # fmt: skip


def test_only_integrated_graphics_listed_is_not_the_card() -> None:
    on = wsl(dataclasses.replace(GOOD_WSL, agents=("gfx1036",)))
    assert "it lists gfx1036" in state(on, "rocm.lists_card").detail


# --- the tables ---


@pytest.mark.parametrize("row", tables.cards.cards("amd"), ids=lambda row: row.names or row.arch)
def test_every_card_names_recipes_and_the_floor_of_its_first(row: tables.cards.Card) -> None:
    recipes = [tables.rocm.recipe(name) for name in row.recipes]
    under_wsl = [one for one in recipes if one.system == "wsl"]
    assert row.wsl == bool(under_wsl)
    assert row.driver_windows == (under_wsl[0].adrenalin if under_wsl else "")
    assert "native" in row.recipes
    assert row.images or row.note


def test_every_recipe_that_may_be_used_can_be_installed() -> None:
    for row in (*tables.rocm.recipes("wsl"), *tables.rocm.recipes("native")):
        if row.refused:
            continue
        assert row.right_for(row.installs)
        assert "noble" in tables.rocm.releases(row.name)
        if row.rocdxg:
            assert tables.rocm.paired(row.rocdxg, row.installs)
            assert tables.rocm.rocdxg(row.rocdxg).url.endswith(f"_{row.rocdxg}_amd64.deb")


def test_a_wrong_pair_is_never_called_right() -> None:
    assert tables.rocm.paired("1.2.2", "7.2.1")
    assert not tables.rocm.paired("1.1.0", "7.12")
    assert not tables.rocm.paired("1.2.2", "6.4.2")
