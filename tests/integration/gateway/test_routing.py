"""Who gets a request: cards, the CPU, whoever is well; and what the client sees of it."""

import asyncio
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from openai import AsyncOpenAI

from tests.fake_vllm import FakeVllm
from tests.integration.gateway.running import (
    CHAT,
    KEYS,
    MARGIN,
    OWN,
    TWO_CHECKS,
    Gateway,
    question,
    stream,
)

LONG = question("alone", 2000)


def test_full_cards_spill_to_the_cpu(gateway: Gateway) -> None:
    before = gateway.served_by("shared")
    with ThreadPoolExecutor(24) as crew:
        answers = list(crew.map(lambda _: gateway.chat("shared", 80), range(24)))
    assert [one.status for one in answers] == [200] * 24
    shares = gateway.served_by("shared") - before
    assert shares == {"g1": 4, "g2": 4, "c1": 16}
    print(f"24 at once, two cards that take 4 each: 0 failed, {dict(shares)}")


def test_where_all_are_full_the_cards_queue_the_rest(gateway: Gateway) -> None:
    before = gateway.served_by("shared")
    with ThreadPoolExecutor(40) as crew:
        answers = list(crew.map(lambda _: gateway.chat("shared", 80), range(40)))
    assert {one.status for one in answers} == {200}
    shares = gateway.served_by("shared") - before
    assert shares == {"g1": 12, "g2": 12, "c1": 16}
    print(f"40 at once, room for 24: 0 failed, {dict(shares)}")


def test_64_at_once_on_one_backend_lose_none(gateway: Gateway) -> None:
    """With the settings that OpenAI's client has of itself; the backend has room for two."""

    async def ask_all() -> list[object]:
        async with AsyncOpenAI(
            base_url=f"http://127.0.0.1:{gateway.port}/v1", api_key=KEYS["alice"]
        ) as client:
            asked = [client.chat.completions.create(**question("alone", 20)) for _ in range(64)]
            return await asyncio.gather(*asked, return_exceptions=True)

    before = gateway.generations("single")
    assert {type(one).__name__ for one in asyncio.run(ask_all())} == {"ChatCompletion"}
    assert gateway.generations("single") == before + 64  # no retries


def test_sick_cards_leave_all_to_the_cpu(gateway: Gateway) -> None:
    for name in ("g1", "g2"):
        gateway.doubles[name].become("health-503", "status-429")
    before = gateway.served_by("shared")
    with ThreadPoolExecutor(8) as crew:
        answers = list(crew.map(lambda _: gateway.chat("shared"), range(40)))
    assert {one.status for one in answers} == {200}
    assert set(gateway.served_by("shared") - before) == {"c1"}


def test_a_dead_engine_here_is_out_within_two_checks_and_back_within_two(
    gateway: Gateway,
) -> None:
    """It would go on answering: only `/health` says that it is dead."""
    gateway.until("f1", up=True)
    gateway.doubles["f1"].become("health-503")
    out = gateway.until("f1", up=False)
    before = gateway.generations("f1")
    assert {gateway.chat("org/faulty").status for _ in range(6)} == {200}
    assert gateway.generations("f1") == before
    gateway.doubles["f1"].become()
    back = gateway.until("f1", up=True)
    assert {gateway.chat("org/faulty").status for _ in range(2)} == {200}
    assert gateway.generations("f1") == before + 1
    assert max(out, back) < TWO_CHECKS + MARGIN
    print(f"an engine dead: out after {out:.1f} s, back after {back:.1f} s")


@pytest.fixture
def in_turns(gateway: Gateway) -> Gateway:
    """Both of a pair are asked, and none has errors held against it."""
    for name in ("f1", "f2"):
        gateway.until(name, up=True)
    assert {gateway.chat("org/faulty").status for _ in range(2)} == {200}
    return gateway


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_refusal_before_the_first_byte_goes_to_the_next(in_turns: Gateway, status: int) -> None:
    in_turns.doubles["f1"].become(f"status-{status}")
    before = {name: in_turns.generations(name) for name in ("f1", "f2")}
    plain = [in_turns.chat("org/faulty") for _ in range(2)]
    streamed = [in_turns.chat("org/faulty", stream=True) for _ in range(2)]
    assert {one.status for one in (*plain, *streamed)} == {200}
    assert all(one.body.endswith(b"data: [DONE]\n\n") for one in streamed)
    asked = {name: in_turns.generations(name) - before[name] for name in before}
    assert asked == {"f1": 2, "f2": 4}


@pytest.mark.parametrize(
    ("status", "code", "later"),
    [(429, "all_backends_full", "1"), (502, "bad_gateway", None), (503, "no_backend", "1"),
     (504, "gateway_timeout", None)],
)  # fmt: skip
@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_by_all_has_openais_shape(
    in_turns: Gateway, status: int, code: str, later: str | None, *, streamed: bool
) -> None:
    before = {name: in_turns.generations(name) for name in ("f1", "f2")}
    for name in before:
        in_turns.doubles[name].become(f"status-{status}")
    answer = in_turns.chat("org/faulty", stream=streamed)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.headers.get("retry-after") == later
    assert [in_turns.generations(name) - before[name] for name in before] == [1, 1]


def test_an_error_of_the_model_passes_and_is_not_computed_twice(in_turns: Gateway) -> None:
    before = {name: in_turns.generations(name) for name in ("f1", "f2")}
    for name in before:
        in_turns.doubles[name].become("status-500")
    answers = [in_turns.chat("org/faulty") for _ in range(2)]
    assert {one.status for one in answers} == {500}
    assert all("EngineCore" in one.body.decode() for one in answers)
    assert [in_turns.generations(name) - before[name] for name in before] == [1, 1]


@pytest.mark.parametrize("fault", ["status-500", "status-503", "drop-connection"])
def test_a_backend_alone_is_not_put_aside_for_its_errors(gateway: Gateway, fault: str) -> None:
    gateway.doubles["single"].become(fault)
    assert 200 not in {gateway.chat("alone").status for _ in range(5)}
    gateway.doubles["single"].become()
    assert gateway.chat("alone").status == 200


@pytest.mark.parametrize("fault", ["drop-connection", "status-502", "status-503"])
def test_errors_of_all_shut_none_of_them_to_others(in_turns: Gateway, fault: str) -> None:
    for name in ("f1", "f2"):
        in_turns.doubles[name].become(fault)
    assert 200 not in {in_turns.chat("org/faulty").status for _ in range(5)}
    for name in ("f1", "f2"):
        in_turns.doubles[name].become()
    assert {in_turns.chat("org/faulty").status for _ in range(4)} == {200}


def test_a_request_that_breaks_connections_goes_to_no_backend_twice(in_turns: Gateway) -> None:
    """More digits than Python reads: the double closes the connection, vLLM says 400."""
    before = {name: in_turns.generations(name) for name in ("f1", "f2")}
    body = b'{"model": "org/faulty", "max_tokens": ' + b"9" * 5_000 + b"}"
    answer = in_turns.ask(CHAT, body)
    assert (answer.status, answer.error["code"]) == (502, "bad_gateway")
    assert [in_turns.generations(name) - before[name] for name in before] == [1, 1]
    assert {in_turns.chat("org/faulty").status for _ in range(4)} == {200}


def test_who_misses_its_checks_is_asked_where_nobody_can_stand_in(gateway: Gateway) -> None:
    """A large request may hold its loop: it answers all the others after that."""
    gateway.until("single", up=True)
    gateway.doubles["single"].settings.api_key = "another"  # it is checked with a key
    try:
        gateway.until("single", up=False)
    finally:
        gateway.doubles["single"].settings.api_key = OWN
    answer = gateway.chat("alone")
    assert answer.status == 200
    assert gateway.log()[-1]["ServiceName"] == "unchecked-single@file"
    gateway.until("single", up=True)


def test_a_backend_that_refuses_the_gateway_is_no_fault_of_the_client(gateway: Gateway) -> None:
    gateway.doubles["single"].settings.api_key = "another"
    try:
        answer = gateway.chat("alone")
    finally:
        gateway.doubles["single"].settings.api_key = OWN
    assert (answer.status, answer.error["code"]) == (502, "bad_gateway")


def test_a_stream_that_breaks_is_an_error_to_the_client(in_turns: Gateway) -> None:
    for name in ("f1", "f2"):
        in_turns.doubles[name].become("cut-stream")
    before = in_turns.generations("f1") + in_turns.generations("f2")
    with pytest.raises(http.client.IncompleteRead) as broken:
        in_turns.chat("org/faulty", 20, stream=True)
    assert b"data: " in broken.value.partial
    assert b"[DONE]" not in broken.value.partial
    assert in_turns.generations("f1") + in_turns.generations("f2") - before == 1


def gaps(port: int, key: str) -> list[float]:
    with stream(port, key, question("alone", 25)) as response:
        times = [time.monotonic() for line in response if line.startswith(b"data: {")]
    return [later - earlier for earlier, later in pairwise(times)]


def test_the_gaps_of_a_stream_are_kept(gateway: Gateway) -> None:
    direct = gaps(gateway.doubles["single"].port, OWN)
    through = gaps(gateway.port, KEYS["alice"])
    assert len(through) == len(direct) > 15
    # Buffered, most would be nothing and one would be all.
    assert sum(gap > 0.01 for gap in through) >= 0.8 * sum(gap > 0.01 for gap in direct)
    assert max(through) < 0.3


def computes(double: FakeVllm, count: int) -> None:
    """Wait until it computes so many requests."""
    deadline = time.monotonic() + 3
    while double.metric("vllm:num_requests_running") != count:
        assert time.monotonic() < deadline, f"it does not compute {count}"
        time.sleep(0.01)


def test_a_client_that_leaves_stops_its_generation(gateway: Gateway) -> None:
    with stream(gateway.port, KEYS["alice"], LONG) as response:
        response.read(1)
        computes(gateway.doubles["single"], 1)
    computes(gateway.doubles["single"], 0)


def test_a_request_that_ended_badly_counts_no_longer(gateway: Gateway) -> None:
    for name in ("f1", "f2"):
        gateway.doubles[name].become("cut-stream")
    for _ in range(2):
        with pytest.raises(http.client.IncompleteRead):
            gateway.ask(CHAT, question("org/faulty", 20, stream=True), KEYS["single"])
    with stream(gateway.port, KEYS["single"], LONG) as response:
        response.read(1)
        busy = gateway.ask(CHAT, question("alone", 1), KEYS["single"])
        assert (busy.status, busy.error["code"]) == (429, "rate_limit_exceeded")
    deadline = time.monotonic() + 3
    while gateway.ask(CHAT, question("alone", 1), KEYS["single"]).status != 200:
        assert time.monotonic() < deadline, "the one that left is still counted"


def test_status_shows_each_backend(gateway: Gateway) -> None:
    for name in gateway.doubles:
        gateway.until(name, up=True)
    told = json.loads(gateway.inv("gateway.status", "--json"))
    rows = {row["name"]: row for row in told["backends"]}
    assert all(row["up"] for row in rows.values())
    assert told["gateway"]["state"] == "running"
    assert told["gateway"]["configuration_live"]
    assert (rows["g1"]["tier"], rows["c1"]["tier"]) == ("gpu", "cpu")
    assert rows["g1"]["models"] == ["shared"]
    assert (rows["g1"]["in_flight"], rows["g1"]["max_in_flight"]) == (0, 4)
    assert OWN not in json.dumps(told)
    assert "single" in gateway.inv("gateway.status")


def test_a_backend_elsewhere_cannot_be_started_here(gateway: Gateway) -> None:
    for command in ("up", "down", "restart"):
        done = gateway.checkout.inv(command, "--gpu", "g2")
        assert done.returncode == 7, (command, done.stdout, done.stderr)
        assert "another machine" in done.stderr
