"""The gateway against the same backend asked directly: first token, requests a second, gaps, CPU.

A real Traefik as `inv gateway.up` sets it up, before doubles that answer at once. Doubles, gateway
and client share the machine's cores: requests a second are those of all three together.
"""

import hashlib
import json
import multiprocessing
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from tests.bench.gateway_client import Way, firsts, gaps, load, run
from tests.bench.results import NotMeasured, Rows
from tests.bench.workplace import Workplace, tail, uninterrupted
from tests.fake_vllm import Settings, fake_vllm
from tests.integration.checkout import Checkout, free_triple

FIRST, CPU, GAP, WIDEST = "gateway-first", "gateway-cpu", "gateway-gap", "gateway-widest"
ELSEWHERE = "gateway-elsewhere"
"""A backend that is taken to be on another machine: each request dials. Here that is on 127.0.0.1:
between machines a round trip comes to it, with HTTPS a second one.
"""
CROWDS = {"gateway-1": 1, "gateway-16": 16, "gateway-64": 64}
"""The rows of requests a second, with how many clients each has at once."""
NAMES = (FIRST, ELSEWHERE, *CROWDS, CPU, GAP, WIDEST)
BUSY = "gateway-16"
"""The load under which the gateway's processor time is taken."""
STREAMS = 150
"""A side in each round, for their first tokens."""
SECONDS = 2.0
"""Of load a side in each round."""
TOKENS = 40
OWN, KEY = "sk-local-of-the-backends", "sk-vllm-of-the-benchmark"
AT_ONCE, DIALLED, PACED = "at-once", "dialled", "paced"
DOUBLES = (
    Settings(AT_ONCE, OWN, token_seconds=0.0, prefill_seconds=0.0, max_num_seqs=1024),
    Settings(DIALLED, OWN, token_seconds=0.0, prefill_seconds=0.0),
    Settings(PACED, OWN, token_seconds=0.02),
)
"""What answers as fast as it can, and 50 tokens a second: a model of some size on a card."""


@dataclass(frozen=True)
class Ways:
    """Through the gateway and directly to each double; the process whose time is the gateway's."""

    through: Way
    direct: dict[str, Way]
    traefik: psutil.Process


def measure(place: Workplace, rows: Rows) -> None:
    with _ways(place) as ways:
        # Not measured: code gets warm.
        run(load(ways.through, AT_ONCE, 4, 0.5))
        run(load(ways.direct[AT_ONCE], AT_ONCE, 4, 0.5))
        for number in range(1, place.rounds + 1):
            place.say(f"round {number}/{place.rounds}: through the gateway, and directly")
            direct = (ways.direct[AT_ONCE], AT_ONCE)
            here, elsewhere = (ways.through, AT_ONCE), (ways.through, DIALLED)
            _first_tokens(rows, FIRST, here, direct)
            _first_tokens(rows, ELSEWHERE, elsewhere, here)
            for name in CROWDS:
                _requests(ways, rows, name)
            _gaps(ways, rows)


def _first_tokens(rows: Rows, name: str, *sides: tuple[Way, str]) -> None:
    if name in rows:
        ours, reference = run(firsts(sides, STREAMS))
        rows[name].ours += ours
        rows[name].reference += reference


def _requests(ways: Ways, rows: Rows, name: str) -> None:
    if name not in rows and not (name == BUSY and CPU in rows):
        return
    before = _spent(ways.traefik)
    count = run(load(ways.through, AT_ONCE, CROWDS[name], SECONDS))
    if name == BUSY and CPU in rows:
        rows[CPU].ours.append((_spent(ways.traefik) - before) / count)
    if name in rows:
        rows[name].ours.append(count / SECONDS)
        count = run(load(ways.direct[AT_ONCE], AT_ONCE, CROWDS[name], SECONDS))
        rows[name].reference.append(count / SECONDS)


def _spent(process: psutil.Process) -> float:
    """Seconds of processor time so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _gaps(ways: Ways, rows: Rows) -> None:
    if GAP not in rows and WIDEST not in rows:
        return
    through = run(gaps(ways.through, PACED, TOKENS))
    direct = run(gaps(ways.direct[PACED], PACED, TOKENS))
    if GAP in rows:
        rows[GAP].ours += through
        rows[GAP].reference += direct
    if WIDEST in rows:
        rows[WIDEST].ours.append(max(through))
        rows[WIDEST].reference.append(max(direct))


@contextmanager
def _ways(place: Workplace) -> Iterator[Ways]:
    """A gateway of its own in a home of its own: the user's is not touched."""
    root, home = place.folder / "gateway", place.folder / "gateway-home"
    checkout = Checkout.copy(root, "unused", 0)
    checkout.env |= {"LIFECYCLE_HOME": str(home)}
    with ExitStack() as stack:
        direct = {one.model: stack.enter_context(_double(one)) for one in DOUBLES}
        # Only now: free is what the doubles did not take.
        port = free_triple()
        _write(checkout, home / "gateway", port, direct)
        place.say("not measured: inv gateway.up (installs Traefik into a folder of its own)")
        stack.callback(_down, place, checkout)
        _inv(checkout, "gateway.up")
        yield Ways(Way(port, KEY), direct, _traefik(home / "gateway"))


def _write(checkout: Checkout, folder: Path, port: int, direct: dict[str, Way]) -> None:
    for file in (checkout.root / "env").glob("*.env"):
        file.unlink()
    for name, way in direct.items():
        where = f"PORT={way.port}"
        if name == DIALLED:
            where = f"ENDPOINT=http://127.0.0.1:{way.port}"
        (checkout.root / "env" / f"{name}.env").write_text(
            f"GPU=cpu\n{where}\nMODEL={name}\nMAX_IN_FLIGHT=1000\n"
        )
    (checkout.root / ".env").write_text(f"VLLM_API_KEY={OWN}\nGATEWAY_PORT={port}\n")
    folder.mkdir(parents=True)
    client = {"name": "bench", "sha256": hashlib.sha256(KEY.encode()).hexdigest(),
              "made": "2026-11-22", "rate": 0, "in_flight": 0}  # fmt: skip
    (folder / "clients.json").write_text(json.dumps([client]))


def _inv(checkout: Checkout, command: str) -> None:
    done = checkout.inv(command, limit=240)
    if done.returncode:
        raise NotMeasured(f"inv {command} failed: {tail(done.stderr)}")


def _down(place: Workplace, checkout: Checkout) -> None:
    with uninterrupted():
        try:
            _inv(checkout, "gateway.down")
        except (NotMeasured, subprocess.TimeoutExpired) as problem:
            # Not raised: what went wrong before it is what the table should say.
            place.say(f"[red]a gateway may be left: {problem}[/]")


def _traefik(folder: Path) -> psutil.Process:
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "traefik" and process.cwd() == str(folder):
            return process
    raise NotMeasured("inv gateway.up left no Traefik")


@contextmanager
def _double(settings: Settings) -> Iterator[Way]:
    """A double in a process of its own: it must not share an interpreter with the client."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(settings, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(30):
            raise NotMeasured("a double did not start")
        yield Way(ours.recv(), OWN)
    finally:
        ours.close()  # its sign to end
        process.join(30)


def _serve(settings: Settings, line: Connection) -> None:
    with fake_vllm(settings) as double:
        line.send(double.port)
        line.poll(None)
