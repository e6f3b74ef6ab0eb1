"""`inv onboard` on a copied checkout: from nothing to a server that passed its smoke tests.

In the order of a newcomer's day: a dry run, a first try on a terminal that is broken off, the same
again, and once more.
"""

import os
import pty
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.checkout import INTERRUPTED, ROOT, Checkout

TOKEN = "hf_DistinctiveToken7Q3Jk"
STAGES = tuple(f"[{number}/5]" for number in range(1, 6))
NEEDED = (".env.example", "noxfile.py")


@pytest.fixture(scope="module")
def newcomer(checkout: Checkout) -> Checkout:
    """A copy with all a clone has, without an `.env`."""
    return whole(checkout)


def whole(checkout: Checkout) -> Checkout:
    for name in NEEDED:
        shutil.copy2(ROOT / name, checkout.root / name)
    return checkout


def onboard(checkout: Checkout, *words: str) -> "subprocess.CompletedProcess[str]":
    return checkout.inv(*words, "onboard", "--gpu", checkout.backend, "--yes", limit=600)


def test_a_dry_run_shows_the_way_and_changes_nothing(newcomer: Checkout) -> None:
    done = onboard(newcomer, "--dry")
    assert done.returncode == 0, done.stderr
    assert all(stage in done.stdout for stage in STAGES)
    assert f"write {newcomer.root}/.env (mode 600)" in done.stdout
    assert f"smoke-{newcomer.backend}" in done.stdout
    assert not (newcomer.root / ".env").exists()
    assert newcomer.status()["phase"] == "stopped"


def test_on_a_terminal_the_token_is_asked_for_and_seen_nowhere(newcomer: Checkout) -> None:
    terminal, theirs = pty.openpty()
    with subprocess.Popen(
        newcomer.command("onboard", "--gpu", newcomer.backend), cwd=newcomer.root,
        env=newcomer.environment(), stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        try:
            shown = read_until(terminal, "Enter: none", limit=30)
            os.write(terminal, f"{TOKEN}\n".encode())
            # Broken off while the doctor or the start is at work.
            shown += read_until(terminal, STAGES[1], limit=30)
            os.killpg(process.pid, signal.SIGINT)
            shown += read_until(terminal, None, limit=60)
            assert process.wait(60) in INTERRUPTED, shown
        finally:
            process.kill()
            os.close(terminal)
    assert TOKEN not in shown
    made = newcomer.root / ".env"
    assert f"\nHF_TOKEN={TOKEN}\n" in made.read_text()
    assert made.stat().st_mode & 0o777 == 0o600


def test_the_same_again_goes_on_to_a_smoke_tested_server(newcomer: Checkout) -> None:
    before = (newcomer.root / ".env").read_text()
    done = onboard(newcomer)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stderr
    assert "failed" not in done.stderr
    assert "What to type next" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    assert newcomer.status()["phase"] == "ready"
    after = (newcomer.root / ".env").read_text()
    assert after.startswith(before), "what was there stays, byte by byte"
    assert newcomer.key in after


def test_once_more_only_looks(newcomer: Checkout) -> None:
    before, server = (newcomer.root / ".env").read_bytes(), newcomer.status()["pid"]
    done = onboard(newcomer)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "it stays as it is" in done.stdout
    assert "runs as wanted; nothing to do" in done.stderr
    assert (newcomer.root / ".env").read_bytes() == before
    assert newcomer.status()["pid"] == server


def test_what_needs_a_person_ends_it_before_anything_is_installed(
    double_checkout: Checkout,
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", double_checkout.port))
        other.listen()
        done = onboard(whole(double_checkout))
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"port {double_checkout.port}" in done.stderr
    assert "inv onboard again" in done.stderr
    assert not (Path(double_checkout.env["LIFECYCLE_HOME"]) / "engines").exists()


def read_until(terminal: int, mark: str | None, limit: float) -> str:
    """What a terminal shows until a mark, or until its other end is closed."""
    shown, deadline = "", time.monotonic() + limit
    os.set_blocking(terminal, False)
    while time.monotonic() < deadline:
        try:
            shown += os.read(terminal, 4096).decode(errors="replace")
        except BlockingIOError:
            time.sleep(0.05)
        except OSError:  # Linux says so when nobody has the other end open any more.
            return shown
        if mark and mark in shown:
            return shown
    message = f"{mark or 'the end'} did not come in {limit:g} s; there is: {shown}"
    raise AssertionError(message)
