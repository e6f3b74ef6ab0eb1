"""The gateway: a real Traefik before doubles that are broken on purpose."""

import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import pytest

from lifecycle.gateway import files
from tests.fake_vllm import FakeVllm, Settings, fake_vllm
from tests.integration.checkout import ROOT, Checkout, free_pair, free_port

CHAT = "/v1/chat/completions"
CHECKS = {"/health", "/v1/models"}
"""What the gateway asks of itself, whether a backend is here or elsewhere."""
OWN = "sk-local-of-the-backends"
KEYS = {"alice": "sk-vllm-alice-0123456789", "slow": "sk-vllm-slow-0123456789",
        "single": "sk-vllm-single-0123456789"}  # fmt: skip
PROMPT = "a prompt that no log may hold"
LIMITS = {"slow": {"rate": 6, "in_flight": 2}, "single": {"rate": 0, "in_flight": 1}}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The error, which has OpenAI's shape or none."""
        assert self.headers["content-type"] == "application/json", self.body
        error = json.loads(self.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert isinstance(error, dict)
        return error


@dataclass
class Gateway:
    """The gateway of a checkout, and the doubles behind it by name."""

    checkout: Checkout
    port: int
    doubles: dict[str, FakeVllm] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return Path(self.checkout.env["LIFECYCLE_HOME"]) / "gateway"

    def member(self, name: str, url: str, model: str, cap: int = 64, gpu: str = "cuda") -> None:
        (self.checkout.root / "env" / f"{name}.env").write_text(
            f"GPU={gpu}\nENDPOINT={url}\nMODEL={model}\nMAX_IN_FLIGHT={cap}\n"
        )

    def inv(self, command: str) -> str:
        done = self.checkout.inv(command, limit=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(
        self, path: str = "/v1/models", body: Any = None, key: str = KEYS["alice"], **more: str
    ) -> Answer:
        headers = {"Authorization": f"Bearer {key}", **more}
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        method = "GET" if raw is None else "POST"
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as client:
            client.request(method, path, raw, {k: v for k, v in headers.items() if v})
            response = client.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())

    def chat(self, model: str, tokens: int = 2, **more: Any) -> Answer:
        return self.ask(CHAT, question(model, tokens, **more))

    def log(self) -> list[dict[str, Any]]:
        time.sleep(0.2)  # a line is written after the answer, and passes through supervisord
        lines = (self.folder / files.ACCESS).read_text().splitlines()
        return [json.loads(line) for line in lines]

    def served_by(self, model: str) -> Counter[str]:
        """Which backends answered for a model, by the log."""
        mine = [line for line in self.log() if line.get("downstream_Gateway-Model") == model]
        return Counter(
            line["ServiceName"].removesuffix("@file").removeprefix("backend-")
            for line in mine
            if line["DownstreamStatus"] == 200
        )

    def until(self, model: str, status: int, limit: float = 8) -> None:
        """Wait until a request for a model gets this answer three times in a row."""
        deadline = time.monotonic() + limit
        row = 0
        while row < 3:
            row = row + 1 if self.chat(model).status == status else 0
            assert time.monotonic() < deadline, f"{model} never got to {status}"
            time.sleep(0.02)


def question(model: str, tokens: int, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": PROMPT}]
    return {"model": model, "max_tokens": tokens, "messages": messages, **more}


def double(model: str, **more: Any) -> Settings:
    return Settings(model=model, api_key=OWN, **more)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    place = tmp_path_factory.mktemp("gateway")
    checkout = Checkout.copy(place / "checkout", "unused", free_port())
    for file in (checkout.root / "env").glob("*.env"):
        file.unlink()
    checkout.env |= {"LIFECYCLE_HOME": str(place / "home")}
    port = free_pair()
    (checkout.root / ".env").write_text(f"VLLM_API_KEY={OWN}\nGATEWAY_PORT={port}\n")
    made = Gateway(checkout, port)
    made.folder.mkdir(parents=True)
    (made.folder / "clients.json").write_text(
        json.dumps(
            [
                {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest(),
                 "made": "2026-11-22", **LIMITS.get(name, {"rate": 0, "in_flight": 0})}
                for name, key in KEYS.items()
            ]
        )
    )  # fmt: skip
    with ExitStack() as stack:
        for name, model, cap, gpu in (
            ("g1", "shared", 4, "cuda"),
            ("g2", "shared", 4, "rocm"),
            ("c1", "shared", 16, "cpu"),
            ("f1", "faulty", 64, "cuda"),
            ("f2", "faulty", 64, "cuda"),
            ("single", "alone", 2, "cuda"),
        ):
            one = stack.enter_context(fake_vllm(double(model, token_seconds=0.02)))
            made.doubles[name] = one
            made.member(name, one.url, model, cap, gpu)
        made.inv("gateway.up")
        stack.callback(made.inv, "gateway.down")
        yield made


@pytest.fixture(autouse=True)
def healthy(gateway: Gateway) -> Iterator[None]:
    yield
    for one in gateway.doubles.values():
        one.become()


def test_models_are_the_union(gateway: Gateway) -> None:
    listed = json.loads(gateway.ask().body)
    assert [entry["id"] for entry in listed["data"]] == ["alone", "faulty", "shared"]
    assert json.loads(gateway.ask("/v1/models/alone").body)["object"] == "model"
    assert gateway.ask("/v1/models/nobodys").error["code"] == "model_not_found"


def test_up_again_has_nothing_to_do(gateway: Gateway) -> None:
    done = gateway.checkout.inv("gateway.up", limit=60)
    assert "nothing to do" in done.stderr


@pytest.mark.parametrize("key", ["", "sk-vllm-wrong", KEYS["alice"][:-1], KEYS["alice"] + "x", OWN])
def test_without_a_good_key_there_is_nothing(gateway: Gateway, key: str) -> None:
    for path in ("/v1/models", "/metrics", "/", "/revision/0"):
        bare = gateway.ask(path, key=key, **({} if key else {"Authorization": ""}))
        assert bare.status == 401
        assert bare.error["code"] == "invalid_api_key"


def test_two_keys_are_none(gateway: Gateway) -> None:
    good = f"Authorization: Bearer {KEYS['alice']}\r\n"
    assert b" 200 " in raw(gateway, f"GET /v1/models HTTP/1.1\r\nHost: x\r\n{good}")
    assert b" 401 " in raw(gateway, f"GET /v1/models HTTP/1.1\r\nHost: x\r\n{good}{good}")


def test_two_lengths_are_refused(gateway: Gateway) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['alice']}\r\n"
    assert b" 400 " in raw(gateway, f"{head}Content-Length: 5\r\nContent-Length: 6\r\n")


@pytest.mark.parametrize(
    ("said", "statuses"),
    [
        # Traefik drops what this names before the door looks: no key, no entry.
        ("Connection: Authorization", {401}),
        ("Connection: X-Gateway-Route, X-Gateway-Bucket, Content-Type", {200}),
        ("X-Gateway-Route: m0\r\nx-gateway-route: none\r\nX_Gateway_Route: m1", {200}),
        ("Content-Type: text/plain\r\nContent-Type: application/json", {200, 400, 415}),
        ("Host: other", {400}),
        ("Content-Length : 5", {400}),
        ("X-Folded: a\r\n b", {200, 400}),
        ("Transfer-Encoding: gzip, chunked", {400, 501}),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", {400, 501}),
        ("X-Large: " + "x" * 70_000, {431}),
    ],
)
def test_headers_that_quarrel_lead_nowhere_else(
    gateway: Gateway, said: str, statuses: set[int]
) -> None:
    """The model asked for answers, or the request is refused: nothing in between."""
    before = {name: len(one.seen) for name, one in gateway.doubles.items()}
    body = json.dumps(question("alone", 1))
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['alice']}\r\n{said}"
    length = f"\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as client:
        client.sendall(f"{head}{length}{body}".encode())
        answer = client.recv(4096)
    status = int(answer.split(b" ", 2)[1])
    assert status in statuses, answer
    asked = {
        name
        for name, one in gateway.doubles.items()
        if any(seen.path not in CHECKS for seen in one.seen[before[name] :])
    }
    assert asked <= {"single"}
    assert asked or status != 200


def test_a_request_inside_a_request_is_none(gateway: Gateway) -> None:
    """Two lengths that disagree must not let the rest of a body count as a request of its own."""
    before = len(gateway.log())
    inner = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['alice']}\r\n"
    quarrel = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as client:
        client.sendall(f"{head}{quarrel}{len(inner):x}\r\n{inner}\r\n0\r\n\r\n".encode())
        assert b" 400 " in client.recv(4096)
    assert [line["RequestPath"] for line in gateway.log()[before:]] in ([], [CHAT])


def raw(gateway: Gateway, head: str) -> bytes:
    """The first line of the answer to a request as it is written here."""
    with socket.create_connection(("127.0.0.1", gateway.port), 5) as client:
        client.sendall(f"{head}Connection: close\r\n\r\n".encode())
        return client.recv(4096).split(b"\r\n", 1)[0]


@pytest.mark.parametrize(
    "path",
    [
        "/metrics", "/health", "/docs", "/openapi.json", "/tokenize", "/invocations", "/sleep",
        "/v1", "/v1/", "/v1/load_lora_adapter", "/v2/embed", "/V1/chat/completions",
        "/v1/../metrics", "/v1/chat/../../metrics", "//v1/chat/completions",
        "/v1/./chat/completions", "/%6detrics", "/v1/%74okenize", "/v1%2fchat/completions",
        "/v1/chat/completions/", "/v1/chat/completions%2f..%2f..%2fmetrics",
        "/%2e%2e/metrics", "/v1/chat/completions;x", "/v1/chat/completions%00",
    ],
)  # fmt: skip
def test_other_addresses_are_closed(gateway: Gateway, path: str) -> None:
    before = {name: len(one.seen) for name, one in gateway.doubles.items()}
    answer = gateway.ask(path, question("alone", 1))
    assert answer.status in {400, 404}
    if answer.status == 404:
        assert answer.error["code"] == "unknown_url"
    after = {
        name: [seen for seen in one.seen[before[name] :] if seen.path != "/v1/models"]
        for name, one in gateway.doubles.items()
    }
    assert not any(after.values())


def test_letters_written_as_numbers_are_the_same_letters(gateway: Gateway) -> None:
    """As RFC 3986 has it (6.2.2.2); Traefik resolves them before the door compares."""
    assert gateway.ask("/v1/%63hat/completions", question("alone", 1)).status == 200


def test_an_unknown_model_is_a_404(gateway: Gateway) -> None:
    answer = gateway.chat("nobodys")
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"{", "missing_model"), (b"[]", "missing_model"), (b'{"model": 3}', "missing_model"),
     (b'{"MODEL": "alone"}', "missing_model")],
)  # fmt: skip
def test_a_body_without_a_model_is_a_400(gateway: Gateway, body: bytes, code: str) -> None:
    answer = gateway.ask(CHAT, body)
    assert (answer.status, answer.error["code"]) == (400, code)


def test_large_bodies_pass_and_too_large_ones_do_not(gateway: Gateway) -> None:
    filled = question("alone", 1, user="x" * 8_000_000)
    assert gateway.ask(CHAT, filled).status == 200
    answer = gateway.ask(CHAT, b" " * 33_554_433)
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")
    chunked = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['alice']}\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), 20) as client:
        client.sendall(f"{chunked}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(33):
            client.sendall(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
        client.sendall(b"0\r\n\r\n")
        assert b" 413 " in client.recv(4096)


@pytest.mark.parametrize(
    ("model", "status"),
    [
        ('"model": "nobodys", "model": "alone"', 200),
        ('"model": "alone", "model": "nobodys"', 404),
        ('"metadata": {"model": "nobodys"}, "model": "alone"', 200),
        ('"model": "alone", "metadata": {"model": "nobodys"}', 200),
        ('"user": "\\", \\"model\\": \\"nobodys", "model": "alone"', 200),
        (r'"mod\u0065l": "al\u006fne"', 200),
        ('"model": ["alone"]', 400),
        ('"model": null', 400),
    ],
)
def test_the_model_is_the_one_that_a_backend_reads(
    gateway: Gateway, model: str, status: int
) -> None:
    rest = json.dumps(question("", 1)["messages"])
    body = f'{{{model}, "messages": {rest}, "max_tokens": 1}}'
    assert gateway.ask(CHAT, body.encode()).status == status


def test_8_mb_bodies_side_by_side(gateway: Gateway) -> None:
    def ask(_: int) -> tuple[int, float]:
        began = time.monotonic()
        status = gateway.ask(CHAT, body).status
        return status, time.monotonic() - began

    # Cut short, it would be no JSON to the double.
    body = json.dumps(question("faulty", 1, user="x" * 8_000_000)).encode()
    with ThreadPoolExecutor(8) as crew:
        answers = list(crew.map(ask, range(16)))
    assert {status for status, _ in answers} == {200}
    slowest = max(seconds for _, seconds in answers)
    print(f"16 bodies of 8 MB, 8 at once: 0 failed, the slowest took {slowest:.1f} s")


def test_limits_are_each_clients_own(gateway: Gateway) -> None:
    with ThreadPoolExecutor(3) as crew:
        asked = [
            crew.submit(gateway.ask, CHAT, question("shared", 30), KEYS["slow"]) for _ in range(3)
        ]
        statuses = sorted(one.result().status for one in asked)
    assert statuses == [200, 200, 429]  # two in flight
    answers = [gateway.ask(CHAT, question("shared", 1), KEYS["slow"]) for _ in range(6)]
    assert [one.status for one in answers] == [200] * 4 + [429] * 2  # six a minute
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    assert answers[-1].error["code"] == "rate_limit_exceeded"
    assert gateway.chat("shared").status == 200


def test_the_log_tells_who_and_what_and_no_more(gateway: Gateway) -> None:
    sent = {"X-Gateway-Key": "mallory", "Gateway-Key": "mallory", "X-Gateway-Route": "m0"}
    answer = gateway.ask(f"{CHAT}?api_key={KEYS['slow']}", question("alone", 5), **sent)
    assert answer.status == 200
    assert not [name for name in answer.headers if "gateway" in name]
    (line,) = [line for line in gateway.log()[-3:] if line["RequestPath"] == CHAT][-1:]
    assert line["downstream_Gateway-Key"] == "alice"
    assert line["downstream_Gateway-Model"] == "alone"
    assert line["ServiceName"] == "backend-single@file"
    assert line["DownstreamStatus"] == 200
    assert line["DownstreamContentSize"] == len(answer.body)
    first = int(line["downstream_Gateway-First-Byte-Ms"])
    assert 50 <= first <= line["Duration"] / 1e6
    everything = "".join(file.read_text() for file in gateway.folder.glob("*.log*"))
    for secret in (*KEYS.values(), OWN, PROMPT, "mallory"):
        assert secret not in everything


def test_nobody_else_reads_the_configuration(gateway: Gateway) -> None:
    secret = [file for file in gateway.folder.rglob("*.yml") if OWN in file.read_text()]
    assert secret
    assert {file.stat().st_mode & 0o777 for file in secret} == {0o600}
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port + 1, timeout=5)) as client:
        client.request("GET", "/api/rawdata")
        assert client.getresponse().status == 404


def test_full_cards_spill_to_the_cpu(gateway: Gateway) -> None:
    before = gateway.served_by("shared")
    with ThreadPoolExecutor(24) as crew:
        answers = list(crew.map(lambda _: gateway.chat("shared", 80), range(24)))
    assert [one.status for one in answers] == [200] * 24
    shares = gateway.served_by("shared") - before
    assert shares == {"g1": 4, "g2": 4, "c1": 16}
    print(f"24 at once, two cards that take 4 each: 0 failed, {dict(shares)}")


def test_a_backend_alone_and_full_says_so(gateway: Gateway) -> None:
    with ThreadPoolExecutor(4) as crew:
        answers = list(crew.map(lambda _: gateway.chat("alone", 60), range(4)))
    assert sorted(one.status for one in answers) == [200, 200, 429, 429]
    refused = next(one for one in answers if one.status == 429)
    assert refused.error["code"] == "all_backends_full"
    assert refused.headers["retry-after"] == "1"


def test_sick_cards_leave_all_to_the_cpu(gateway: Gateway) -> None:
    for name in ("g1", "g2"):
        gateway.doubles[name].become("health-503", "status-429")
    before = gateway.served_by("shared")
    with ThreadPoolExecutor(8) as crew:
        answers = list(crew.map(lambda _: gateway.chat("shared"), range(40)))
    assert {one.status for one in answers} == {200}
    assert set(gateway.served_by("shared") - before) == {"c1"}


def test_a_refusal_before_the_first_byte_goes_to_the_next(gateway: Gateway) -> None:
    gateway.doubles["f1"].become("status-429")
    before = gateway.served_by("faulty")
    assert {gateway.chat("faulty").status for _ in range(10)} == {200}
    assert gateway.served_by("faulty") - before == {"f2": 10}


def test_an_error_of_the_model_passes_and_is_not_computed_twice(gateway: Gateway) -> None:
    gateway.doubles["single"].become("status-500")
    before = generations(gateway, "single")
    answer = gateway.chat("alone")
    assert answer.status == 500
    assert "EngineCore" in answer.body.decode()
    assert generations(gateway, "single") - before == 1
    gateway.doubles["single"].become()
    assert gateway.chat("alone").status == 200  # it was not put aside for that


def generations(gateway: Gateway, name: str) -> int:
    return sum(seen.path == CHAT for seen in gateway.doubles[name].seen)


def test_a_backend_that_refuses_the_gateway_is_no_fault_of_the_client(gateway: Gateway) -> None:
    gateway.doubles["single"].settings.api_key = "another"
    try:
        answer = gateway.chat("alone")
    finally:
        gateway.doubles["single"].settings.api_key = OWN
    assert (answer.status, answer.error["code"]) == (502, "bad_gateway")


def test_a_stream_that_breaks_is_an_error_to_the_client(gateway: Gateway) -> None:
    for name in ("f1", "f2"):
        gateway.doubles[name].become("cut-stream")
    before = generations(gateway, "f1") + generations(gateway, "f2")
    with pytest.raises(http.client.IncompleteRead) as broken:
        gateway.chat("faulty", 20, stream=True)
    assert b"data: " in broken.value.partial
    assert b"[DONE]" not in broken.value.partial
    assert generations(gateway, "f1") + generations(gateway, "f2") - before == 1


@contextmanager
def stream(port: int, key: str, tokens: int) -> Iterator[http.client.HTTPResponse]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
        body = json.dumps(question("alone", tokens, stream=True))
        client.request("POST", CHAT, body, {"Authorization": f"Bearer {key}"})
        yield client.getresponse()


def gaps(port: int, key: str) -> list[float]:
    with stream(port, key, 25) as response:
        times = [time.monotonic() for line in response if line.startswith(b"data: {")]
    return [later - earlier for earlier, later in pairwise(times)]


def test_the_gaps_of_a_stream_are_kept(gateway: Gateway) -> None:
    direct = gaps(gateway.doubles["single"].port, OWN)
    through = gaps(gateway.port, KEYS["alice"])
    assert len(through) == len(direct) > 15
    # Buffered, most would be nothing and one would be all.
    assert sum(gap > 0.01 for gap in through) >= 0.8 * sum(gap > 0.01 for gap in direct)
    assert max(through) < 0.3


def test_a_client_that_leaves_stops_its_generation(gateway: Gateway) -> None:
    one = gateway.doubles["single"]
    with stream(gateway.port, KEYS["alice"], 2000) as response:
        response.read(1)
        assert one.metric("vllm:num_requests_running") == 1
    deadline = time.monotonic() + 3
    while one.metric("vllm:num_requests_running"):
        assert time.monotonic() < deadline, "it went on without a client"
        time.sleep(0.02)


def test_a_request_that_ended_badly_counts_no_longer(gateway: Gateway) -> None:
    for name in ("f1", "f2"):
        gateway.doubles[name].become("cut-stream")
    for _ in range(2):
        with pytest.raises(http.client.IncompleteRead):
            gateway.ask(CHAT, question("faulty", 20, stream=True), KEYS["single"])
    with stream(gateway.port, KEYS["single"], 2000) as response:
        response.read(1)
        busy = gateway.ask(CHAT, question("alone", 1), KEYS["single"])
        assert (busy.status, busy.error["code"]) == (429, "rate_limit_exceeded")
    deadline = time.monotonic() + 3
    while gateway.ask(CHAT, question("alone", 1), KEYS["single"]).status != 200:
        assert time.monotonic() < deadline, "the one that left is still counted"


def test_clients_that_never_finish_their_request_keep_nobody_out(gateway: Gateway) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), 5))
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Half: ")
        assert gateway.chat("alone").status == 200


def test_status_shows_each_backend(gateway: Gateway) -> None:
    deadline = time.monotonic() + 6  # two looks of the gateway
    while True:
        told = json.loads(gateway.checkout.inv("gateway.status", "--json").stdout)
        rows = {row["name"]: row for row in told["backends"]}
        if all(row["up"] for row in rows.values()):
            break
        assert time.monotonic() < deadline, rows
    assert told["gateway"]["state"] == "running"
    assert told["gateway"]["configuration_live"]
    assert {name: row["tier"] for name, row in rows.items() if name in {"g1", "c1"}} == {
        "g1": "gpu", "c1": "cpu",
    }  # fmt: skip
    assert rows["g1"]["models"] == ["shared"]
    assert (rows["g1"]["in_flight"], rows["g1"]["max_in_flight"]) == (0, 4)
    assert OWN not in json.dumps(told)
    assert "single" in gateway.inv("gateway.status")


class Load:
    """POSTs from several threads until it is told to end."""

    def __init__(self, gateway: Gateway, model: str, threads: int = 6) -> None:
        self.statuses: Counter[str] = Counter()
        self._gateway, self._model = gateway, model
        self._end = threading.Event()
        self._crew = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._crew:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._crew:
            thread.join(40)

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                got = str(self._gateway.chat(self._model, 1).status)
            except (OSError, http.client.HTTPException) as error:
                got = repr(error)
            self.statuses[got] += 1


def test_a_backend_comes_and_goes_under_load(gateway: Gateway) -> None:
    with fake_vllm(double("faulty")) as third:
        with Load(gateway, "faulty") as load:
            for _ in range(2):
                gateway.member("f3", third.url, "faulty")
                gateway.inv("gateway.reload")
                (gateway.checkout.root / "env" / "f3.env").unlink()
                gateway.inv("gateway.reload")
        assert set(load.statuses) == {"200"}, load.statuses
        assert sum(load.statuses.values()) > 200
        assert gateway.served_by("faulty")["f3"] > 10
    print(f"under four reloads: 0 of {sum(load.statuses.values())} failed")


@dataclass
class Behind:
    """A double in a process of its own, on this machine or on one of its own."""

    port: int
    model: str
    host: str = "127.0.0.1"
    netns: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        within = ["ip", "netns", "exec", self.netns] if self.netns else []
        asked = ["--host", self.host, "--port", str(self.port), "--model", self.model]
        self.process = subprocess.Popen(
            [*within, sys.executable, "-m", "tests.fake_vllm", *asked],
            cwd=ROOT, env={**os.environ, "VLLM_API_KEY": OWN}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        listening(self.host, self.port)

    def signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.process
        self.process.wait()


@contextmanager
def behind(
    gateway: Gateway, *backends: Behind, gpus: tuple[str, ...] = ("cuda", "cuda"), cap: int = 64
) -> Iterator[None]:
    """Have these doubles behind the gateway."""
    with ExitStack() as stack:
        for number, (one, gpu) in enumerate(zip(backends, gpus, strict=True)):
            one.start()
            stack.callback(one.kill)
            name = f"{one.model}-{number}"
            gateway.member(name, one.url, one.model, cap, gpu)
            stack.callback((gateway.checkout.root / "env" / f"{name}.env").unlink)
        gateway.inv("gateway.reload")
        gateway.until(backends[0].model, 200)
        yield


def test_kill_9_under_load_is_not_seen(gateway: Gateway) -> None:
    backends = [Behind(free_port(), "killed") for _ in range(2)]
    with behind(gateway, *backends), Load(gateway, "killed", 12) as load:
        for turn in (0, 1, 0):
            time.sleep(1)
            backends[turn].kill()
            time.sleep(1.5)
            backends[turn].start()
            time.sleep(2.5)
    assert set(load.statuses) == {"200"}, load.statuses
    assert sum(load.statuses.values()) > 500
    print(f"under three kill -9: 0 of {sum(load.statuses.values())} failed")


def test_both_cards_killed_leave_all_to_the_cpu(gateway: Gateway) -> None:
    cards = [Behind(free_port(), "orphaned") for _ in range(2)]
    cpu = Behind(free_port(), "orphaned")
    with behind(gateway, *cards, cpu, gpus=("cuda", "rocm", "cpu")):
        before = gateway.served_by("orphaned")
        assert set(before) <= {"orphaned-0", "orphaned-1"}
        with Load(gateway, "orphaned", 12) as load:
            time.sleep(1)
            for card in cards:
                card.kill()
            time.sleep(3)
        by_cpu = gateway.served_by("orphaned")["orphaned-2"]
        for card in cards:
            card.start()  # to be ended as the others
    count = sum(load.statuses.values())
    assert set(load.statuses) == {"200"}, load.statuses
    assert by_cpu > 200
    print(f"both cards killed under load: 0 of {count} failed, {by_cpu} by the CPU")


class Drip:
    """A request every 50 ms, whatever becomes of those before: one that waits holds up nobody."""

    def __init__(self, gateway: Gateway, model: str) -> None:
        self.took: list[tuple[float, float, str]] = []
        self._gateway, self._model = gateway, model
        self._end = threading.Event()
        self._pacer = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._pacer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._pacer.join(60)

    def _run(self) -> None:
        with ThreadPoolExecutor(300) as crew:
            while not self._end.wait(0.05):
                crew.submit(self._ask)

    def _ask(self) -> None:
        began = time.monotonic()
        try:
            got = str(self._gateway.chat(self._model, 1).status)
        except (OSError, http.client.HTTPException) as error:
            got = repr(error)
        self.took.append((began, time.monotonic() - began, got))

    def report(self, what: str, since: float) -> list[float]:
        """Print what became of all; returns when those began that waited, after an event."""
        assert {got for *_, got in self.took} == {"200"}, self.took
        slow = [(began - since, seconds) for began, seconds, _ in self.took if seconds > 1]
        begun = [began for began, _ in slow]
        print(
            f"{what}: 0 of {len(self.took)} failed, {len(slow)} took more than 1 s, "
            f"{sum(seconds > 3 for _, seconds in slow)} more than 3 s; the last of them began "
            f"{max(begun, default=0):.1f} s after it"
        )
        return begun


WITHIN = 4.0
"""Seconds: two checks (every 2 s) and a margin."""


def test_a_frozen_backend_is_left_alone(gateway: Gateway) -> None:
    backends = [Behind(free_port(), "frozen") for _ in range(2)]
    with behind(gateway, *backends), Drip(gateway, "frozen") as drip:
        time.sleep(1)
        backends[0].signal(signal.SIGSTOP)
        since = time.monotonic()
        time.sleep(6)
        backends[0].signal(signal.SIGCONT)  # those that it had taken are answered now
    begun = drip.report("a backend frozen for 6 s", since)
    assert begun
    assert max(begun) < WITHIN


@contextmanager
def machine(tag: str) -> Iterator[tuple[str, str, str]]:
    """Another machine: its namespace, its address, and ours as it sees us."""
    name, ours, its = f"far-{tag}", "10.213.7.1", "10.213.7.2"
    with ExitStack() as stack:
        ip("netns", "add", name)
        stack.callback(ip, "netns", "del", name)  # and the cable with it
        ip("link", "add", f"near-{tag}", "type", "veth", "peer", "name", "out", "netns", name)
        ip("address", "add", f"{ours}/30", "dev", f"near-{tag}")
        ip("link", "set", f"near-{tag}", "up")
        ip("-n", name, "address", "add", f"{its}/30", "dev", "out")
        ip("-n", name, "link", "set", "out", "up")
        yield name, its, ours


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=10)


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("ip"), reason="needs root and ip, for another machine"
)
def test_a_machine_that_is_off_is_left_alone(gateway: Gateway) -> None:
    with machine(str(os.getpid())) as (name, its, ours):
        far = Behind(free_port(), "far", its, name)
        with behind(gateway, far, Behind(free_port(), "far")), Drip(gateway, "far") as drip:
            time.sleep(1)
            assert gateway.served_by("far")["far-0"] > 5
            # It hears, and nothing that it sends arrives: no refusal, only silence.
            ip("-n", name, "route", "add", "blackhole", f"{ours}/32")
            since = time.monotonic()
            time.sleep(5.5)
            before = gateway.served_by("far")["far-0"]
            ip("-n", name, "route", "del", "blackhole", f"{ours}/32")
            deadline = time.monotonic() + WITHIN + 2
            while gateway.served_by("far")["far-0"] < before + 5:
                assert time.monotonic() < deadline, "it is not asked again"
    begun = drip.report("a machine silent for 5.5 s", since)
    assert begun
    assert max(begun) < WITHIN


def test_200_streams_at_once(gateway: Gateway) -> None:
    backends = [Behind(free_port(), "many") for _ in range(2)]
    with behind(gateway, *backends, cap=128), ThreadPoolExecutor(200) as crew:
        began = time.monotonic()
        answers = list(crew.map(lambda _: gateway.chat("many", 40, stream=True), range(200)))
        seconds = time.monotonic() - began
        shares = gateway.served_by("many")
    assert {one.status for one in answers} == {200}
    assert all(one.body.endswith(b"data: [DONE]\n\n") for one in answers)
    print(f"200 streams at once: 0 broken, {dict(shares)}, all within {seconds:.1f} s")


def listening(host: str, port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the double did not come up")


def test_a_broken_configuration_never_takes_the_place(gateway: Gateway) -> None:
    """The worst that can be: the door itself is no program any more."""
    before = (gateway.folder / files.ROUTES).read_text()
    door = gateway.folder / files.PLUGIN / "door.go"
    source = door.read_text()
    gateway.member("extra", "http://127.0.0.1:9", "extra")
    try:
        door.write_text("package door\n")
        done = gateway.checkout.inv("gateway.reload", limit=90)
    finally:
        door.write_text(source)
        (gateway.checkout.root / "env" / "extra.env").unlink()
    assert done.returncode == 5
    assert (gateway.folder / files.ROUTES).read_text() == before
    assert gateway.chat("alone").status == 200


def test_a_killed_gateway_is_back(gateway: Gateway) -> None:
    import psutil

    (one,) = [
        process
        for process in psutil.process_iter()
        if process.name() == "traefik" and process.cwd() == str(gateway.folder)
    ]
    one.kill()
    deadline = time.monotonic() + 15
    while True:
        try:
            if gateway.chat("alone").status == 200:
                break
        except (OSError, http.client.HTTPException):
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_backend_elsewhere_cannot_be_started_here(gateway: Gateway) -> None:
    for command in ("up", "down", "restart"):
        done = gateway.checkout.inv(command, "--gpu", "g1")
        assert done.returncode == 7, (command, done.stdout, done.stderr)
        assert "another machine" in done.stderr
