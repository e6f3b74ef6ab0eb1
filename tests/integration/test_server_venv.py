"""A real vLLM on the CPU, in a plain environment: the whole life of one server, in order."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from lifecycle.processes import Process
from lifecycle.runtimes import venv
from tests.integration.checkout import INTERRUPTED, Checkout, interrupt
from tests.integration.live_suite import assert_suite_passes

BACK_SECONDS = 60
DOWN_SECONDS = 10


@pytest.fixture(scope="module")
def server(checkout: Checkout) -> Checkout:
    """The server, brought up from whatever was there."""
    done = checkout.up()
    assert done.returncode == 0, done.stderr
    assert f"http://127.0.0.1:{checkout.port}/v1" in done.stdout
    return checkout


def run_folder(checkout: Checkout) -> Path:
    return Path(checkout.status()["log"]).parent


def family(checkout: Checkout) -> list[Process]:
    return venv.processes_of(run_folder(checkout))


def test_the_live_suites_pass(server: Checkout) -> None:
    assert_suite_passes(server)


def test_chat_knows_the_capital_of_france(server: Checkout) -> None:
    done = server.inv("chat", "What is the capital of France?", "--gpu", server.backend, limit=90)
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout


def test_a_second_up_changes_nothing(server: Checkout) -> None:
    before = server.status()
    done = server.up()
    assert done.returncode == 0, done.stderr
    assert "nothing to do" in done.stderr
    assert server.status()["pid"] == before["pid"]


def test_status_describes_the_server(server: Checkout) -> None:
    entry = server.status()
    assert entry["phase"] == "ready"
    assert entry["models"] == ["smollm2-135m-instruct"]
    assert entry["memory_bytes"] > 1024**3, "the engine's own process must be counted"
    assert psutil.pid_exists(entry["pid"])


def test_it_listens_on_loopback_only(server: Checkout) -> None:
    pids = {process.pid for process in family(server)}
    listening = {
        connection.laddr[:1]
        for connection in psutil.net_connections("tcp")
        if connection.pid in pids and connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1",)}


def test_the_key_is_in_no_command_line_and_no_file_but_its_own(server: Checkout) -> None:
    for process in psutil.process_iter():
        try:
            assert server.key not in " ".join(process.cmdline()), process
        except psutil.Error:
            continue
    for file in run_folder(server).iterdir():
        if file.is_file():
            assert server.key not in file.read_text(errors="replace"), file
    assert (server.root / ".env").stat().st_mode & 0o777 == 0o600


def test_logs_prints_the_servers_log(server: Checkout) -> None:
    done = server.inv("logs", "--gpu", server.backend, "--lines", "500")
    assert done.returncode == 0, done.stderr
    assert "Application startup complete" in done.stdout


def test_a_killed_server_comes_back_without_orphans(server: Checkout) -> None:
    old = {process.pid for process in family(server)}
    pid = server.status()["pid"]
    os.kill(pid, signal.SIGKILL)
    time.sleep(2)
    entry = server.until("ready", BACK_SECONDS)
    assert entry["pid"] != pid
    assert entry["restarts"] == 1
    supervisor_alone = {p.pid for p in family(server)} & old
    assert len(supervisor_alone) == 1, "of the old processes only supervisord may be left"


def test_a_changed_value_is_named_and_restarts(server: Checkout) -> None:
    text = server.env_file.read_text()
    server.env_file.write_text(text.replace("MAX_MODEL_LEN=4096", "MAX_MODEL_LEN=2048"))
    done = server.up()
    assert done.returncode == 0, done.stderr
    assert "MAX_MODEL_LEN: 4096 → 2048" in done.stderr


def test_down_leaves_nothing_whatever_slip_is_in_the_shared_file(server: Checkout) -> None:
    before = family(server)
    shared = server.root / ".env"
    good = shared.read_text()
    shared.write_text(f"{good}MODLE=x\nMODELS_DIR=C:\\models\nno assignment\n")
    began = time.monotonic()
    done = server.inv("down", "--gpu", server.backend)
    shared.write_text(good)
    assert done.returncode == 0, done.stderr
    assert "stopped: " in done.stderr
    assert time.monotonic() - began < DOWN_SECONDS
    assert not [p for p in before if psutil.pid_exists(p.pid) and not is_zombie(p.pid)]
    assert server.status()["phase"] == "stopped"


def is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_ctrl_c_during_a_start_leaves_a_known_server_that_a_second_up_takes_over(
    server: Checkout,
) -> None:
    first = server.begin("up", "--gpu", server.backend)
    server.until("start", 30)
    text = interrupt(first)
    assert first.returncode in INTERRUPTED, text
    assert "Interrupted" in text
    pid = server.status()["pid"]
    # Two at once, while it is still starting: one waits for the other, neither restarts it.
    both = [server.begin("up", "--gpu", server.backend) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert server.status()["pid"] == pid
    assert server.status()["restarts"] == 0
