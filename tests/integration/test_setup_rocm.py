"""`inv setup.rocm`, with real processes and a real download: programs that stand in for root's.

Nobody here has the hardware. `sudo` only passes on what stands in, so nothing of this machine is
changed; each stand-in writes down what it was asked and speaks as the real one does.
"""

import dataclasses
import functools
import gc
import hashlib
import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lifecycle import tables
from lifecycle.errors import CommandFailed, HostNotReady
from lifecycle.facts import amd as facts
from lifecycle.facts import packages
from lifecycle.files import Files
from lifecycle.host import GIB, Adapter, Amd, Disk, Host, Os, Windows, Wsl
from lifecycle.layers import Pull
from lifecycle.machine import Here
from lifecycle.paths import Paths
from lifecycle.runner import Runner
from lifecycle.shell import Output, Shell
from lifecycle.step import Command, Step
from lifecycle.steps import amd

# shell.py leaves the pipe of a finished command to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
RECORDED = Path(__file__).parents[1] / "unit" / "facts" / "amd"
DEB = b"stands in for rocdxg-roct_1.2.2_amd64.deb"
SMI_FILE = "rocdxg-amd-smi-lib_1.2.2_amd64.deb"
SMI = b"stands in for the package of amd-smi"
KEY = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"

INSTALL = "apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=600"

PREAMBLE = """#!/bin/sh
printf '%s\\n' "$(basename "$0") $*" >> {folder}/asked
"""
STAND_INS = {
    "sudo": 'exec "$@"',
    # What root would put under /etc goes nowhere; it is asked for and written down.
    "install": "true",
    "groupadd": "true",
    "usermod": "touch {folder}/joined",
    "ldconfig": """
case "$1" in -p) test -e {folder}/bridge &&
  echo "	librocdxg.so.1 (libc6,x86-64) => /opt/rocm/lib/librocdxg.so.1" ;; esac
true""",
    "apt-get": """
case "$*" in
  *install*nowhere*) echo "E: Unable to locate package nowhere" >&2; exit 100 ;;
  *install*amd-smi*) touch {folder}/smi ;;
  *install*) touch {folder}/rocm
    echo "Setting up rocminfo (1.0.0.70201-81~24.04) ..." ;;
  *) echo "Hit:6 https://repo.radeon.com/rocm/apt/7.2.1 noble InRelease" ;;
esac""",
    "dpkg": """
echo "Selecting previously unselected package rocdxg-roct."
touch {folder}/bridge""",
    "dpkg-query": """
test -e {folder}/rocm && echo "ii  rocm-core 7.2.1.70201-81~24.04" &&
  echo "ii  rocminfo 1.0.0.70201-81~24.04"
test -e {folder}/bridge && echo "ii  rocdxg-roct 1.2.2"
echo "dpkg-query: no packages found matching libhsakmt1" >&2
exit 1""",
    "amdgpu-install": """
case "$1" in
  --list-usecase) cat {recorded}/usecases-6.3.txt ;;
  *) touch {folder}/rocm; echo "rocm is already the newest version (6.4.2.60402-120~24.04)." ;;
esac""",
    "rocminfo": """
if test -e {folder}/bridge && test "$HSA_ENABLE_DXG_DETECTION" = 1; then
  cat {recorded}/rocminfo-7900xtx.txt
else
  cat {recorded}/rocminfo-wsl-no-adapter.txt; exit 1
fi""",
}


class Root(Here):
    """This machine, where /opt and /dev are a folder of the test's."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        super().__init__(shell)
        self._folder = folder

    def exists(self, path: str | Path) -> bool:
        parts = {"/dev/dxg": "asked", "/opt/rocm": "rocm", "/opt/rocm/bin/rocminfo": "rocm"}
        parts[tables.rocm.amd_smi().library] = "smi"
        bridge = {"/opt/rocm/share/rocdxg/dids.conf", "/opt/rocm/lib/librocdxg.so"}
        name = "bridge" if str(path) in bridge else parts.get(str(path), "")
        fixed = {"/usr/lib/wsl/lib/libdxcore.so", "/usr/bin/amdgpu-install"}
        return str(path) in fixed or bool(name and (self._folder / name).exists())

    def text(self, path: str | Path) -> str | None:
        there = (self._folder / "rocm").exists() and str(path) == "/opt/rocm/.info/version"
        return "7.2.1\n" if there else None

    def run(self, *argv: str, limit: float = 10, keep: bool = False) -> Output:
        return super().run(*(instead(word) for word in argv), limit=limit, keep=keep)


def instead(word: str) -> str:
    """The stand-in for a program that is called by its full path."""
    return Path(word).name if word.startswith(("/opt/rocm/bin/", "/sbin/")) else word


class Silent:
    """A display nobody looks at."""

    def begin(self, step: Step, why: str) -> None:
        del step, why

    def progress(self, phase: str, detail: str) -> None:
        del phase, detail

    def pulling(self, pull: Pull) -> None:
        del pull

    def fetching(self, files: Files) -> None:
        del files

    def tell(self, text: str) -> None:
        del text

    def stop(self) -> None:
        pass

    def done(self, step: Step) -> None:
        del step


class Workplace:
    """A folder with the stand-ins, and a machine that is made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "asked").touch()
        self.paths = Paths(folder, folder / "home", folder / "models")
        self.machine = Root(Shell(), folder)
        for name, body in STAND_INS.items():
            program = folder / "bin" / name
            program.parent.mkdir(exist_ok=True)
            script = (PREAMBLE + body).format(folder=folder, recorded=RECORDED)
            program.write_text(script + "\n")
            program.chmod(0o755)

    def look(self) -> Host:
        groups = {"user", "render", "video"} if (self.folder / "joined").exists() else {"user"}
        here = Os("linux", "x86_64", "Ubuntu 24.04", "ubuntu", "24.04", "noble", wsl=True,
                  account="user", groups=frozenset(groups), listed=frozenset(groups),
                  apt=True, sudo=True)  # fmt: skip
        card = Adapter("AMD Radeon RX 7900 XTX", "32.0.23017.1001", "26.2.2")
        machine = self.machine.again()
        return Host(
            os=here,
            windows=Windows(reached=True, build="10.0.26100.4652", adapters=(card,)),
            wsl=Wsl(generation=2),
            amd=facts.look(machine, here),
            packages=packages.look(machine),
            disks={"home": Disk(self.folder, 100 * GIB, writable=True)},
        )

    def setup(self, recipe: str = "", change: Callable[[Step], Step] = lambda step: step) -> bool:
        host = self.look()
        steps = [change(_rooted(step)) for step in amd.setup(host, self.paths, recipe)]
        return Runner(self.paths, Shell(), self.look, Silent()).apply(steps, host)

    def asked(self) -> list[str]:
        looks = ("dpkg-query", "ldconfig -p", "amdgpu-install --list", "rocminfo", "sudo")
        lines = (self.folder / "asked").read_text().splitlines()
        return [line for line in lines if not line.startswith(looks)]


def _rooted(step: Step) -> Step:
    """The same step with the stand-in for AMD's rocminfo."""
    changed = tuple(
        dataclasses.replace(one, argv=tuple(instead(word) for word in one.argv))
        if isinstance(one, Command)
        else one
        for one in step.actions
    )
    return dataclasses.replace(step, actions=changed)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    made = Workplace(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "cat", "touch", "basename", "env", "test", "true"):
        (tools / name).symlink_to(shutil.which(name) or "/bin/false")
    # Nothing else: a command without a stand-in fails instead of changing this machine.
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{tools}")
    yield made
    gc.collect()  # Here, where the warning is expected, and not in somebody else's test.


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """AMD's servers: a folder behind a real HTTP server; the tables point there."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "rocdxg-roct_1.2.2_amd64.deb").write_bytes(DEB)
    (folder / SMI_FILE).write_bytes(SMI)
    (folder / "rocm.gpg.key").write_bytes(KEY)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    package = tables.rocm.Rocdxg(
        "1.2.2", f"{url}/rocdxg-roct_1.2.2_amd64.deb", hashlib.sha256(DEB).hexdigest()
    )
    smi = dataclasses.replace(
        tables.rocm.amd_smi(), url=f"{url}/{SMI_FILE}", sha256=hashlib.sha256(SMI).hexdigest()
    )
    *_, place = tables.rocm.key()
    key = (f"{url}/rocm.gpg.key", hashlib.sha256(KEY).hexdigest(), place)
    monkeypatch.setattr(tables.rocm, "rocdxg", lambda _: package)
    monkeypatch.setattr(tables.rocm, "amd_smi", lambda: smi)
    monkeypatch.setattr(tables.rocm, "key", lambda: key)
    yield folder
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("served")
def test_a_fresh_wsl_is_made_ready_once_and_then_left_alone(workplace: Workplace) -> None:
    # Everybody may open /dev/dxg: no group, and no restart of WSL for it.
    assert workplace.setup() is True
    home = workplace.paths.home / "staging"
    assert workplace.asked() == [
        f"install -D -m 644 {home}/rocm.asc /etc/apt/keyrings/rocm.asc",
        f"install -D -m 644 {home}/rocm.list /etc/apt/sources.list.d/rocm.list",
        f"install -D -m 644 {home}/rocm-pin-600 /etc/apt/preferences.d/rocm-pin-600",
        "apt-get update -q",
        f"{INSTALL} rocminfo rocm-core",
        f"dpkg --force-confmiss --install {home}/rocdxg-roct_1.2.2_amd64.deb",
        "ldconfig ",
        "apt-get update -q",
        f"{INSTALL} {home}/{SMI_FILE}",
    ]
    assert (home / "rocdxg-roct_1.2.2_amd64.deb").read_bytes() == DEB
    assert workplace.look().amd.agents == ("gfx1100",)
    before = workplace.asked()
    assert workplace.setup() is False
    assert workplace.asked() == before


def test_what_is_not_the_package_is_never_installed(workplace: Workplace, served: Path) -> None:
    (served / "rocdxg-roct_1.2.2_amd64.deb").write_bytes(b"something else")
    with pytest.raises(HostNotReady, match="is not what it should be"):
        workplace.setup()
    assert not any(line.startswith("dpkg ") for line in workplace.asked())
    assert not list((workplace.paths.home / "staging").glob("*.deb*"))


def test_a_key_that_is_not_amds_stops_before_apt(workplace: Workplace, served: Path) -> None:
    (served / "rocm.gpg.key").write_bytes(b"another key")
    with pytest.raises(HostNotReady, match="is not what it should be"):
        workplace.setup()
    assert workplace.asked() == []


@pytest.mark.usefixtures("served")
def test_what_was_interrupted_is_taken_up(workplace: Workplace, served: Path) -> None:
    deb = served / "rocdxg-roct_1.2.2_amd64.deb"
    deb.rename(served / "away")
    with pytest.raises(HostNotReady, match="cannot fetch"):
        workplace.setup()
    (served / "away").rename(deb)
    first = workplace.asked()
    assert workplace.setup() is True
    later = workplace.asked()[len(first) :]
    assert not any("apt-get" in line and "rocminfo" in line for line in later)


@pytest.mark.usefixtures("served")
def test_a_failing_package_shows_the_command_and_what_it_said(workplace: Workplace) -> None:
    def elsewhere(step: Step) -> Step:
        words = {"rocminfo": "nowhere"}
        changed = tuple(
            Command(tuple(words.get(word, word) for word in one.argv))
            if isinstance(one, Command) and "apt-get" in one.argv
            else one
            for one in step.actions
        )
        return dataclasses.replace(step, actions=changed)

    with pytest.raises(CommandFailed) as failed:
        workplace.setup(change=elsewhere)
    assert "sudo env DEBIAN_FRONTEND=noninteractive apt-get install" in failed.value.what
    assert "E: Unable to locate package nowhere" in failed.value.why


def test_the_installers_usecases_are_asked_for_not_assumed(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offers(release: str) -> list[str]:
        found = dataclasses.replace(workplace.look().amd, installer=release)
        monkeypatch.setattr(facts, "look", lambda *_: found)
        host = workplace.look()
        plan = amd.setup(host, workplace.paths, "wsl-legacy")
        done = [str(action) for step in plan for action in step.actions]
        return [one for one in done if "amdgpu-install" in one]

    assert workplace.look().amd.usecases >= {"wsl", "rocm"}
    assert offers("6.4.2") == ["sudo amdgpu-install -y --usecase=wsl,rocm --no-dkms"]
    assert offers("7.0.2") == []


def test_without_the_bridge_the_complaint_is_read_from_the_real_program(
    workplace: Workplace,
) -> None:
    (workplace.folder / "rocm").touch()
    found: Amd = workplace.look().amd
    assert "No WDDM adapters found" in found.problem
    assert (found.agents, found.rocm, found.rocdxg) == ((), "7.2.1", "")
