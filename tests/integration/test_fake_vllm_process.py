"""The double as a process: its log, its signals, its exit codes."""

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
COMMAND = (sys.executable, "-m", "tests.fake_vllm")
STEPS = ["Starting to load model", "Loading weights took", "KV cache size: 46,592 tokens"]
READY = "Application startup complete."
PATIENCE = 30


class Running:
    """A double whose lines are read as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._queue: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line.rstrip("\n"))

    def wait_for(self, text: str) -> str:
        while True:
            self.lines.append(self._queue.get(timeout=PATIENCE))
            if text in self.lines[-1]:
                return self.lines[-1]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def running(*options: str) -> Iterator[Running]:
    process = subprocess.Popen(
        [*COMMAND, *options],
        cwd=ROOT,
        env={**os.environ, "VLLM_API_KEY": "process-key"},
        stdout=subprocess.PIPE,
        text=True,
    )
    double = Running(process)
    try:
        yield double
    finally:
        double.end()


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_boots_with_the_recorded_log_and_ends_on_a_signal() -> None:
    with running("--port", "0", "--model", "mine", "--boot-seconds", "0.3") as double:
        url = re.search(r"http://\S+", double.wait_for("fake vLLM: "))
        assert url is not None
        double.wait_for(READY)
        assert f"Starting vLLM server on {url[0]}" in "\n".join(double.lines)
        assert [step for step in STEPS if step not in "\n".join(double.lines)] == []
        with urllib.request.urlopen(f"{url[0]}/health", timeout=5) as answer:
            assert answer.status == 200
        assert "GET /health HTTP/1.1" in double.wait_for("/health HTTP")
        double.process.send_signal(signal.SIGTERM)
        assert double.process.wait(5) == 0


def test_can_be_stopped_while_it_boots() -> None:
    with running("--port", "0", "--fault", "slow-boot", "--fault-seconds", "60") as double:
        double.wait_for("version 0.32.0")
        double.process.send_signal(signal.SIGTERM)
        assert double.process.wait(5) == 0


def test_dies_at_boot_with_a_traceback() -> None:
    done = run("--port", "0", "--fault", "crash-at-boot")
    assert done.returncode == 1
    assert "EngineCore failed to start." in done.stdout
    assert "RuntimeError: Engine core initialization failed." in done.stdout
    assert READY not in done.stdout


def test_passes_over_options_of_a_real_vllm() -> None:
    done = run("--port", "0", "--fault", "crash-at-boot", "--dtype", "bfloat16", "--enforce-eager")
    assert "ignored --dtype bfloat16 --enforce-eager" in done.stdout


@pytest.mark.parametrize("fault", ["hagn", "nothing-like-it"])
def test_a_wrong_fault_is_one_line(fault: str) -> None:
    done = run("--fault", fault)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_port_in_use_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "Address already in use" in done.stderr
