"""`./inv` on a bare checkout: its own environment, made once, made again when it must be."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.checkout import INTERRUPTED, ROOT

BARE = ("inv", "tasks.py", "lifecycle", "env", "requirements")
MADE = ".venv/.made-from.txt"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    for name in BARE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, tmp_path / name)
    return tmp_path


def run(bare: Path, *words: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """`./inv` with a search path of our choice, as on another machine."""
    return subprocess.run(
        [str(bare / "inv"), *words],
        env={**os.environ, "PATH": path or os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": ""},
        cwd=bare.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def tools(folder: Path, *names: str) -> str:
    """A search path that holds the usual tools and of the others only the given ones."""
    folder.mkdir()
    usual = ("sh", "dirname", "cmp", "cp", "flock", "env", "uname")
    for name in (*usual, *names):
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    return str(folder)


def script(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_first_use_makes_the_environment_and_a_change_makes_it_anew(
    bare: Path, tmp_path: Path, installer: str
) -> None:
    extra = (str(Path(sys.executable).with_name("uv")),) if installer == "uv" else ()
    path = tools(tmp_path / "bin")
    (tmp_path / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    for program in extra:
        (tmp_path / "bin" / "uv").symlink_to(program)
    first = run(bare, "--list", path=path)
    assert first.returncode == 0, first.stderr
    assert "making .venv" in first.stderr
    assert "up " in first.stdout
    second = run(bare, "--list", path=path)
    assert (second.returncode, second.stderr) == (0, "")
    slip = run(bare, "upp", path=path)
    assert [*bare.glob("lifecycle/report/*/*.pyc")], "each command would compile all of us anew"
    assert slip.returncode == 2
    assert "Did you mean ./inv up?" in slip.stderr
    # An interrupted installation leaves no mark, and a bump leaves another one.
    with (bare / "requirements" / "inv.txt").open("a") as file:
        file.write("# changed\n")
    third = run(bare, "--list", path=path)
    assert "making .venv" in third.stderr
    assert (bare / MADE).read_text() == (bare / "requirements" / "inv.txt").read_text()


def test_an_old_python_is_one_clear_line(bare: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin")
    script(tmp_path / "bin" / "python3", 'test "$1" = --version && echo "Python 3.8.1"')
    done = run(bare, "--list", path=path)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "Python 3.11 or newer is needed, found Python 3.8.1" in done.stderr
    assert "apt-get install" in done.stderr
    assert not (bare / ".venv").exists()


def test_a_missing_venv_module_is_one_clear_line(bare: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin")
    real = Path(sys.executable).resolve()
    script(
        tmp_path / "bin" / "python3",
        f'case "$2" in *ensurepip*) exit 1;; esac; exec {real} "$@"',
    )
    done = run(bare, "--list", path=path)
    assert done.returncode == 3
    assert "the venv module of" in done.stderr
    assert f"python{sys.version_info.major}.{sys.version_info.minor}-venv" in done.stderr


def test_ctrl_c_while_it_is_made_is_one_line_and_leaves_nothing_that_counts(
    bare: Path, tmp_path: Path
) -> None:
    path = tools(tmp_path / "bin")
    real = Path(sys.executable).resolve()
    begun = tmp_path / "begun"
    waiting = f"import time; open({str(begun)!r}, 'w').close(); time.sleep(60)"
    script(
        tmp_path / "bin" / "python3",
        f'case "$*" in "-m venv"*) {real} -c "{waiting}";; esac; {real} "$@"',
    )
    process = subprocess.Popen(
        [str(bare / "inv"), "--list"], env={**os.environ, "PATH": path}, cwd=bare, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    while not begun.exists() and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in INTERRUPTED
    assert "Traceback" not in errors
    assert "interrupted; the same command makes .venv anew" in errors
    assert not (bare / MADE).exists()


def test_a_wrong_hash_is_refused(bare: Path) -> None:
    lock = bare / "requirements" / "inv.txt"
    lock.write_text(lock.read_text().replace("sha256:", "sha256:0000"))
    done = run(bare, "--list")
    assert done.returncode == 3
    assert "could not make .venv" in done.stderr
    assert not (bare / MADE).exists()


def test_a_checkout_that_cannot_be_written_is_one_clear_line(bare: Path) -> None:
    if os.geteuid() == 0:
        # Permissions do not hold root back; only another user meets this.
        for folder in (bare, *bare.parents):
            if "pytest-" in str(folder):  # those above are not ours
                folder.chmod(0o755)
        argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(bare / "inv")]
    else:
        bare.chmod(0o555)
        argv = [str(bare / "inv")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert done.stderr == (
        f"inv: {bare} cannot be written. Clone the repository to a folder you own.\n"
    )


def test_a_link_leads_to_the_checkout_and_not_to_what_lies_around_the_link(
    bare: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    (other / ".venv").mkdir(parents=True)
    (other / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (other / "inv").symlink_to(bare / "inv")
    (other / "again").symlink_to("inv")
    done = subprocess.run(
        [str(other / "again"), "--list"],
        cwd=other,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [file.name for file in (other / ".venv").iterdir()] == ["pyvenv.cfg"]
    assert (bare / MADE).is_file()


@pytest.mark.parametrize("form", ["another tool's", "half of another tool's", "a link"])
def test_an_environment_that_is_not_ours_stays_as_it_is(
    bare: Path, tmp_path: Path, form: str
) -> None:
    venv = bare / ".venv"
    if form == "a link":
        (tmp_path / "theirs").mkdir()
        (tmp_path / "theirs" / "kept").touch()
        venv.symlink_to(tmp_path / "theirs")
    else:
        (venv / "lib").mkdir(parents=True)
        (venv / "kept").touch()
    if form == "another tool's":
        (venv / "pyvenv.cfg").write_text("home = /usr/bin\nprompt = 'mine'\n")
    # Without any tool but Python: one that is missing must not make the folder ours.
    path = tools(tmp_path / "bin")
    (tmp_path / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    done = run(bare, "--list", path=path)
    assert done.returncode == 3
    assert done.stderr == (
        f"inv: {venv} was not made by inv, so it stays as it is. "
        "Move it away, then run the same command again.\n"
    )
    assert (venv / "kept").exists()


def test_an_interrupted_installation_is_made_anew(bare: Path) -> None:
    (bare / ".venv" / "bin").mkdir(parents=True)
    (bare / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\nprompt = 'vllm-lifecycle'\n")
    (bare / ".venv" / "half").touch()
    done = run(bare, "--list")
    assert done.returncode == 0, done.stderr
    assert not (bare / ".venv" / "half").exists()


def test_a_copy_of_the_wrapper_touches_nothing(bare: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / ".venv").mkdir(parents=True)
    (other / ".venv" / "kept").touch()
    shutil.copy2(bare / "inv", other / "inv")
    done = run(other, "--list")
    assert done.returncode == 3
    assert f"{other} is not a checkout of vllm-lifecycle" in done.stderr
    assert (other / ".venv" / "kept").exists()


def test_a_locale_without_utf_8_does_not_matter(bare: Path) -> None:
    home = bare / "Zuhause-ü"
    (bare / ".env").write_text(f"LIFECYCLE_HOME={home}\n", encoding="utf-8")
    plain = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [str(bare / "inv"), "status"],
        env={**os.environ, **plain},
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert "stopped" in done.stdout.decode()
