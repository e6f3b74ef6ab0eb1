"""The doors meet the real world: programs that hang, servers that send something else."""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle import http as door
from lifecycle.errors import HostNotReady
from lifecycle.machine import Here
from lifecycle.shell import Shell
from lifecycle.step import Download
from tests.integration.checkout import ROOT

BODY = b"a package" * 1000


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/absent":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[: len(BODY) // (2 if self.path == "/cut" else 1)])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetch(url: str, folder: Path, sha256: str = "") -> Path:
    file = folder / "deep" / "file"
    door.download(Download(url, file, sha256), lambda _: None)
    return file


def test_a_download_is_whole_and_checked(url: str, tmp_path: Path) -> None:
    file = fetch(f"{url}/file", tmp_path, hashlib.sha256(BODY).hexdigest())
    assert file.read_bytes() == BODY
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("path", "sha256", "said"),
    [
        ("/file", "0" * 64, "not what it should be"),
        ("/absent", "", "404"),
        ("/cut", "", "cannot fetch"),
    ],
)
def test_what_is_not_right_is_not_there(
    url: str, tmp_path: Path, path: str, sha256: str, said: str
) -> None:
    with pytest.raises(HostNotReady) as caught:
        fetch(url + path, tmp_path, sha256)
    assert said in caught.value.what + caught.value.why
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_server_nobody_runs_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(HostNotReady, match="cannot fetch"):
        fetch("http://127.0.0.1:9/file", tmp_path)


def test_a_program_that_hangs_costs_its_limit_and_leaves_nothing_behind(tmp_path: Path) -> None:
    # The child of a child holds the pipe: waiting for its end would take the half minute.
    script = f"sleep 30 & echo $! > {tmp_path}/pid; sleep 30"
    began = time.monotonic()
    output = Here(Shell(), limit=0.5).run("sh", "-c", script)
    assert (output.code, time.monotonic() - began < 5) == (124, True)
    pid = int((tmp_path / "pid").read_text())
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return
        time.sleep(0.1)
    pytest.fail(f"process {pid} is still there")


def test_a_program_that_is_not_there_is_an_answer_too() -> None:
    assert Here(Shell()).run("no-such-program").code == 127
    assert Here(Shell()).run("/etc").code == 127, "a folder is no program"


def test_a_program_under_a_lock_of_ours_is_killed_with_us(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    code = (
        "from lifecycle.shell import Shell; from lifecycle.step import Command; "
        f"words = ('sh', '-c', 'echo $$ > {begun}; exec sleep 600'); "
        "Shell().run(Command(words, ends_with_us=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    while not (begun.exists() and begun.read_text().strip()):
        time.sleep(0.05)
        assert process.poll() is None
    child = Path("/proc") / begun.read_text().strip()
    assert child.exists()
    process.kill()
    process.wait()
    until = time.monotonic() + 30
    while child.exists() and ") Z " not in (child / "stat").read_text():
        assert time.monotonic() < until, "it goes on as an orphan, without the lock"
        time.sleep(0.05)


@pytest.mark.parametrize(("text", "code"), [("#!/no/such/interpreter\n", 127), ("\x7fELF", 126)])
def test_a_program_that_cannot_be_started_is_said_for_what_it_is(
    tmp_path: Path, text: str, code: int
) -> None:
    file = tmp_path / "nvidia-smi"
    file.write_text(text)
    file.chmod(0o755)
    said = Shell().read(str(file))
    assert said.code == code
    assert str(file) in said.errors
