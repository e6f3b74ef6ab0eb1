"""A copy of the project in a folder of its own, and `inv` run in it as a person would."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INTERRUPTED = {130, -signal.SIGINT}
"""How a shell sees Ctrl-C. Python ends by the signal itself where it met it in the middle of making
a class, as it does while it imports (run_eval_code_obj in CPython's Python/pythonrun.c)."""
ROOT = Path(__file__).parent.parent.parent
COPIED = (
    "tasks.py",
    "inv",
    "pyproject.toml",
    "lifecycle",
    "compose",
    "env",
    "requirements",
    "smoke",
)
FOREIGN = ("PORT", "MODEL", "SERVED_NAME", "RUNTIME", "IMAGE", "VLLM_API_KEY", "MAX_MODEL_LEN")


@dataclass
class Checkout:
    """A copied checkout with one backend of its own."""

    root: Path
    backend: str
    port: int
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def copy(cls, root: Path, backend: str, port: int) -> "Checkout":
        """Copy what is needed to run; the backend is the CPU's under another name and port."""
        root.mkdir(parents=True, exist_ok=True)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                # Nobody's own choice; and bytecode that another process is still writing. What is
                # compiled comes along, or each copy's first command would compile all of it.
                ignore = shutil.ignore_patterns("local", "*.pyc.*")
                shutil.copytree(source, root / name, ignore=ignore)
            else:
                shutil.copy2(source, root / name)
        made = cls(root, backend, port)
        text = (ROOT / "env" / "cpu.env").read_text().replace("PORT=8000", f"PORT={port}")
        made.env_file.write_text(text)
        return made

    @property
    def env_file(self) -> Path:
        """The backend's file."""
        return self.root / "env" / f"{self.backend}.env"

    @property
    def key(self) -> str:
        """The API key in the root `.env`."""
        text = (self.root / ".env").read_text()
        return text.partition("VLLM_API_KEY=")[2].split()[0]

    def command(self, *words: str) -> list[str]:
        """`inv` with this interpreter, which has everything `.venv` has."""
        return [sys.executable, "-m", "invoke", "--search-root", str(self.root), *words]

    def environment(self) -> dict[str, str]:
        """Ours, without what would override the backend's file."""
        kept = {name: text for name, text in os.environ.items() if name not in FOREIGN}
        return {**kept, **self.env}

    def inv(self, *words: str, limit: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*words), cwd=self.root, env=self.environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=limit, check=False,
        )  # fmt: skip

    def up(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Bring the backend up; a machine's first time installs the engine."""
        return self.inv("up", "--gpu", self.backend, *words, limit=600)

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command in a process group of its own, as a shell does."""
        return subprocess.Popen(
            self.command(*words), cwd=self.root, env=self.environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        """What `status --json` says of the backend."""
        done = self.inv("status", "--gpu", self.backend, "--json")
        assert done.returncode == 0, done.stderr
        (entry,) = json.loads(done.stdout)["backends"]
        assert isinstance(entry, dict)
        return entry

    def until(self, phase: str, limit: float) -> dict[str, Any]:
        """Wait until the server is in a phase."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            entry = self.status()
            if entry["phase"] == phase:
                return entry
            time.sleep(0.5)
        message = f"not {phase} within {limit:g} s, but {entry}"
        raise AssertionError(message)


def interrupt(process: "subprocess.Popen[str]") -> str:
    """Press Ctrl-C: the whole foreground group gets the signal. Returns what was printed."""
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    return out


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_triple() -> int:
    """A port nobody listens on, as on the two above it.

    Below those that Linux gives to outgoing connections (from 32768): whoever connects somewhere
    before the server starts cannot take it.
    """
    while True:
        port = random.randrange(20_000, 32_000, 3)
        with ExitStack() as stack, suppress(OSError):
            for each in range(port, port + 3):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", each))
            return port
