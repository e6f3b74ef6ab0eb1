"""Tries a configuration of the gateway before it counts, and waits until it does.

Run in the gateway's folder; standard library only, for it runs without the checkout.
usage: trial.py try CANDIDATE ROUTES REVISION PROGRAM… | trial.py await ADDRESS SECONDS

`{place}` among the words of PROGRAM stands for the folder of the trial, where it is to run.

Our own, because Traefik has no way to check a configuration: a broken route is an error in its log,
and a broken file is passed over. So the candidate is loaded by a second Traefik, on free ports.
"""

import ctypes
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

PATIENCE = 30
"""Seconds for a Traefik to start: it interprets the door first."""
GRACE = 10
"""Seconds for it to end."""
STATIC, PLUGINS = "traefik.yml", "plugins-local"
PREFIX = ".trial-"
PR_SET_PDEATHSIG = 1  # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html


def main(words: list[str]) -> str:
    """Do what is asked; returns what is wrong, "" when nothing is."""
    if words[0] == "await":
        return awaited(words[1], float(words[2]))
    candidate, routes, revision, *program = words[1:]
    problem = tried(program, Path(candidate), revision)
    if not problem:
        Path(routes).parent.mkdir(exist_ok=True)
        Path(candidate).replace(routes)
    return problem


def awaited(address: str, seconds: float, gone: Callable[[], bool] = lambda: False) -> str:
    """Ask until the answer is 200, or whoever should give it is gone."""
    until = time.monotonic() + seconds
    while status(address) != 200:
        if gone():
            return "it ended"
        if time.monotonic() > until:
            return f"{address} did not answer with 200 within {seconds:g} s"
        time.sleep(0.05)
    return ""


def tried(program: list[str], candidate: Path, revision: str) -> str:
    """Load it in a Traefik of its own; returns what that one says against it."""
    swept()
    with tempfile.TemporaryDirectory(dir=".", prefix=PREFIX) as name:
        place = Path(name).resolve()
        front, internal = prepared(place, candidate)
        log = (place / "log").open("wb")
        words = [word.replace("{place}", str(place)) for word in program]
        process = subprocess.Popen(
            [*words, f"--configFile={STATIC}"], cwd=place, stdout=log, stderr=log,
            preexec_fn=die_with_parent,
        )  # fmt: skip
        try:
            asked = f"http://127.0.0.1:{internal}/revision/{revision}"
            problem = awaited(asked, PATIENCE, lambda: process.poll() is not None)
            closed = status(f"http://127.0.0.1:{front}/v1/models") == 401
        finally:
            ended(process)
            log.close()
        errors = complaints(place / "log")
        last = (place / "log").read_text(errors="replace").strip()[-600:]
    if errors or problem:
        return "\n".join(errors) or f"{problem}: {last}"
    return "" if closed else "its door is open: a request without a key was not refused"


def swept() -> None:
    """Remove the folders of trials that a power cut ended: they hold the backends' keys."""
    for old in Path().glob(f"{PREFIX}*"):
        shutil.rmtree(old, ignore_errors=True)


def die_with_parent() -> None:
    """Have the kernel ask us to end when our parent dies: nobody would wait for us any more."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def stop(signum: int, _frame: object) -> None:
    """End in order, once: the Traefik and its folder go first, whoever is impatient."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + signum)


def ended(process: "subprocess.Popen[bytes]") -> None:
    """Not killed at once: `docker run` passes on that it should end, and dies of itself."""
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def prepared(place: Path, candidate: Path) -> tuple[int, int]:
    """A folder like ours, but for the ports, the candidate and the log; returns the ports."""
    static = json.loads(Path(STATIC).read_text())
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(2)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        front, internal = (probe.getsockname()[1] for probe in probes)
    static["entryPoints"]["front"]["address"] = f"127.0.0.1:{front}"
    static["entryPoints"]["internal"]["address"] = f"127.0.0.1:{internal}"
    static["log"] = {"level": "ERROR", "format": "json"}
    static["accessLog"]["filePath"] = "/dev/null"
    (place / STATIC).write_text(json.dumps(static))
    (place / PLUGINS).symlink_to(Path(PLUGINS).resolve())
    (place / "routes").mkdir()
    shutil.copy2(candidate, place / "routes" / "gateway.yml")
    return front, internal


def complaints(log: Path) -> list[str]:
    """The errors in a log, without what could hold a key: only what Traefik itself says."""
    found = []
    for line in log.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            found += [line[:300]] if line.startswith("panic") else []
            continue
        if entry.get("level") in {"error", "fatal", "panic"}:
            said = [entry.get(name, "") for name in ("routerName", "serviceName", "message")]
            found.append(" ".join([*map(str, filter(None, said)), str(entry.get("error", ""))]))
    return found[:10]


def status(address: str) -> int:
    """The HTTP status of an address; 0 when there is no answer."""
    # No proxy of the environment: it is this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(OSError):
        try:
            with opener.open(address, timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    die_with_parent()
    said = main(sys.argv[1:])
    if said:
        print(said)
    sys.exit(1 if said else 0)
