r"""Windows, as its own programs answer under WSL and on Windows itself.

Formats: `ver` and its translations from microsoft/WSL#9968 and #11904; reg.exe's layout from
learn.microsoft.com (reg query); netsh from microsoft/WSL#5306 (Spanish), localsend/localsend#125
and open-telemetry/opentelemetry-collector#10839 (a range with `*`).
"""

import pytest

from lifecycle import recording
from lifecycle.facts import windows
from lifecycle.host import GIB, Adapter, Os, Windows
from lifecycle.machine import Here, Replay
from lifecycle.shell import Output, Shell

WSL = Os("linux", wsl=True)
NATIVE = Os("win32")
CLASS = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Class"
DISPLAY = CLASS + r"\{4d36e968-e325-11ce-bfc1-08002be10318}"
REG = rf"run: reg.exe query '{windows.DISPLAY}' /s /v"
VER = "run: cmd.exe /d /u /c 'ver & echo %USERPROFILE%'"
RAM = "run: powershell.exe -NoProfile -NonInteractive -Command"

UNDER_WSL = rf"""
## file: /proc/sys/fs/binfmt_misc/WSLInterop
| enabled
| interpreter /init
| flags: PF
| offset 0
| magic 4d5a
## {VER}
|
| Microsoft Windows [版本 10.0.26100.4652]
| C:\Users\Jörg Müller
! '\\wsl.localhost\Ubuntu-24.04\home\user'
! CMD.EXE was started with the above path as the current directory.
## {REG} DriverDesc
exit 1
|
| {DISPLAY}\0000
|     DriverDesc    REG_SZ    AMD Radeon(TM) Graphics
|
| {DISPLAY}\0001
|     DriverDesc    REG_SZ    AMD Radeon RX 7900 XTX
|
| Ende der Suche: 2 Übereinstimmung(en) gefunden.
! FEHLER: Zugriff verweigert
## {REG} DriverVersion
| {DISPLAY}\0000
|     DriverVersion    REG_SZ    32.0.12033.1030
| {DISPLAY}\0001
|     DriverVersion    REG_SZ    32.0.23033.1002
| {DISPLAY}\0001\UMD
|     DriverVersion    REG_SZ    9.9.9.9
## {REG} RadeonSoftwareVersion
| {DISPLAY}\0001
|     RadeonSoftwareVersion    REG_SZ    26.2.2
## run: netsh.exe interface ipv4 show excludedportrange protocol=tcp
| Intervalos de exclusión de puertos de protocolo tcp
|
| Puerto de inicio    Puerto final
| ----------          --------
|       5357        5357
|      50000       50059     *
|      53286       53385
|
| * - Administered port exclusions.
## file: /proc/meminfo
| MemTotal:       16384000 kB
"""


def look(text: str, here: Os = WSL) -> Windows:
    return windows.look(Replay(recording.parse(text)), here)


def test_windows_is_read_from_inside_wsl_whatever_its_language() -> None:
    found = look(UNDER_WSL)
    assert found.reached
    assert found.build == "10.0.26100.4652"
    assert found.home == "/mnt/c/Users/Jörg Müller"
    assert found.adapters == (
        Adapter("AMD Radeon(TM) Graphics", "32.0.12033.1030"),
        Adapter("AMD Radeon RX 7900 XTX", "32.0.23033.1002", "26.2.2"),
    )
    assert found.reserved == ((5357, 5357), (53286, 53385))
    assert found.problem == ""


def test_without_a_cap_the_virtual_machine_has_half_of_windows_ram() -> None:
    assert look(UNDER_WSL).memory == 2 * 16384000 * 1024


def test_powershell_is_asked_only_where_the_cap_hides_windows_ram() -> None:
    capped = rf"""{UNDER_WSL}
## file: /mnt/c/Users/Jörg Müller/.wslconfig
| [wsl2]
| memory=8GB
## {RAM} '{windows.RAM[-1]}'
| 68719476736
"""
    assert look(capped).memory == 64 * GIB


def test_drives_may_be_mounted_elsewhere_and_the_path_be_without_windows() -> None:
    moved = UNDER_WSL.replace(VER, VER.replace("cmd.exe", "/w/c/Windows/System32/cmd.exe"))
    found = look(f"{moved}\n## file: /etc/wsl.conf\n| [automount]\n| root = /w\n")
    assert found.programs == "/w/c/Windows/System32/"
    assert found.home == "/w/c/Users/Jörg Müller"


def test_on_windows_itself_paths_stay_as_they_are_and_interop_is_not_asked_for() -> None:
    text = UNDER_WSL[UNDER_WSL.index(f"## {VER}") :]
    found = look(f"{text}\n## ask: windows.memory\n| 34359738368\n", NATIVE)
    assert found.home == "C:\\Users\\Jörg Müller"
    assert found.memory == 32 * GIB
    assert found.programs == ""


@pytest.mark.parametrize("gate", ["disabled", None])
def test_interop_that_is_off_is_said_and_nothing_is_run(gate: str | None) -> None:
    text = f"## file: {windows.BINFMT[0]}\n| {gate}\n" if gate else ""
    found = look(text)
    assert (found.reached, found.problem) == (False, windows.OFF)


def test_windows_that_does_not_answer_is_said() -> None:
    text = f"## file: {windows.BINFMT[0]}\n| enabled\n## {VER}\nexit 124\n! no answer in 1.8 s\n"
    found = look(text)
    assert not found.reached
    assert found.problem == "Windows' programs do not answer: no answer in 1.8 s"


def test_on_plain_linux_no_process_is_started() -> None:
    # Unit tests may start none: this would fail if it tried.
    assert windows.look(Here(Shell()), Os("linux")) == Windows()


def test_what_cmd_writes_in_unicode_is_read() -> None:
    class Wide(Replay):
        def run(self, *argv: str, limit: float = 1, keep: bool = False) -> Output:
            from lifecycle.shell import decoded

            said = super().run(*argv, limit=limit, keep=keep)
            return Output(said.code, decoded(said.text.encode("utf-16-le")), said.errors)

    found = windows.look(Wide(recording.parse(UNDER_WSL)), WSL)
    assert found.home == "/mnt/c/Users/Jörg Müller"
