"""The double itself: its pace, its books, its clients, its defects."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from typing import Any

import pytest

from tests.fake_vllm import FAULTS, FakeVllm, Fault, Settings, fake_vllm
from tests.fake_vllm.faults import parse_faults
from tests.fake_vllm.server import CrashedAtBootError

FRANCE = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
STORY = "Tell me a story."
CHAT = "/v1/chat/completions"


@pytest.fixture
def server() -> Iterator[FakeVllm]:
    with fake_vllm(Settings(token_seconds=0.01)) as double:
        yield double


def connect(server: FakeVllm, timeout: float = 10) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)


def send(
    connection: http.client.HTTPConnection, said: str, **fields: Any
) -> http.client.HTTPResponse:
    messages = [{"role": "user", "content": said}]
    body = {"model": "fake-model", "messages": messages, "temperature": 0, **fields}
    connection.request("POST", CHAT, json.dumps(body), {"Content-Type": "application/json"})
    return connection.getresponse()


def ask(server: FakeVllm, said: str, **fields: Any) -> tuple[int, Any]:
    with closing(connect(server)) as connection:
        response = send(connection, said, **fields)
        return response.status, json.loads(response.read())


def text_of(answer: Any) -> str:
    return str(answer["choices"][0]["message"]["content"])


def wait_until(fulfilled: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not fulfilled():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_a_stream_on_a_kept_connection_waits_for_nobody() -> None:
    """Without TCP_NODELAY its pieces wait for the client's acknowledgement, which takes 40 ms."""
    took = []
    with fake_vllm(Settings(token_seconds=0.001)) as server, closing(connect(server)) as connection:
        for _ in range(5):
            began = time.monotonic()
            send(connection, STORY, stream=True, max_tokens=5).read()
            took.append(time.monotonic() - began)
    assert min(took[1:]) < 0.035, took


def test_tokens_arrive_one_by_one(server: FakeVllm) -> None:
    with closing(connect(server)) as connection:
        response = send(connection, STORY, stream=True, max_tokens=20)
        times = [time.monotonic() for line in response if line.startswith(b"data: {")]
    gaps = [later - earlier for earlier, later in pairwise(times[1:])]
    assert len(gaps) == 19
    assert sum(gaps) == pytest.approx(19 * 0.01, rel=1)


def test_a_lost_client_ends_its_generation(server: FakeVllm) -> None:
    connection = connect(server)
    response = send(connection, STORY, stream=True, max_tokens=100)
    response.readline()
    wait_until(lambda: server.metric("vllm:num_requests_running") == 1)
    response.close()
    connection.close()
    wait_until(lambda: server.metric("vllm:num_requests_running") == 0)
    assert server.metric("vllm:generation_tokens_total") < 50
    assert server.metric("vllm:request_success_total", "length") == 0


def test_a_lost_client_ends_a_plain_request_too(server: FakeVllm) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": STORY}]})
    head = f"POST {CHAT} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall((head + body).encode())
        wait_until(lambda: server.metric("vllm:num_requests_running") == 1)
    wait_until(lambda: server.metric("vllm:num_requests_running") == 0)
    assert server.metric("vllm:request_success_total", "stop") == 0


def test_the_books_are_right(server: FakeVllm) -> None:
    for _ in range(3):
        ask(server, FRANCE)
    ask(server, STORY, max_tokens=5)
    assert server.metric("vllm:generation_tokens_total") == 3 * 8 + 5
    assert server.metric("vllm:prompt_tokens_total") == 3 * 37 + 35
    assert server.metric("vllm:request_success_total", "stop") == 3
    assert server.metric("vllm:request_success_total", "length") == 1
    shown = server.read_metrics()
    assert 'vllm:e2e_request_latency_seconds_count{engine="0",model_name="fake-model"} 4' in shown
    assert 'le="+Inf",model_name="fake-model"} 4' in shown


def test_sixty_four_clients_at_once() -> None:
    with fake_vllm() as server, ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: ask(server, FRANCE), range(64)))
    assert [(status, text_of(answer)) for status, answer in answers] == [(200, ANSWER)] * 64


def test_who_finds_no_slot_waits() -> None:
    with (
        fake_vllm(Settings(max_num_seqs=2, token_seconds=0.02)) as server,
        ThreadPoolExecutor(4) as pool,
    ):
        asked = [pool.submit(ask, server, STORY, max_tokens=20) for _ in range(4)]
        wait_until(lambda: server.metric("vllm:num_requests_waiting") == 2)
        assert server.metric("vllm:num_requests_running") == 2
        assert {future.result()[0] for future in asked} == {200}
        assert server.metric("vllm:num_requests_waiting") == 0


def test_one_connection_serves_many_requests(server: FakeVllm) -> None:
    with closing(connect(server)) as connection:
        for _ in range(3):
            assert text_of(json.loads(send(connection, FRANCE).read())) == ANSWER
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
    assert [seen.path for seen in server.seen] == [CHAT, CHAT, CHAT, "/health"]


def test_a_body_may_come_in_chunks(server: FakeVllm) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": FRANCE}]}).encode()
    with closing(connect(server)) as connection:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", CHAT, iter([body[:9], body[9:]]), headers, encode_chunked=True)
        assert connection.getresponse().status == 200


def test_sampling_varies_and_seeds_repeat(server: FakeVllm) -> None:
    def story(**fields: Any) -> str:
        return text_of(ask(server, STORY, max_tokens=9, **fields)[1])

    assert story() == story()
    assert story(temperature=1, seed=1) == story(temperature=1, seed=1)
    assert len({story(temperature=1) for _ in range(4)}) > 1


def test_a_cut_stream_breaks_the_connection(server: FakeVllm) -> None:
    server.become(Fault.CUT_STREAM)
    with closing(connect(server)) as connection:
        response = send(connection, STORY, stream=True)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()


def test_a_hanging_server_never_answers(server: FakeVllm) -> None:
    server.become(Fault.HANG)
    with closing(connect(server, timeout=0.3)) as connection, pytest.raises(TimeoutError):
        send(connection, FRANCE)
    server.become()
    assert ask(server, FRANCE)[0] == 200


def test_the_first_byte_can_be_slow() -> None:
    with fake_vllm(Settings(fault_seconds=0.5), faults=["slow-first-byte"]) as server:
        started = time.monotonic()
        assert ask(server, FRANCE)[0] == 200
        assert time.monotonic() - started > 0.5


def test_a_serial_server_takes_turns() -> None:
    settings = Settings(token_seconds=0.02)
    with fake_vllm(settings, faults=["serialises"]) as server, ThreadPoolExecutor(4) as pool:
        started = time.monotonic()
        list(pool.map(lambda _: ask(server, STORY, max_tokens=10), range(4)))
        assert time.monotonic() - started > 4 * 9 * 0.02


@pytest.mark.parametrize(("fault", "status"), [("status-429", 429), ("status-500", 500)])
def test_a_refusal_has_openais_shape(server: FakeVllm, fault: str, status: int) -> None:
    server.become(fault)
    code, answer = ask(server, FRANCE)
    assert (code, answer["error"]["code"]) == (status, status)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_what_others_say_in_its_place_has_another_shape(server: FakeVllm, status: int) -> None:
    server.become(f"status-{status}")
    with closing(connect(server)) as connection:
        response = send(connection, FRANCE)
        assert response.status == status
        assert b'"message"' not in response.read()


def test_a_crash_leaves_nobody_at_the_port() -> None:
    with fake_vllm(faults=[Fault.CRASH_ON_REQUEST]) as server:
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            ask(server, FRANCE)
        wait_until(lambda: not is_listening(server.port))


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_booting_server_does_not_listen() -> None:
    with fake_vllm(Settings(boot_seconds=0.5), wait=False) as server:
        assert not is_listening(server.port)
        wait_until(lambda: is_listening(server.port))


def test_a_crash_at_boot_is_told() -> None:
    with pytest.raises(CrashedAtBootError), fake_vllm(faults=["crash-at-boot"]):
        pass


def test_every_fault_is_explained() -> None:
    assert list(FAULTS) == list(Fault)


def test_a_wrong_fault_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean cut-stream"):
        parse_faults(["cut-steam"])
