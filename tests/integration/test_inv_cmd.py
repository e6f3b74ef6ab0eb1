"""`inv.cmd` in a real cmd.exe (Wine's), with Windows programs as stand-ins for Python and uv."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.checkout import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("wine"), reason="there is no Wine here")
NEEDED, MAKING = "Python 3.11 or newer is needed", "making .venv"


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Windows of its own, with a checkout in it."""
    prefix = tmp_path_factory.mktemp("windows")
    environ = {**os.environ, "WINEPREFIX": str(prefix), "WINEDEBUG": "-all"}
    subprocess.run(["wineboot", "-i"], env=environ, capture_output=True, timeout=300, check=True)
    checkout = prefix / "drive_c/a project"
    (checkout / "requirements").mkdir(parents=True)
    text = (ROOT / "inv.cmd").read_text(encoding="utf-8")
    # As git checks it out (.gitattributes).
    (checkout / "inv.cmd").write_text(text, newline="\r\n")
    shutil.copy(ROOT / "requirements/inv.txt", checkout / "requirements")
    shutil.copy(ROOT / "tasks.py", checkout)
    return prefix


@pytest.mark.parametrize(
    ("name", "like", "said"),
    [
        ("", "", NEEDED),
        # What a link to the Store does, and a Python that is too old: it fails.
        ("python", "find.exe", NEEDED),
        # Microsoft's Store installs Python without py.
        ("python", "where.exe", MAKING),
        ("py", "where.exe", MAKING),
        # uv brings a Python along.
        ("uv", "where.exe", MAKING),
    ],
)
def test_whatever_brings_a_python_is_found(
    windows: Path, tmp_path: Path, name: str, like: str, said: str
) -> None:
    system = windows / "drive_c/windows/system32"
    if name:
        # `where` of Wine ends well whatever it is asked, `find` ends with 2.
        shutil.copy(system / like, tmp_path / f"{name}.exe")
    environ = {
        **os.environ, "WINEPREFIX": str(windows), "WINEDEBUG": "-all", "WINEPATH": f"Z:{tmp_path}",
    }  # fmt: skip
    done = subprocess.run(
        ["wine", "cmd.exe", "/c", "inv.cmd", "--list"], cwd=windows / "drive_c/a project",
        env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert said in done.stdout + done.stderr
    assert done.returncode == 3
