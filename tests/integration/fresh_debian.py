"""A Debian that was installed a moment ago, in a container that may do what a machine may.

Made from the machine's own apt mirror and its own pip settings: neither is written anywhere here.
"""

import hashlib
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.integration.checkout import ROOT
from tests.integration.image import debian_source
from tests.integration.image.__main__ import default_cache

SUITE, PYTHON = "trixie", "3.13"
# What a person has who could clone the project: git, Python with its venv module, sudo.
PACKAGES = ("ca-certificates", "git", "python3", "python3-venv", "sudo")
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*")
COPIED = ("inv", "tasks.py", "lifecycle", "compose", "env", "requirements")
PLACE, USER = "/home/dev/checkout", "dev"
LIFE_S = 900
"""A container ends by itself, should nobody be left to end it."""

Done = subprocess.CompletedProcess[str]


@dataclass
class Debian:
    """One such machine."""

    name: str

    @classmethod
    def start(cls, image: str, name: str) -> "Debian":
        # The engine inside needs a disk that is not an overlay itself.
        call("docker", "run", "--detach", "--privileged", "--name", name, "--volume",
             "/var/lib/docker", image, "sleep", str(LIFE_S))  # fmt: skip
        return cls(name)

    def run(self, *argv: str, user: str = "root", limit: float = 200) -> Done:
        """A command in the checkout. A new login each time: groups are read anew."""
        words = ("docker", "exec", "--user", user, "--workdir", PLACE, *self._home(user),
                 self.name, *argv)  # fmt: skip
        return subprocess.run(words, capture_output=True, text=True, timeout=limit, check=False)

    def text(self, path: str) -> str:
        done = self.run("cat", path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def script(self, path: str, text: str) -> None:
        """Put a program there."""
        words = ("docker", "exec", "--interactive", self.name, "sh", "-c",
                 f"cat >{path} && chmod 755 {path}")  # fmt: skip
        subprocess.run(words, input=text, text=True, timeout=30, check=True)

    def remove(self) -> None:
        call("docker", "rm", "--force", "--volumes", self.name)

    def _home(self, user: str) -> tuple[str, ...]:
        # As a login would; with a number for a user Docker sets none.
        return () if user == "root" else ("--env", f"HOME=/home/{USER}")


def call(*argv: str, limit: float = 200) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=limit, check=False)
    assert done.returncode == 0, f"{argv}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout.strip()


def image(tag: str, folder: Path) -> None:
    """Debian with a user who may use sudo, and a checkout whose `.venv` is made."""
    call("docker", "import", str(root_file()), f"{tag}-bare")
    made = f"{tag.replace(':', '-')}-making"
    call("docker", "run", "--detach", "--name", made, f"{tag}-bare", "sleep", str(LIFE_S))
    try:
        call("docker", "exec", made, "useradd", "--create-home", "--shell", "/bin/bash", USER)
        rule = f"echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER}; mkdir {PLACE}"
        call("docker", "exec", made, "sh", "-c", rule)
        for name in COPIED:
            call("docker", "cp", str(ROOT / name), f"{made}:{PLACE}/{name}")
        call("docker", "cp", str(wheels(folder)), f"{made}:/wheels")
        call("docker", "exec", "--env", "PIP_NO_INDEX=1", "--env", "PIP_FIND_LINKS=/wheels", made,
             f"{PLACE}/inv", "--list")  # fmt: skip
        call("docker", "exec", made, "chown", "-R", f"{USER}:{USER}", PLACE)
        call("docker", "commit", made, tag)
    finally:
        call("docker", "rm", "--force", "--volumes", made)
        call("docker", "rmi", f"{tag}-bare")


def root_file() -> Path:
    """The root file system; kept, because it takes half a minute and stays the same."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    source = debian_source.find(Path("/etc/apt"), codename)
    assert source, f"no source under /etc/apt offers {codename!r} with component main"
    recipe = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}",
              *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT), SUITE]  # fmt: skip
    digest = hashlib.sha256(" ".join(recipe).encode()).hexdigest()[:12]
    target = default_cache() / f"fresh-{SUITE}-{digest}.tar"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        half = Path(folder) / "root.tar"
        subprocess.run([*recipe, str(half), "-"], input=debian_source.for_suite(source, SUITE),
                       text=True, timeout=200, check=True)  # fmt: skip
        half.rename(target)
    return target


def wheels(folder: Path) -> Path:
    """What `./inv` installs first, fetched for the other Python as this machine's pip would."""
    pip, target = folder / "pip", folder / "wheels"
    call(str(Path(sys.executable).resolve()), "-m", "venv", str(pip))
    machine = platform.machine()
    kinds = ("manylinux_2_17", "manylinux2014", "manylinux_2_28", "manylinux_2_34")
    fit = [word for kind in kinds for word in ("--platform", f"{kind}_{machine}")]
    call(str(pip / "bin" / "pip"), "download", "--quiet", "--no-deps", "--require-hashes",
         "--only-binary=:all:", "--python-version", PYTHON, *fit, "--dest", str(target),
         "--requirement", str(ROOT / "requirements" / "inv.txt"))  # fmt: skip
    return target
