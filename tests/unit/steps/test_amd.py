"""AMD machines as literals: what each lacks, who mends it, and by which recipe."""

import dataclasses
import re
from typing import Any

import pytest

from lifecycle import tables
from lifecycle.errors import ConfigError, HostNotReady, NotSupported, RestartNeeded
from lifecycle.host import GIB, Adapter, Amd, Gpu, Host, Nvidia, Os, Windows, Wsl
from lifecycle.step import Command, Download, WriteFile
from lifecycle.steps import amd, findings
from tests.unit.given import PATHS, actions, host, missing

XTX = Gpu("AMD Radeon RX 7900 XTX", 24 * GIB, 22 * GIB, "gfx1100")
RYZEN = Gpu("AMD Radeon Graphics", GIB // 2, 0, "gfx1036", integrated=True)
IN_FORCE = frozenset({"user", "render", "video"})
LINUX = Os(
    "linux", "x86_64", "Ubuntu 24.04", "ubuntu", "24.04", "noble",
    account="user", groups=IN_FORCE, listed=IN_FORCE, apt=True, sudo=True,
)  # fmt: skip
WSL_OS = dataclasses.replace(LINUX, wsl=True)
ELEVEN = Windows(
    reached=True,
    build="10.0.26100.4652",
    adapters=(Adapter("AMD Radeon RX 7900 XTX", "32.0.23017.1001", "26.2.2"),),
)
GOOD_WSL = Amd(
    agents=("gfx1100",), dxg=True, dxcore=True, rocm="7.2.1", rocdxg="1.2.2", linked=True, dids=True
)
LEGACY = Amd(agents=("gfx1100",), dxg=True, dxcore=True, rocm="6.4.2")
INSTALL = (
    "sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "
    "-o DPkg::Lock::Timeout=120"
)
LIST = (
    "deb [arch=amd64 signed-by=/etc/apt/keyrings/rocm.asc] "
    "https://repo.radeon.com/rocm/apt/7.2.1 noble main\n"
)
USECASES = frozenset({"dkms", "graphics", "rocm", "wsl"})


def wsl(found: Amd = GOOD_WSL, packages: dict[str, str] | None = None, **changes: Any) -> Host:
    """WSL2 on a machine with a 7900 XTX."""
    good: dict[str, Any] = {"os": WSL_OS, "windows": ELEVEN, "wsl": Wsl(generation=2)}
    installed = {"rocminfo": "1", "rocm-core": "1", "rocdxg-roct": "1"} if found.rocm else {}
    return host(amd=found, packages=installed if packages is None else packages, **good | changes)


def native(found: Amd | None = None, **changes: Any) -> Host:
    """Ubuntu with a 7900 XTX in it."""
    good = Amd((XTX,), ("gfx1100",), kfd=True, render=("renderD128",))
    known: dict[str, Any] = {"os": LINUX, "packages": {"rocminfo": "1"}}
    return host(amd=found or good, **known | changes)


def fresh(**changes: Any) -> Host:
    """WSL2 before anything of ROCm is there."""
    return wsl(Amd(dxg=True, dxcore=True), **changes)


def lacks(on: Host) -> dict[str, str]:
    return missing(amd.steps(on, PATHS), on)


def commands(on: Host, recipe: str = "") -> list[str]:
    plan = [step for step in amd.setup(on, PATHS, recipe) if step.missing(on)]
    return [" ".join(a.argv) for a in actions(plan) if isinstance(a, Command)]


def state(on: Host, name: str) -> findings.Finding:
    found = findings.examine(amd.steps(on, PATHS), on)
    return next(one for one in found if name in one.name)


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
    found = state(wsl(), "AMD card")
    assert found.detail == (
        "AMD Radeon RX 7900 XTX (gfx1100); documented by AMD, not tried by us on a card"
    )
    assert "reported by others, not tried by us" in state(wsl(), "ROCm is installed").name


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
    assert why in lacks(on)["there is an AMD card that vLLM runs on"]


def test_a_card_of_no_table_is_not_supported() -> None:
    on = native(Amd((Gpu("AMD Radeon RX 6800", arch="gfx1030"),)))
    assert amd.steps(on, PATHS)[0].failure is NotSupported
    assert amd.steps(native(Amd()), PATHS)[0].failure is HostNotReady


def test_strix_halo_is_a_card_although_it_is_part_of_the_processor() -> None:
    adapter = Adapter("AMD Radeon(TM) 8060S Graphics", adrenalin="26.2.2")
    found = dataclasses.replace(GOOD_WSL, agents=("gfx1151",))
    on = wsl(found, windows=dataclasses.replace(ELEVEN, adapters=(adapter,)))
    assert lacks(on) == {}
    assert "gfx1151" in state(on, "AMD card").detail


def test_integrated_graphics_before_the_card_are_pointed_out_with_its_number() -> None:
    on = native(
        Amd((RYZEN, XTX), ("gfx1036", "gfx1100"), kfd=True, render=("renderD128", "renderD129"))
    )
    found = state(on, "in the way")
    assert found.state == findings.ADVICE
    assert "DEVICES=1 " in found.fix
    assert list(lacks(on)) == ["no other AMD graphics are in the way of the card"]


def test_rocm_tells_of_integrated_graphics_where_windows_cannot_be_asked() -> None:
    found = dataclasses.replace(GOOD_WSL, gpus=(XTX,), agents=("gfx1036", "gfx1100"))
    on = wsl(found, windows=Windows())
    assert "gfx1036 is part of the processor" in state(on, "in the way").detail


def test_windows_tells_of_integrated_graphics_too() -> None:
    both = (*ELEVEN.adapters, Adapter("AMD Radeon(TM) Graphics"))
    on = fresh(windows=dataclasses.replace(ELEVEN, adapters=both))
    assert "AMD Radeon(TM) Graphics is part of the processor" in state(on, "in the way").detail


# --- the way to it ---


@pytest.mark.parametrize(
    ("on", "step", "why"),
    [
        (native(Amd((XTX,))), "the kernel offers", "/dev/kfd is missing"),
        (native(Amd((XTX,), kfd=True)), "the kernel offers", "no render node"),
        (wsl(Amd()), "WSL2 passes", "/dev/dxg is missing"),
        (wsl(Amd(), wsl=Wsl(generation=1)), "runs as WSL 2", "WSL 1 has no graphics card"),
        (wsl(Amd(dxg=True)), "WSL2 passes", "libdxcore.so is missing"),
        (wsl(windows=dataclasses.replace(ELEVEN, build="10.0.19045.5011")), "Windows is 11",
         "Windows build 10.0.19045.5011"),
        (wsl(windows=dataclasses.replace(
            ELEVEN, adapters=(Adapter("AMD Radeon RX 7900 XTX", adrenalin="25.8.1"),))),
         "AMD Software", "it is Adrenalin 25.8.1"),
    ],
)  # fmt: skip
def test_what_only_a_person_can_mend_is_theirs(on: Host, step: str, why: str) -> None:
    found = state(on, step)
    assert (found.state, why in found.detail, bool(found.fix)) == (findings.PERSON, True, True)


def test_nothing_is_installed_for_a_card_that_is_not_there() -> None:
    """With interop off Windows cannot be asked; the card that answers tells all the same."""
    off = wsl(Amd(dxg=True, dxcore=True), windows=Windows(problem="interop is off"))
    assert commands(off)
    on = dataclasses.replace(off, nvidia=Nvidia(gpus=(Gpu("NVIDIA GeForce RTX 4090"),)))
    said = state(on, "there is an AMD card")
    assert (said.state, "RTX 4090" in said.detail) == (findings.PERSON, True)
    assert "inv setup.cuda" in said.fix
    assert next(step for step in amd.setup(on, PATHS, "") if step.missing(on)).actions == ()


def test_what_stands_on_a_missing_state_is_not_told() -> None:
    ten = fresh(windows=dataclasses.replace(ELEVEN, build="10.0.19045.5011"))
    assert list(lacks(ten)) == ["Windows is 11, the only one AMD supports WSL2 on"]
    assert [name.partition(" (")[0] for name in lacks(fresh())] == ["ROCm is installed"]


def test_the_floor_of_adrenalin_is_that_of_the_recipe() -> None:
    driver = (Adapter("AMD Radeon RX 7900 XTX", adrenalin="25.8.1"),)
    packages = {"rocminfo": "1", "hsa-runtime-rocr4wsl-amdgpu": "25.10"}
    on = wsl(LEGACY, packages, windows=dataclasses.replace(ELEVEN, adapters=driver))
    assert lacks(on) == {}


def test_an_unreadable_look_blames_nothing() -> None:
    on = wsl(Amd(), unread={"amd": "no answer in 1.4 s"})
    assert lacks(on) == {"AMD cards can be looked at": "no answer in 1.4 s"}


def test_on_windows_itself_card_and_driver_are_judged() -> None:
    on = host(os=Os("win32"), windows=ELEVEN)
    assert lacks(on) == {}
    old = dataclasses.replace(ELEVEN, adapters=(Adapter("AMD Radeon RX 7900 XTX", "", "25.1.1"),))
    assert list(lacks(host(os=Os("win32"), windows=old))) == [
        "AMD Software in Windows is Adrenalin 26.2.2 or newer"
    ]


# --- which recipe ---


@pytest.mark.parametrize(
    ("on", "recipe"),
    [
        (native(), "native"),
        (fresh(), "wsl-rocdxg"),
        (wsl(), "wsl-rocdxg"),
        (wsl(LEGACY), "wsl-legacy"),
        (wsl(dataclasses.replace(GOOD_WSL, rocm="7.0.2")), "wsl-rocdxg"),
        (fresh(windows=dataclasses.replace(ELEVEN, adapters=(Adapter("AMD Radeon RX 7700 XT"),))),
         "wsl-legacy"),
        (fresh(windows=Windows()), "wsl-rocdxg"),
    ],
    ids=["native", "fresh", "7.2", "6.4", "7.0", "a card only the old way knows", "no interop"],
)  # fmt: skip
def test_the_recipe_follows_what_is_installed_and_the_card(on: Host, recipe: str) -> None:
    assert amd.chosen(on).name == recipe


@pytest.mark.parametrize("version", ["7.0.0", "7.0.2"])
def test_rocm_7_0_under_wsl_is_refused_with_reason_and_way_out(version: str) -> None:
    on = wsl(dataclasses.replace(GOOD_WSL, agents=(), rocm=version, installer=version))
    *_, last = amd.setup(on, PATHS, "")
    assert last.failure is NotSupported
    assert "hsa-runtime-rocr4wsl-amdgpu was never published" in last.missing(on)
    assert last.fix == "Remove it: sudo amdgpu-install --uninstall\nthen: inv setup.rocm"
    with pytest.raises(NotSupported, match=r"wsl-7\.0 cannot work"):
        amd.setup(fresh(), PATHS, "wsl-7.0")


def test_rocm_7_0_is_fine_on_native_linux() -> None:
    found = dataclasses.replace(native().amd, rocm="7.0.2")
    assert lacks(native(found)) == {}


def test_another_recipe_than_the_installed_one_wants_the_old_gone_first() -> None:
    *_, last = amd.setup(wsl(), PATHS, "wsl-legacy")
    assert last.missing(wsl()) == ("ROCm 7.2.1 is installed\nwsl-legacy is for 6.1.3 to below 7")
    assert "autoremove --purge rocm-core" in last.fix
    assert "inv setup.rocm --recipe wsl-legacy" in last.fix


def test_a_slip_in_a_recipes_name_shows_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean wsl-legacy"):
        amd.setup(fresh(), PATHS, "wsl-legcy")


@pytest.mark.parametrize(("on", "recipe"), [(fresh(), "native"), (native(), "wsl-rocdxg")])
def test_a_recipe_of_another_system_is_refused(on: Host, recipe: str) -> None:
    with pytest.raises(ConfigError, match="is not for"):
        amd.setup(on, PATHS, recipe)


# --- installing ---


def test_a_fresh_wsl_gets_a_signed_repository_the_bridge_and_amds_own_check() -> None:
    staged = "/data/staging"
    assert commands(fresh()) == [
        f"sudo install -D -m 644 {staged}/rocm.asc /etc/apt/keyrings/rocm.asc",
        f"sudo install -D -m 644 {staged}/rocm.list /etc/apt/sources.list.d/rocm.list",
        f"sudo install -D -m 644 {staged}/rocm-pin-600 /etc/apt/preferences.d/rocm-pin-600",
        "sudo apt-get update -q",
        f"{INSTALL} rocminfo rocm-core",
        f"sudo dpkg --force-confmiss --install {staged}/rocdxg-roct_1.2.2_amd64.deb",
        "sudo ldconfig",
        "env HSA_ENABLE_DXG_DETECTION=1 /opt/rocm/bin/rocminfo",
    ]
    written = [a for a in actions(amd.steps(fresh(), PATHS)) if isinstance(a, WriteFile)]
    assert [one.text for one in written] == [
        LIST,
        "Package: *\nPin: release o=repo.radeon.com\nPin-Priority: 600\n",
    ]


def test_whatever_is_downloaded_is_checked() -> None:
    for on, recipe in ((fresh(), ""), (fresh(), "wsl-legacy"), (native(Amd((XTX,))), "")):
        found = [a for a in actions(amd.setup(on, PATHS, recipe)) if isinstance(a, Download)]
        assert all(re.fullmatch(r"[0-9a-f]{64}", one.sha256) for one in found)
        assert all(one.url.startswith("https://") for one in found)


def test_the_old_way_takes_amds_installer_where_it_offers_the_usecase() -> None:
    on = fresh()
    offered = dataclasses.replace(on.amd, installer="6.4.2", usecases=USECASES)
    first = commands(dataclasses.replace(on, amd=offered), "wsl-legacy")[0]
    assert first == "sudo amdgpu-install -y --usecase=wsl,rocm --no-dkms"


@pytest.mark.parametrize(
    ("installer", "usecases"),
    [("7.2.1", USECASES - {"wsl"}), ("7.0.2", USECASES), ("6.4.2", USECASES - {"wsl"})],
    ids=["not offered", "offered, but of 7.0", "of the right release, but not offered"],
)
def test_the_old_way_never_assumes_the_usecase(installer: str, usecases: frozenset[str]) -> None:
    found = dataclasses.replace(fresh().amd, installer=installer, usecases=usecases)
    on = fresh()
    on = dataclasses.replace(on, amd=found)
    done = commands(on, "wsl-legacy")
    assert not any("amdgpu-install" in one for one in done)
    assert any(one.endswith("hsa-runtime-rocr4wsl-amdgpu rocminfo rocm-core") for one in done)
    why = missing(amd.setup(on, PATHS, "wsl-legacy"), on)
    assert any(f"amdgpu-install here is set to ROCm {installer}" in one for one in why.values())


def test_a_rocm_that_is_here_keeps_its_repository() -> None:
    found = dataclasses.replace(GOOD_WSL, agents=(), rocm="7.2.4")
    on = wsl(found, {"rocm-core": "1", "rocdxg-roct": "1"})
    assert not any("sources.list.d" in one for one in commands(on))
    assert any(one.endswith("rocminfo rocm-core") for one in commands(on))


def test_a_bridge_that_came_before_rocm_makes_room_for_its_link() -> None:
    on = wsl(
        Amd(dxg=True, dxcore=True, rocdxg="1.2.2", linked=True, dids=True), {"rocdxg-roct": "1.2.2"}
    )
    assert commands(on)[0] == "sudo dpkg --purge rocdxg-roct"


def test_packages_that_hide_amds_libraries_go_first() -> None:
    found = dataclasses.replace(
        GOOD_WSL,
        agents=(),
        shadowing=("libhsa-runtime64-1", "libhsakmt1"),
        problem="ROCk module is NOT loaded, possibly no GPU devices",
    )
    first, check = commands(wsl(found))
    assert first.endswith("apt-get remove -q -y libhsa-runtime64-1 libhsakmt1")
    assert check.endswith("rocminfo")


def test_a_distributions_own_rocm_on_native_linux_stays() -> None:
    found = dataclasses.replace(native().amd, shadowing=("libhsa-runtime64-1", "libhsakmt1"))
    assert lacks(native(found)) == {}


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"rocdxg": ""}, "not installed"),
        ({"rocdxg": "1.1.0", "rocm": "7.12"}, "not known to go with ROCm 7.12"),
        ({"rocdxg": "1.2.1", "rocm": "7.14.0"}, "not known to go with ROCm 7.14.0"),
        ({"linked": False}, "the loader does not find it"),
        ({"dids": False}, "dids.conf"),
    ],
)
def test_librocdxg_is_there_found_and_of_the_right_pair(found: dict[str, Any], why: str) -> None:
    on = wsl(dataclasses.replace(GOOD_WSL, agents=(), problem="Segmentation fault", **found))
    finding = state(on, "librocdxg")
    assert (finding.state, why in finding.detail) == (findings.WORK, True)


def test_a_pair_nobody_knows_is_for_a_person() -> None:
    on = wsl(dataclasses.replace(GOOD_WSL, rocm="11.0"))
    finding = state(on, "librocdxg")
    assert (finding.state, "releases" in finding.fix) == (findings.PERSON, True)


@pytest.mark.parametrize(
    ("codename", "on", "known"),
    [("resolute", fresh, findings.PERSON), ("noble", fresh, findings.OK)],
)
def test_a_release_without_packages_is_said_before_anything_starts(
    codename: str, on: Any, known: str
) -> None:
    machine = on(os=dataclasses.replace(WSL_OS, codename=codename))
    assert state(machine, "packages for this distribution").state == known


def test_a_native_system_without_packages_is_only_advised() -> None:
    fedora = Os("linux", "x86_64", "Fedora 43", "fedora", account="user", groups=IN_FORCE)
    on = native(Amd((XTX,), kfd=True, render=("renderD128",)), os=fedora, packages={})
    found = findings.examine(amd.steps(on, PATHS), on)
    assert findings.ready(found)
    assert not any(one.state == findings.WORK for one in found)


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
    found = state(on, "ROCm lists")
    assert (found.state, why in found.detail, problem in found.detail) == (
        findings.PERSON, True, True,
    )  # fmt: skip


def test_only_integrated_graphics_listed_is_not_the_card() -> None:
    on = wsl(dataclasses.replace(GOOD_WSL, agents=("gfx1036",)))
    assert "it lists gfx1036" in state(on, "ROCm lists").detail


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
