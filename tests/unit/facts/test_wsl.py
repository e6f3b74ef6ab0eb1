r"""WSL, as wsl.exe, wslinfo and the registry answer.

Formats from WSL's source at 3e27a6a (2026-08-08): ListDistributionsHelper, Status and the error
texts in WslClient.cpp, wslinfo.cpp, MessagePackageVersions in Resources.resw of each language; the
registry's keys from DistributionRegistration.h.
"""

import pytest

from lifecycle import recording
from lifecycle.facts import wsl
from lifecycle.host import Distribution, Os, Windows, Wsl
from lifecycle.machine import Here, Replay
from lifecycle.shell import Output, Shell, decoded

HOME = Windows(reached=True, home="/mnt/c/Users/user")
INSIDE = """
## file: /proc/sys/kernel/osrelease
| 6.6.87.2-microsoft-standard-WSL2
## run: wslinfo --networking-mode
| nat
## run: wslinfo --wsl-version
| 2.9.4
## ask: WSL_DISTRO_NAME
| "Ubuntu-24.04"
## file: /etc/wsl.conf
| [boot]
| systemd=true
## file: /mnt/c/Users/user/.wslconfig
| [wsl2]
| Memory=24GB
## run: wsl.exe --list --verbose
|   NAME              STATE           VERSION
| * Ubuntu-24.04      Running         2
|   docker-desktop    Stopped         2
"""
OUTSIDE = r"""
## run: wsl.exe --version
| WSL-Version: 2.9.4.0
| Kernelversion: 6.6.87.2-1
| WSLg-Version: 1.0.66
| Windows-Version: 10.0.26100.4652
## run: wsl.exe --list --verbose
|   NAME      STATE           VERSION
| * Debian    Stopped         1
|   Ubuntu    Running         2
## run: wsl.exe --status
| Standarddistribution: Debian
| Standardversion: 2
## run: reg.exe query 'HKCU\Software\Microsoft\Windows\CurrentVersion\Lxss' /s
|
| HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Lxss
|     DefaultDistribution    REG_SZ    {(uuid)}
|     DefaultVersion    REG_DWORD    0x2
|
| HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Lxss\{(uuid)}
|     State    REG_DWORD    0x1
|     DistributionName    REG_SZ    Debian
|     Version    REG_DWORD    0x1
|     DefaultUid    REG_DWORD    0x3e8
|
| HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Lxss\{(uuid)}
|     State    REG_DWORD    0x1
|     DistributionName    REG_SZ    Ubuntu
|     Version    REG_DWORD    0x2
|     DefaultUid    REG_DWORD    0x0
|     Flavor    REG_SZ    ubuntu
|     OsVersion    REG_SZ    24.04
## run: wsl.exe -d Ubuntu -u root --exec cat /etc/wsl.conf
| [boot]
| systemd=false
"""


def inside(text: str, windows: Windows = HOME) -> Wsl:
    return wsl.look(Replay(recording.parse(text)), Os("linux", wsl=True), windows)


def outside(text: str) -> Wsl:
    return wsl.look(Replay(recording.parse(text)), Os("win32"), Windows(reached=True, home="C:/u"))


def test_inside_a_distribution() -> None:
    found = inside(INSIDE)
    assert (found.version, found.kernel, found.generation) == ("2.9.4", "6.6.87.2", 2)
    assert (found.distribution, found.networking) == ("Ubuntu-24.04", "nat")
    assert found.distributions == (
        Distribution("Ubuntu-24.04", 2, default=True, running=True),
        Distribution("docker-desktop", 2),
    )
    assert found.config == {"wsl2.memory": "24GB"}
    assert found.conf == {"boot.systemd": "true"}


def test_without_windows_only_the_inside_is_known() -> None:
    found = inside(INSIDE, Windows(problem="interop is off"))
    assert (found.version, found.generation) == ("2.9.4", 2)
    assert (found.distributions, found.config_text) == ((), None)


def test_wsl_1_shows_in_the_kernel() -> None:
    text = INSIDE.replace("6.6.87.2-microsoft-standard-WSL2", "4.4.0-19041-Microsoft")
    assert inside(text).generation == 1


def test_an_old_distribution_without_wslinfo_asks_windows() -> None:
    text = (
        INSIDE.replace("wslinfo --wsl-version", "x") + "## run: wsl.exe --version\n| WSL 2.4.13\n"
    )
    assert inside(text).version == "2.4.13"


def test_seen_from_windows() -> None:
    found = outside(OUTSIDE)
    assert found.version == "2.9.4"
    assert found.distributions == (
        Distribution("Debian", 1, default=True, user=1000),
        Distribution("Ubuntu", 2, running=True, user=0, release="ubuntu 24.04"),
    )
    assert (found.distribution, found.generation) == ("Ubuntu", 2)
    assert found.conf == {"boot.systemd": "false"}
    assert found.problem == ""


def test_a_distribution_that_sleeps_is_not_started_to_read_it() -> None:
    assert outside(OUTSIDE.replace("Ubuntu    Running", "Ubuntu    Stopped")).conf_text is None


VIRTUALIZATION = """
## run: wsl.exe --version
| WSL 版本: 2.9.4.0
## run: wsl.exe --list --verbose
exit 4294967295
| 适用于 Linux 的 Windows 子系统没有已安装的分发版。
## run: wsl.exe --status
| 默认版本: 2
| 由于此计算机上未启用虚拟化，WSL2 无法启动。
| 有关信息，请访问 https://aka.ms/enablevirtualization
"""  # noqa: RUF001 - as Windows writes it


def test_virtualization_that_is_off_is_known_by_the_page_a_translated_text_links_to() -> None:
    found = outside(VIRTUALIZATION)
    assert found.problem == "virtualization is off (aka.ms/enablevirtualization)"
    assert "firmware" in found.mend


def test_no_distribution_is_no_trouble() -> None:
    found = outside(VIRTUALIZATION[: VIRTUALIZATION.index("| 由于")])
    assert (found.version, found.distributions, found.problem) == ("2.9.4", (), "")


def test_no_wsl_at_all() -> None:
    assert outside("") == Wsl()


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("Wsl/Service/CreateInstance/CreateVm/HCS/HCS_E_HYPERV_NOT_INSTALLED", "virtualization"),
        ("Error: 0x80370102", "virtualization"),
        ("Wsl/0x80370102", "virtualization"),
        ("WslRegisterDistribution failed with error: 0x800701bc", "the kernel of WSL 2"),
        ("Wsl/WSL_E_WSL_OPTIONAL_COMPONENT_REQUIRED", "Subsystem for Linux is off"),
        ("Wsl/CallMsi/Install/REGDB_E_CLASSNOTREG", "switched off or broken"),
    ],
)
def test_codes_have_a_meaning_and_a_way_out(code: str, meaning: str) -> None:
    problem, mend = wsl.trouble(Output(1, f"Die Anforderung wird nicht unterstützt.\n{code}\n"))
    assert meaning in problem
    assert mend


def test_an_unknown_code_is_passed_on() -> None:
    said = Output(4294967295, "Unbekannt\nFehlercode: Wsl/Service/0x8007273f\n")
    assert wsl.trouble(said) == ("WSL fails with Wsl/Service/0x8007273f", "")


def test_a_program_that_does_not_answer_is_trouble() -> None:
    assert wsl.trouble(Output(124, "", "wsl.exe: no answer in 10 s"))[0] == (
        "wsl.exe: no answer in 10 s"
    )


@pytest.mark.parametrize(
    "header",
    ["  NAME            STATE           VERSION", "  名称            状态           版本"],
)
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_utf_16_lists_of_any_language_are_read(header: str, bom: str) -> None:
    lines = (header, "* Ubuntu-22.04    Wird ausgeführt 2", "  kali-linux      Stopped         1")
    text = bom + "".join(f"{line}\r\n" for line in lines)
    assert wsl.parse_list(decoded(text.encode("utf-16-le"))) == (
        Distribution("Ubuntu-22.04", 2, default=True),
        Distribution("kali-linux", 1),
    )


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("WSL version: 2.9.4.0\nKernel version: 6.6.87.2-1\n", "2.9.4"),
        ("Version WSL : 2.6.1.0\nVersion du noyau : 6.6.87.2-1\n", "2.6.1"),
        ("WSL 版本： 1.2.0.0 内核版本： 5.15.90.1", "1.2.0"),  # noqa: RUF001 - as Windows writes it
        ("2.9.4", "2.9.4"),
        ("Invalid command line option: --version", ""),
    ],
)
def test_versions_in_any_language(text: str, version: str) -> None:
    assert wsl.parse_version(text) == version


def test_on_plain_linux_no_process_is_started() -> None:
    # Unit tests may start none: this would fail if it tried.
    assert wsl.look(Here(Shell()), Os("linux"), Windows()) == Wsl()


@pytest.mark.parametrize(
    ("path", "drive"),
    [
        (r"C:\Users\user\AppData\Local\wsl\{a}", "C:"),
        (r"\\?\D:\wsl\Ubuntu", "D:"),
        ("e:\\wsl", "E:"),
        (r"\\server\share", "C:"),
        ("", "C:"),
    ],
)
def test_the_drive_of_a_distributions_disk(path: str, drive: str) -> None:
    keys = {
        "one": {"DistributionName": "other", "BasePath": "X:\\wsl"},
        "two": {"DistributionName": "Ubuntu-24.04", "BasePath": path},
    }
    assert wsl.drive_of("Ubuntu-24.04", keys) == drive
    assert wsl.drive_of("gone", {}) == "C:"
