"""ROCm: by which recipe, and how it is installed."""

import dataclasses
import re
from typing import Any

import pytest

from lifecycle.errors import ConfigError, NotSupported
from lifecycle.host import Adapter, Amd, Host, Os, Windows
from lifecycle.step import Download, WriteFile
from lifecycle.steps import amd, findings
from tests.unit.given import PATHS, actions, missing
from tests.unit.steps.amd_hosts import (
    ELEVEN,
    GOOD_WSL,
    IN_FORCE,
    INSTALL,
    LEGACY,
    LIST,
    USECASES,
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
        "sudo apt-get update -q",
        f"{INSTALL} {staged}/rocdxg-amd-smi-lib_1.2.2_amd64.deb",
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
    assert first.endswith(
        "apt-get remove -q -y -o DPkg::Lock::Timeout=600 libhsa-runtime64-1 libhsakmt1"
    )
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
    finding = state(on, "rocm.rocdxg")
    assert (finding.state, why in finding.detail) == (findings.WORK, True)


def test_a_pair_nobody_knows_is_for_a_person() -> None:
    on = wsl(dataclasses.replace(GOOD_WSL, rocm="11.0"))
    finding = state(on, "rocm.rocdxg")
    assert (finding.state, "releases" in finding.fix) == (findings.PERSON, True)


@pytest.mark.parametrize(
    ("codename", "on", "known"),
    [("resolute", fresh, findings.PERSON), ("noble", fresh, findings.OK)],
)
def test_a_release_without_packages_is_said_before_anything_starts(
    codename: str, on: Any, known: str
) -> None:
    machine = on(os=dataclasses.replace(WSL_OS, codename=codename))
    assert state(machine, "rocm.packages").state == known


def test_a_native_system_without_packages_is_only_advised() -> None:
    fedora = Os("linux", "x86_64", "Fedora 43", "fedora", account="user", groups=IN_FORCE)
    on = native(Amd((XTX,), kfd=True, render=("renderD128",)), os=fedora, packages={})
    found = findings.examine(amd.steps(on, PATHS), on)
    assert findings.ready(found)
    assert not any(one.state == findings.WORK for one in found)
