"""Backends are killed, frozen, added and removed while clients ask: how many of them notice."""

import json
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psutil
import pytest

from lifecycle.gateway import files
from tests.integration.checkout import free_port
from tests.integration.gateway.pressure import BROKEN, Drip, Load
from tests.integration.gateway.processes import Behind
from tests.integration.gateway.running import TWO_CHECKS, Gateway

MODEL = "crowd"
CARDS = ("card-0", "card-1")
KILLED, RELOADED = 5_000, 1_000
"""POSTs of which none may fail, while backends are killed and while they come and go."""


@pytest.fixture(scope="module")
def started(gateway: Gateway) -> Iterator[dict[str, Behind]]:
    """Two cards and the CPU, each in a process of its own."""
    gpus = {"card-0": "cuda", "card-1": "rocm", "cpu": "cpu"}
    trio = {name: Behind(name, free_port(), MODEL) for name in gpus}
    with ExitStack() as stack:
        for one in trio.values():
            stack.callback(one.kill)
            one.begin()
            gateway.member(one.name, one.url, MODEL, 128, gpus[one.name])
            stack.callback(gateway.file(one.name).unlink)
        for one in trio.values():
            one.listens()
        gateway.inv("gateway.reload")
        yield trio


@pytest.fixture
def trio(gateway: Gateway, started: dict[str, Behind]) -> dict[str, Behind]:
    """All of them are well, whatever became of them in another test."""
    for one in started.values():
        if not one.lives:
            one.begin()
            one.listens()
        gateway.until(one.name, up=True)
    return started


def test_kill_9_is_not_seen(gateway: Gateway, trio: dict[str, Behind]) -> None:
    with Load(gateway, MODEL, 16) as load:
        for name in (*CARDS, CARDS[0]):
            load.more(300)
            trio[name].kill()
            load.more(300)
            trio[name].begin()
            trio[name].listens()
            gateway.until(name, up=True)
        load.more(max(0, KILLED - load.count))
    load.report("a backend killed three times")
    assert load.count >= KILLED


def test_both_cards_killed_leave_all_to_the_cpu(gateway: Gateway, trio: dict[str, Behind]) -> None:
    before = gateway.served_by(MODEL)
    with Load(gateway, MODEL, 16) as load:
        load.more(300)
        for name in CARDS:
            trio[name].kill()
        load.more(1500)
    shares = gateway.served_by(MODEL) - before
    load.report("both cards killed")
    assert shares["cpu"] >= 1500 - 16
    print(f"{shares['cpu']:,} by the CPU")


def test_backends_come_and_go_without_a_loss(gateway: Gateway, trio: dict[str, Behind]) -> None:
    with Load(gateway, MODEL, 4) as load:
        # The same process by another name, as a third card.
        gateway.member("another", trio["cpu"].url, MODEL, elsewhere=True)
        gateway.inv("gateway.reload")
        load.more(100)
        gateway.file("another").unlink()
        gateway.inv("gateway.reload")
        load.more(max(0, RELOADED - load.count))
    load.report("a backend added and removed")
    assert gateway.served_by(MODEL)["another"] > 10


def test_a_frozen_backend_is_left_alone(gateway: Gateway, trio: dict[str, Behind]) -> None:
    with Drip(gateway, MODEL) as drip:
        time.sleep(0.3)
        trio["card-0"].signal(signal.SIGSTOP)
        since = time.monotonic()
        time.sleep(TWO_CHECKS + 1.5)  # longer than any may begin that waits
        trio["card-0"].signal(signal.SIGCONT)  # those that it had taken are answered now
    slow = drip.report("a backend frozen for 5.5 s", since)
    assert slow
    assert max(began for began, _ in slow) < TWO_CHECKS


def test_a_backend_alone_that_stands_still_loses_nobody(gateway: Gateway) -> None:
    """A chat of 100,000 messages holds vLLM's loop for seconds, whoever sent it."""
    lonely = Behind("lonely", free_port(), "lonely")
    with ExitStack() as stack:
        stack.callback(lonely.kill)
        lonely.begin()
        lonely.listens()
        gateway.member("lonely", lonely.url, "lonely", cap=2)
        stack.callback(gateway.inv, "gateway.reload")
        stack.callback(gateway.file("lonely").unlink)
        gateway.inv("gateway.reload")
        gateway.until("lonely", up=True)
        with Drip(gateway, "lonely") as drip:
            since = time.monotonic()
            lonely.signal(signal.SIGSTOP)
            gateway.until("lonely", up=False)
            time.sleep(1)  # more of them begin while it counts as gone
            lonely.signal(signal.SIGCONT)
            time.sleep(0.5)
        assert drip.report("the only backend frozen until it missed its checks", since)


def test_200_streams_at_once(gateway: Gateway, trio: dict[str, Behind]) -> None:
    assert trio
    before = gateway.served_by(MODEL)
    with ThreadPoolExecutor(200) as crew:
        began = time.monotonic()
        answers = list(crew.map(lambda _: gateway.chat(MODEL, 40, stream=True), range(200)))
        seconds = time.monotonic() - began
    shares = gateway.served_by(MODEL) - before
    assert {one.status for one in answers} == {200}
    assert all(one.body.endswith(b"data: [DONE]\n\n") for one in answers)
    print(f"200 streams at once: 0 broken, {dict(shares)}, all within {seconds:.1f} s")


def test_up_again_has_nothing_to_do(gateway: Gateway) -> None:
    done = gateway.checkout.inv("gateway.up", limit=60)
    assert "nothing to do" in done.stderr


def test_another_port_counts_from_the_next_start_on_and_is_looked_at_before(
    gateway: Gateway,
) -> None:
    """What `.env` says by now is not where the gateway is; and a port may be somebody else's."""
    secrets = gateway.checkout.root / ".env"
    before = secrets.read_text()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        secrets.write_text(before.replace(f"={gateway.port}\n", f"={port}\n"))
        try:
            gateway.inv("gateway.reload")
            told = json.loads(gateway.inv("gateway.status", "--json"))
            done = gateway.checkout.inv("gateway.up", limit=60)
        finally:
            secrets.write_text(before)
    assert told["gateway"]["url"] == f"http://127.0.0.1:{gateway.port}/v1"
    assert told["gateway"]["configuration_live"]
    assert done.returncode == 3
    assert f"port {port} is taken" in done.stderr
    assert gateway.chat("alone").status == 200


def test_a_broken_configuration_never_takes_the_place(gateway: Gateway) -> None:
    before = (gateway.folder / files.ROUTES).read_text()
    done = gateway.reload_broken()
    assert done.returncode == 5
    assert (gateway.folder / files.ROUTES).read_text() == before
    assert gateway.chat("alone").status == 200


def test_a_killed_gateway_is_back_and_says_nothing_wrong_meanwhile(gateway: Gateway) -> None:
    """Traefik answers 404 until it has its routes: nobody may see that."""
    (one,) = [
        process
        for process in psutil.process_iter()
        if process.name() == "traefik" and process.cwd() == str(gateway.folder)
    ]
    with ThreadPoolExecutor(8) as crew:
        watch = [crew.submit(until_back, gateway) for _ in range(8)]
        time.sleep(0.3)
        one.kill()
        heard = sum((each.result() for each in watch), Counter[str]())
    print(f"the gateway killed under load: {dict(heard)}")
    assert {said for said in heard if said.isdigit()} == {"200"}
    assert heard.total() > heard["200"]  # it was gone


def until_back(gateway: Gateway) -> Counter[str]:
    """What one client hears until the gateway was gone and answers again."""
    heard: Counter[str] = Counter()
    deadline = time.monotonic() + 30
    since_gone = 0
    while since_gone < 20:
        assert time.monotonic() < deadline
        try:
            said = str(gateway.chat("alone", 1).status)
        except BROKEN as error:
            said = type(error).__name__
            time.sleep(0.005)
        heard[said] += 1
        gone = heard.total() > heard["200"]
        since_gone += gone and said == "200"
    return heard
