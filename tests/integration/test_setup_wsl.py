r"""`inv setup.wsl` on Windows, as far as Linux can play it: a Python without POSIX, and stand-ins.

The stand-ins speak as the real ones do: wsl.exe in UTF-16LE unless WSL_UTF8=1, in German where it
translates, with its own exit codes (microsoft/WSL, WslClient.cpp at 3e27a6a); `cmd /u` in UTF-16LE.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.checkout import Checkout

HARNESS = Path(__file__).with_name("on_windows.py")
HOME = "C:\\Users\\Jörg"
MINE = b"\xef\xbb\xbf# mine\r\n[WSL2]\r\nswap=0 # none\r\nvmIdleTimeout = 5\r\n"

STAND_IN = """#!{python}
import os, pathlib, sys
state = pathlib.Path({state!r})
name, *argv = pathlib.Path(sys.argv[0]).name, *sys.argv[1:]
with (state / "log").open("a") as log:
    log.write(" ".join([name, *argv]) + "\\n")

def say(text, wide=True, code=0):
    text = text.replace("\\n", "\\r\\n")
    sys.stdout.buffer.write(text.encode("utf-16-le" if wide else "utf-8"))
    sys.exit(code)

def has(what):
    return (state / what).exists()

"""
CMD = r"""
say("\nMicrosoft Windows [Version 10.0.26100.4652]\nC:\\Users\\Jörg\n")
"""
REG = r"""
key = "HKEY_CURRENT_USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Lxss"
if "Lxss" not in " ".join(argv) or not has("Ubuntu-24.04"):
    say("\nEnde der Suche: 0 Übereinstimmungen gefunden.\n", wide=False, code=1)
user = "0x3e8" if has("account") else "0x0"
say(f"\n{key}\\{{1}}\n    DistributionName    REG_SZ    Ubuntu-24.04\n"
    f"    DefaultUid    REG_DWORD    {user}\n", wide=False)
"""
NETSH = r"""
say("\nProtokoll tcp Portausschlussbereiche\n\n      5357        5357\n", wide=False)
"""
WSL = r"""
wide = os.environ.get("WSL_UTF8") != "1"
if argv[:2] == ["--install", "--no-distribution"]:
    (state / "wsl").touch()
    say("Der angeforderte Vorgang ist erfolgreich. Neustart erforderlich.\n", wide)
if not has("wsl"):
    say("Das Windows-Subsystem für Linux ist nicht installiert.\n", wide, 50)
if argv == ["--version"]:
    say("WSL-Version: 2.9.4.0\nKernelversion: 6.6.87.2-1\nWindows-Version: 10.0.26100.4652\n", wide)
if argv == ["--list", "--verbose"]:
    if not has("Ubuntu-24.04"):
        say("Es sind keine Distributionen installiert.\n", wide, 255)
    ours, other = ("*", " ") if has("default") else (" ", "*")
    say("  NAME              STATE           VERSION\n"
        f"{other} docker-desktop    Stopped         2\n"
        f"{ours} Ubuntu-24.04      Stopped         2\n", wide)
if argv == ["--status"]:
    say("Standardversion: 2\n", wide)
if argv[0] == "--install":
    (state / argv[argv.index("-d") + 1]).touch()
    say("Wird heruntergeladen: Ubuntu 24.04 LTS\n", wide)
if argv[0] == "--set-default":
    (state / "default").touch()
    say("Der Vorgang wurde erfolgreich beendet.\n", wide)
say("Ungültiges Befehlszeilenargument\n", wide, 255)
"""


@dataclass(frozen=True)
class Pc:
    """A Windows machine made of stand-ins; its user's folder lies in the current one."""

    checkout: Checkout
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / HOME / ".wslconfig"

    def inv(self, *words: str) -> "subprocess.CompletedProcess[str]":
        environment = self.checkout.environment()
        environment["PATH"] = f"{self.folder / 'bin'}:{environment['PATH']}"
        # Windows' console, when its output is read by a program.
        environment["PYTHONIOENCODING"] = "utf-8"
        return subprocess.run(
            [sys.executable, str(HARNESS), str(self.checkout.root), *words], cwd=self.folder,
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip

    def changes(self) -> list[str]:
        """What was run since the last question, without what only looks."""
        log = self.folder / "log"
        looks = ("--version", "--list", "--status", "query", "ver &", "show")
        found = [one for one in log.read_text().splitlines() if not any(n in one for n in looks)]
        log.write_text("")
        return found


@pytest.fixture
def pc(double_checkout: Checkout, tmp_path: Path) -> Pc:
    folder = tmp_path / "pc"
    (folder / "bin").mkdir(parents=True)
    (folder / HOME).mkdir()
    programs = {"cmd.exe": CMD, "reg.exe": REG, "netsh.exe": NETSH, "wsl.exe": WSL}
    head = STAND_IN.format(python=sys.executable, state=str(folder))
    for name, text in programs.items():
        program = folder / "bin" / name
        program.write_text(head + text, encoding="utf-8")
        program.chmod(0o755)
    return Pc(double_checkout, folder)


def test_from_a_bare_windows_to_a_distribution_with_an_account(pc: Pc) -> None:
    pc.config.write_bytes(MINE)
    first = pc.inv("setup.wsl")
    assert first.returncode == 4, first.stderr
    assert pc.changes() == ["wsl.exe --install --no-distribution"]
    assert "Restart Windows, then run the same command again: inv setup.wsl" in first.stderr

    second = pc.inv("setup.wsl")
    assert second.returncode == 4, second.stderr
    assert pc.changes() == [
        "wsl.exe --install -d Ubuntu-24.04 --no-launch",
        "wsl.exe --set-default Ubuntu-24.04",
    ]
    assert "wsl --shutdown" in second.stderr
    assert pc.config.read_bytes() == (
        b"\xef\xbb\xbf# mine\r\n[WSL2]\r\nswap=0 # none\r\nvmIdleTimeout = -1\r\nmemory=24GB\r\n"
        b"\r\n[general]\r\ninstanceIdleTimeout=-1\r\n"
    )
    backup = pc.config.with_name(".wslconfig.before-vllm-lifecycle")
    assert backup.read_bytes() == MINE
    assert "-vmIdleTimeout = 5" in second.stderr
    assert "+vmIdleTimeout = -1" in second.stderr

    third = pc.inv("setup.wsl")
    assert third.returncode == 3, third.stderr
    assert "Open it once: wsl -d Ubuntu-24.04" in third.stderr
    assert pc.changes() == []

    (pc.folder / "account").touch()
    last = pc.inv("setup.wsl")
    assert last.returncode == 0, last.stderr
    assert "nothing to do" in last.stdout + last.stderr
    assert pc.changes() == []


def test_dry_shows_it_all_and_changes_nothing(pc: Pc) -> None:
    shown = pc.inv("--dry", "setup.wsl", "--distro", "Ubuntu-22.04")
    assert "wsl.exe --install --no-distribution" in shown.stdout
    assert "wsl.exe --install -d Ubuntu-22.04 --no-launch" in shown.stdout
    assert "+instanceIdleTimeout=-1" in shown.stdout
    assert pc.changes() == []
    assert not pc.config.exists()


def test_another_distribution_is_refused_before_anything_is_done(pc: Pc) -> None:
    refused = pc.inv("setup.wsl", "--distro", "Ubuntu-20.04")
    assert refused.returncode == 7
    assert "inv setup.wsl --distro Ubuntu-24.04" in refused.stderr
    assert pc.changes() == []


def test_the_doctor_works_there_too(pc: Pc) -> None:
    told = pc.inv("doctor")
    # All that lacks, a command of ours can do.
    assert told.returncode == 0, told.stderr
    assert "Traceback" not in told.stderr
    assert "Next: inv setup.wsl" in told.stdout


RECORDED = """
## ask: os
| {"system": "linux", "machine": "x86_64", "python": "3.12.3", "wsl": true, "account": "user",
|  "name": "", "distro": "", "version": "", "codename": "", "root": false, "user": "1000:1000",
|  "groups": [], "listed": [], "apt": true, "sudo": true, "systemd": true}
## file: /etc/os-release
| ID=ubuntu
| VERSION_ID="24.04"
## file: /proc/sys/fs/binfmt_misc/WSLInterop
| enabled
## run: cmd.exe /d /u /c 'ver & echo %USERPROFILE%'
| Microsoft Windows [Version 10.0.26100.4652]
| C:\\Users\\user
## file: /proc/sys/kernel/osrelease
| 6.6.87.2-microsoft-standard-WSL2
## file: /proc/meminfo
| MemTotal:       32768000 kB
## run: wslinfo --wsl-version
| 2.9.4
## run: wsl.exe --list --verbose
|   NAME            STATE           VERSION
| * Ubuntu-24.04    Running         2
## ask: WSL_DISTRO_NAME
| "Ubuntu-24.04"
## file: /mnt/c/Users/user/.wslconfig
| [wsl2]
| swap=0
"""


def test_from_inside_a_recorded_distribution(double_checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "machine.txt").write_text(RECORDED)
    shown = double_checkout.inv("setup.wsl", "--replay", str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    assert "change /mnt/c/Users/user/.wslconfig" in shown.stdout
    assert "+memory=46GB" in shown.stdout
    assert "wsl --shutdown" in shown.stdout
    assert "--install" not in shown.stdout
