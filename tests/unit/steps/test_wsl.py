"""WSL on both of its sides: what is asked, what is done, and that it is done once."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lifecycle import wslconfig
from lifecycle.errors import HostNotReady, NotSupported, RestartNeeded
from lifecycle.host import GIB, Distribution, Host, Memory, Os, Windows, Wsl
from lifecycle.step import Command, EditFile, Step, WriteFile
from lifecycle.steps import findings, wsl, wsl_settings
from tests.unit.given import PATHS, missing

UBUNTU = "Ubuntu-24.04"
CONFIG = "[general]\ninstanceIdleTimeout=-1\n\n[wsl2]\nvmIdleTimeout=-1\nmemory=48GB\n"
CONF = "[boot]\nsystemd=true\n"


def configured(text: str | None) -> dict[str, Any]:
    return {"config_text": text, "config": wslconfig.values(text or "")}


def windows_of(home: str, memory: int) -> Windows:
    return Windows(reached=True, build="10.0.26100.1", home=home, memory=memory)


def inside(**changes: Any) -> Host:
    """A good machine, seen from inside Ubuntu on WSL 2."""
    good = Wsl(
        version="2.9.4", kernel="6.6.87.2", generation=2, distribution=UBUNTU, networking="nat",
        distributions=(Distribution(UBUNTU, 2, default=True, running=True),),
        conf_text=CONF, conf=wslconfig.values(CONF), **configured(CONFIG),
    )  # fmt: skip
    return Host(
        os=changes.pop("os", Os("linux", distro="ubuntu", version="24.04", wsl=True, systemd=True)),
        windows=changes.pop("windows", windows_of("/mnt/c/Users/user", 64 * GIB)),
        memory=changes.pop("memory", Memory(48 * GIB, 40 * GIB)),
        wsl=dataclasses.replace(good, **changes),
    )


def outside(**changes: Any) -> Host:
    """A good machine, seen from Windows."""
    good = Wsl(
        version="2.9.4", generation=2, distribution=UBUNTU, **configured(CONFIG),
        distributions=(Distribution(UBUNTU, 2, default=True, user=1000),),
    )  # fmt: skip
    return Host(
        os=Os("win32"),
        windows=changes.pop("windows", windows_of("C:/U/user", 64 * GIB)),
        wsl=dataclasses.replace(good, **changes),
    )


def found(host: Host) -> dict[str, findings.Finding]:
    """The doctor's lines that are not ok."""
    lines = findings.examine(wsl.steps(host, PATHS), host)
    return {one.id: one for one in lines if one.state != findings.OK}


def done(step: Step) -> list[str]:
    return [str(action).splitlines()[0] for action in step.actions]


def first(host: Host, distro: str = "") -> Step:
    """The first step that is not reached."""
    return next(step for step in wsl.setup(host, PATHS, distro) if step.missing(host))


@pytest.mark.parametrize("host", [inside(), outside()])
def test_a_good_machine_needs_nothing(host: Host) -> None:
    assert found(host) == {}
    assert missing(wsl.setup(host, PATHS, ""), host) == {}


def test_plain_linux_is_not_asked_about_wsl() -> None:
    host = Host(os=Os("linux"))
    assert wsl.steps(host, PATHS) == []
    with pytest.raises(NotSupported, match="no Windows here"):
        wsl.setup(host, PATHS, "")


def test_wsl_1_needs_a_person_who_types_one_command() -> None:
    said = found(inside(generation=1))["wsl.generation"]
    assert said.state == findings.PERSON
    assert f"wsl --set-version {UBUNTU} 2" in said.fix


def test_an_old_kernel_is_known_before_cuda_finds_no_driver() -> None:
    said = found(inside(kernel="5.10.16.3"))["wsl.kernel"]
    assert said.detail == "5.10.16.3 is older than 5.10.43.3: CUDA in WSL needs it"
    assert "wsl --update" in said.fix
    own = inside(kernel="5.10.16.3", **configured(f"{CONFIG}kernel=C:\\\\k\n"))
    assert "Take kernel= out" in found(own)["wsl.kernel"].fix


def test_the_kernel_of_wsl_1_is_not_what_is_wrong_with_it() -> None:
    assert set(found(inside(generation=1, kernel="4.4.0"))) == {"wsl.generation"}


def test_a_server_that_would_stop_with_its_window_is_foreseen() -> None:
    said = found(inside(**configured(None)))["wsl.stays_up"]
    assert (said.state, said.fix) == (findings.ADVICE, "inv setup.wsl")
    assert "general.instanceIdleTimeout is 15000 (WSL's default)" in said.detail


def test_interop_that_is_off_is_advice_with_its_own_way_out() -> None:
    off = inside(windows=Windows(problem="off"), conf={"interop.enabled": "false"})
    said = found(off)["wsl.interop"]
    assert said.state == findings.ADVICE
    assert "enabled=true below [interop]" in said.fix


@pytest.mark.parametrize(
    ("text", "networking", "why"),
    [
        ("[wsl2]\nlocalhostForwarding=false\n", "nat", "localhostForwarding is false"),
        ("[wsl2]\nlocalhostForwarding=false\n", "mirrored", ""),
        ("", "none", "no network"),
        ("", "bridged", "gave up"),
        ("", "virtioproxy", ""),
    ],
)
def test_networks_that_nobody_reaches(text: str, networking: str, why: str) -> None:
    host = inside(networking=networking, **configured(CONFIG + text))
    assert why in missing(wsl.steps(host, PATHS), host).get("wsl.reaches_servers", "")
    assert bool(why) is bool(missing(wsl.steps(host, PATHS), host))


@pytest.mark.parametrize(
    ("config", "vm", "windows", "why"),
    [
        ("", 31.1, 64, "the virtual machine gets 31.1 of about 64 GiB"),
        ("memory=8GB", 7.6, 64, "memory=8GB gives it little of Windows' 64 GiB"),
        ("memory=48GB", 31, 64, "memory=48GB is set and not in force: 31.0 GiB are there"),
        ("memory=48gb", 31, 64, "WSL cannot read memory=48gb"),
        ("memory=48GB", 46.9, 64, ""),
        ("", 7.7, 15.4, ""),
        ("", 31, 0, ""),
        ("memory=8gb", 31, 0, "WSL cannot read memory=8gb"),
    ],
)
def test_too_little_ram_is_said_in_numbers(config: str, vm: float, windows: int, why: str) -> None:
    host = inside(
        memory=Memory(int(vm * GIB)),
        windows=windows_of("/mnt/c/Users/user", int(windows * GIB)),
        **configured(f"{CONFIG.replace('memory=48GB', '')}{config}\n"),
    )
    said = found(host).get("wsl.memory")
    assert (why in said.detail) if said and why else (bool(why) is bool(said))


def test_what_a_person_chose_is_left_to_that_person() -> None:
    host = inside(memory=Memory(7 * GIB), **configured(CONFIG.replace("48", "8")))
    said = found(host)["wsl.memory"]
    assert said.by == ""
    assert "Set memory=48GB" in said.fix
    assert missing(wsl.setup(host, PATHS, ""), host) == {}


def test_the_installation_survives_the_restart_of_windows() -> None:
    bare = outside(version="", distributions=(), distribution="", **configured(None))
    step = first(bare)
    assert done(step) == ["wsl.exe --install --no-distribution"]
    assert "Restart Windows" in step.restart
    after = outside(distributions=(), distribution="", **configured(None))
    step = first(after)
    assert done(step) == [f"wsl.exe --install -d {UBUNTU} --no-launch"]
    assert "--web-download" in step.fix


def test_virtualization_that_is_off_needs_a_person() -> None:
    host = outside(
        problem="virtualization is off (0x80370102)", mend="Turn it on", distributions=()
    )
    step = first(host)
    assert (step.id, step.actions, step.fix) == ("wsl.works", (), "Turn it on")


def test_an_old_windows_and_an_old_wsl_come_first() -> None:
    old = dataclasses.replace(outside().windows, build="10.0.18363.1")
    assert first(outside(windows=old)).id == "wsl.windows"
    assert done(first(outside(version="2.4.13"))) == ["wsl.exe --update"]


def test_a_wsl_1_distribution_becomes_the_default_wsl_2() -> None:
    host = outside(
        distributions=(Distribution("Debian", 2, default=True), Distribution(UBUNTU, 1, user=1000))
    )
    plan = {step.id: step for step in wsl.setup(host, PATHS, "") if step.missing(host)}
    assert [command for step in plan.values() for command in done(step)] == [
        f"wsl.exe --set-version {UBUNTU} 2",
        f"wsl.exe --set-default {UBUNTU}",
    ]


def test_a_fresh_distribution_waits_for_its_person_at_the_very_end() -> None:
    host = outside(distributions=(Distribution(UBUNTU, 2, default=True, user=0),))
    step = first(host)
    assert step is not None
    assert (step.actions, step.failure) == ((), HostNotReady)
    assert f"wsl -d {UBUNTU}" in step.fix
    chosen = dataclasses.replace(host.wsl, conf={"user.default": "me", "boot.systemd": "true"})
    assert missing(wsl.setup(host, PATHS, ""), dataclasses.replace(host, wsl=chosen)) == {}


def test_the_users_file_is_merged_and_the_reasons_are_said() -> None:
    text = "# mine\n[wsl2]\nvmIdleTimeout = 5 # short\nswap=0\n"
    host = outside(**configured(text))
    step = first(host)
    (edit,) = step.actions
    assert isinstance(edit, EditFile)
    assert (edit.path, edit.old) == (Path("C:/U/user/.wslconfig"), text)
    assert edit.new == (
        "# mine\n[wsl2]\nvmIdleTimeout = -1 # short\nswap=0\nmemory=48GB\n"
        "\n[general]\ninstanceIdleTimeout=-1\n"
    )
    why = step.missing(host)
    assert "wsl2.vmIdleTimeout is 5: the virtual machine stops" in why
    assert "the virtual machine gets 32.0 of about 64 GiB" in why
    assert "wsl --shutdown" in step.restart


def test_a_value_wsl_cannot_read_is_in_the_way() -> None:
    host = outside(**configured(CONFIG.replace("48GB", "48gb")))
    step = first(host)
    (edit,) = step.actions
    assert isinstance(edit, EditFile)
    assert edit.new == CONFIG
    assert "WSL cannot read memory=48gb" in step.missing(host)


@pytest.mark.parametrize("start", [None, "", "[wsl2]\nmemory=8gb\n", "# only mine\n"])
def test_after_the_edit_there_is_nothing_left_to_do(start: str | None) -> None:
    host = outside(**configured(start))
    (edit,) = wsl_settings.settings(host).actions
    assert isinstance(edit, EditFile)
    after = outside(**configured(edit.new))
    assert missing(wsl.setup(after, PATHS, ""), after) == {}


def test_systemd_from_inside_goes_through_root_and_keeps_the_file() -> None:
    conf = "[user]\ndefault=me\n"
    host = inside(os=Os("linux", wsl=True), conf_text=conf, conf=wslconfig.values(conf))
    step = first(host)
    file, install = step.actions
    assert isinstance(file, WriteFile)
    assert file.text == f"{conf}\n[boot]\nsystemd=true\n"
    assert isinstance(install, Command)
    assert install.argv[:2] == ("sudo", "install")
    assert install.argv[-1] == "/etc/wsl.conf"


def test_systemd_from_windows_goes_through_root_inside() -> None:
    host = outside(conf_text="[boot]\nsystemd=false\n", conf={"boot.systemd": "false"})
    file, install = first(host).actions
    assert isinstance(file, WriteFile)
    assert file.text == CONF
    assert str(install) == (
        f"wsl.exe -d {UBUNTU} -u root --cd {PATHS.home}/staging --exec "
        "install -m 644 wsl.conf /etc/wsl.conf"
    )


def test_systemd_that_is_asked_for_and_does_not_run_needs_a_restart() -> None:
    step = first(inside(os=Os("linux", wsl=True)))
    assert (step.id, step.failure) == ("wsl.systemd", RestartNeeded)
    assert "wsl --shutdown" in step.fix


def test_from_inside_nothing_is_done_that_would_end_the_inside() -> None:
    old = inside(version="2.4.13", generation=1, kernel="5.10.16.3")
    for step in wsl.setup(old, PATHS, ""):
        assert not any("--update" in line or "--shutdown" in line for line in done(step))
    step = wsl.setup(old, PATHS, "")[-1]
    assert (step.actions, step.advice) == ((), False)
    assert "wsl --update" in step.fix


def test_without_interop_the_file_is_left_to_a_person_after_all_else() -> None:
    host = inside(windows=Windows(problem="off"), distributions=(), **configured(None))
    step = wsl.setup(host, PATHS, "")[-1]
    assert (step.id, step.actions) == ("wsl.settings", ())
    assert "[general] instanceIdleTimeout=-1, [wsl2] vmIdleTimeout=-1" in step.fix
    assert step.missing(host)


def test_programs_off_the_path_are_called_by_their_place() -> None:
    windows = dataclasses.replace(inside().windows, programs="/mnt/c/Windows/System32/")
    host = inside(windows=windows, distributions=(Distribution("Debian", 2, default=True),))
    assert done(first(host))[0] == f"/mnt/c/Windows/System32/wsl.exe --set-default {UBUNTU}"


@pytest.mark.parametrize("distro", ["", "Ubuntu-22.04", "Ubuntu-26.04", UBUNTU])
def test_distributions_we_take(distro: str) -> None:
    assert wsl.target(outside(distribution=""), distro) == (distro or UBUNTU)


def test_a_distribution_is_also_known_by_what_is_in_it() -> None:
    there = outside(distributions=(Distribution("Ubuntu", 2, release="ubuntu 22.04"),))
    assert wsl.target(there, "Ubuntu") == "Ubuntu"
    assert wsl.target(inside(distribution="Mine"), "Mine") == "Mine"


@pytest.mark.parametrize(
    ("distro", "nearest"),
    [
        ("Ubuntu-24.10", "Ubuntu-24.04"),
        ("Ubuntu-20.04", "Ubuntu-24.04"),
        ("ubuntu-22.04", "Ubuntu-22.04"),
        ("kali-linux", "Ubuntu-24.04"),
    ],
)
def test_other_distributions_are_refused_with_the_nearest(distro: str, nearest: str) -> None:
    with pytest.raises(NotSupported) as refused:
        wsl.setup(outside(), PATHS, distro)
    assert refused.value.fix.endswith(f"--distro {nearest}")


@pytest.mark.parametrize(("number", "free"), [(8000, True), (50000, False), (50059, False)])
def test_ports_windows_keeps_for_itself(number: int, *, free: bool) -> None:
    host = Host(windows=Windows(reserved=((5357, 5357), (50000, 50059))))
    step = wsl.port(number)
    assert bool(step.missing(host)) is not free
    assert f"startport={number}" in step.fix


def test_commands_ask_wsl_to_speak_utf_8_from_both_sides() -> None:
    command = wsl_settings.wsl(outside(), "--update")
    assert command.env == {"WSL_UTF8": "1", "WSLENV": "WSL_UTF8"}


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GB", 8 * GIB), ("8G", 8 * GIB), ("512MB", GIB // 2), ("1024", 1024), ("8gb", 0), ("", 0)],
)
def test_sizes_as_wsl_reads_them(text: str, size: int) -> None:
    assert wsl_settings.size(text) == size
