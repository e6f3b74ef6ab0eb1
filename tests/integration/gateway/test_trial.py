"""A trial that is ended leaves no Traefik, no folder with keys, and the routes as they were.

No gateway is needed: a program that never answers stands in for Traefik.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from lifecycle.gateway import trial
from lifecycle.gateway.files import CANDIDATE, ROUTES, STATIC
from lifecycle.gateway.traefik import text

SILENT = ("sh", "-c", "echo $$ > pid; exec sleep 600", "traefik")
WORDS = (sys.executable, trial.__file__, "try", CANDIDATE, ROUTES, "0123456789abcdef", *SILENT)
PARENT = f"import subprocess; subprocess.run({WORDS!r})"
"""As `inv` does: the trial is a child, and its parent waits."""


@pytest.mark.parametrize(
    ("who", "number"),
    [
        ("trial", signal.SIGTERM),
        ("trial", signal.SIGINT),
        ("parent", signal.SIGTERM),
        ("parent", signal.SIGKILL),
    ],
)
def test_a_trial_that_is_ended_leaves_nothing(
    who: str, number: signal.Signals, tmp_path: Path
) -> None:
    with begun(tmp_path) as (parent, running, traefik):
        os.kill({"parent": parent.pid, "trial": running.pid}[who], number)
        assert not psutil.wait_procs([running, traefik], timeout=20)[1]
    assert not list(tmp_path.glob(".trial-*"))
    assert not (tmp_path / ROUTES).exists()


def test_a_killed_trial_takes_its_traefik_along_and_the_next_one_its_folder(tmp_path: Path) -> None:
    with begun(tmp_path) as (_, running, traefik):
        running.kill()
        assert not psutil.wait_procs([running, traefik], timeout=20)[1]
    (left,) = tmp_path.glob(".trial-*")
    (left / "pid").unlink()
    with begun(tmp_path):
        assert not left.exists()


@contextmanager
def begun(
    place: Path,
) -> Iterator[tuple["subprocess.Popen[bytes]", psutil.Process, psutil.Process]]:
    """A trial in the middle: who began it, the trial, and its Traefik. None of them is left."""
    (place / STATIC).write_text(text(8080))
    (place / CANDIDATE).write_text("{}")
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=place) as parent:
        deadline = time.monotonic() + 20
        while (
            not (found := [file.read_text() for file in place.glob(".trial-*/pid")]) or not found[0]
        ):
            assert parent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        traefik = psutil.Process(int(found[0]))
        running = traefik.parent()
        assert running
        try:
            yield parent, running, traefik
        finally:
            for one in (parent, running, traefik):
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            psutil.wait_procs([running, traefik], timeout=20)
