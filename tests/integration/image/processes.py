"""Run the few tools that make an image, and say clearly what failed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

STOP_LIMIT_S = 20


class ImageError(Exception):
    """Something a person can mend; the message says how."""


def require(tool: str, package: str) -> None:
    """Fail with the package's name when a tool is missing."""
    if shutil.which(tool) is None:
        raise ImageError(f"{tool} is missing; type: apt-get install {package}")


def output(argv: Sequence[str]) -> str:
    """Run a quick command and return what it printed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children gently: mmdebstrap has mounts to undo."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def stream(argv: Sequence[str], into: IO[bytes], *, text_in: str = "") -> None:
    """Run a command whose output goes to a file or a pipe."""
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=into, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        _, complaint = process.communicate(text_in.encode())
    except BaseException:
        stop(process)
        raise
    if process.returncode:
        last = "\n".join(complaint.decode(errors="replace").splitlines()[-15:])
        raise ImageError(f"{argv[0]} ended with {process.returncode}:\n{last}")
