"""The door: who may come in, what may be asked, what is logged."""

import http.client
import json
import select
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from lifecycle import tables
from tests.integration.gateway.running import CHAT, KEYS, OWN, PROMPT, Gateway, question

CHECKS = {"/health", "/v1/models"}
"""What the gateway asks of itself, whether a backend is here or elsewhere."""


def test_models_are_the_union(gateway: Gateway) -> None:
    listed = json.loads(gateway.ask().body)
    assert [entry["id"] for entry in listed["data"]] == ["alone", "org/faulty", "shared"]
    for name in ("org/faulty", "org%2Ffaulty"):  # OpenAI's client sends the second
        assert json.loads(gateway.ask(f"/v1/models/{name}").body)["id"] == "org/faulty"
    assert json.loads(gateway.ask("/v1/models/alone").body)["object"] == "model"
    assert gateway.ask("/v1/models/nobodys").error["code"] == "model_not_found"


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
        name: [seen for seen in one.seen[before[name] :] if seen.path not in CHECKS]
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
    [
        (b"{", "invalid_json"), (b"", "invalid_json"), (b"[]", "invalid_json"),
        (b"null", "invalid_json"), (b'{"model": "alone",}', "invalid_json"),
        (b'{"model": "alone", "temperature": NaN}', "invalid_json"),
        (b'{"model": "alone", "user": "\xff"}', "invalid_encoding"),
        (b'{"model": 3}', "invalid_model"), (b'{"MODEL": "alone"}', "missing_model"),
        (b'{"model": null}', "missing_model"), (b'{"model": ""}', "missing_model"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_used_is_called_what_it_is(
    gateway: Gateway, body: bytes, code: str
) -> None:
    answer = gateway.ask(CHAT, body)
    assert (answer.status, answer.error["code"]) == (400, code)


def test_where_a_body_is_wrong_is_said(gateway: Gateway) -> None:
    said = gateway.ask(CHAT, b'{"model": "alone",}').error["message"]
    assert "not valid JSON" in said
    assert "at byte 19" in said


@pytest.mark.parametrize("written", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_windows_writes_is_read(gateway: Gateway, written: str) -> None:
    body = json.dumps(question("alone", 1, user="Ä€😀"), ensure_ascii=False)
    assert gateway.ask(CHAT, body.encode(written)).status == 200


def test_no_compression_may_be_said_so(gateway: Gateway) -> None:
    asked = question("alone", 1)
    assert gateway.ask(CHAT, asked, **{"Content-Encoding": "identity"}).status == 200
    answer = gateway.ask(CHAT, asked, **{"Content-Encoding": "gzip"})
    assert (answer.status, answer.error["code"]) == (415, "unsupported_encoding")


def test_the_address_may_be_written_as_to_a_proxy(gateway: Gateway) -> None:
    assert gateway.ask("http://anybody/v1/models").status == 200
    assert gateway.ask("http://anybody/metrics").status == 404


def test_health_needs_no_key_and_says_nothing_else(gateway: Gateway) -> None:
    answer = gateway.ask("/health", key="", Authorization="")
    assert (answer.status, answer.body) == (200, b"up\n")
    assert b" 200 " in raw(gateway, "HEAD /health HTTP/1.1\r\nHost: x\r\n")


@pytest.mark.parametrize(
    ("key", "bearer", "status"),
    [
        (KEYS["alice"], "", 200), ("sk-vllm-wrong", "", 401), (KEYS["alice"], KEYS["alice"], 200),
        (KEYS["slow"], KEYS["alice"], 401), ("", "", 401),
    ],
)  # fmt: skip
def test_a_key_may_come_as_anthropics_clients_send_it(
    gateway: Gateway, key: str, bearer: str, status: int
) -> None:
    headers = {"X-Api-Key": key, "Authorization": f"Bearer {bearer}" if bearer else ""}
    assert gateway.ask(key="", **headers).status == status


def test_a_model_is_described_as_vllm_does_but_for_its_path(gateway: Gateway) -> None:
    card = json.loads(gateway.ask("/v1/models/alone").body)
    assert card["root"] == card["id"] == "alone"
    assert card["max_model_len"] == gateway.doubles["single"].settings.max_model_len
    assert abs(card["created"] - time.time()) < 3600
    assert card["owned_by"] == "vllm"
    assert json.loads(gateway.ask().body)["data"][0] == card


@pytest.mark.parametrize(
    "path", ["/v1/embeddings", "/v1/rerank", "/v1/score", "/v1/chat/completions/batch"]
)
def test_what_a_server_does_not_have_is_said_in_openais_shape(gateway: Gateway, path: str) -> None:
    answer = gateway.ask(path, {"model": "alone", "input": "x"})
    assert answer.status == 404
    assert "Not Found" in answer.error["message"]


def test_errors_of_vllm_pass_as_they_are(gateway: Gateway) -> None:
    through = gateway.ask(CHAT, question("alone", 0))
    assert through.status == 400
    assert json.loads(through.body)["error"]["type"] == "BadRequestError"


@pytest.mark.parametrize(
    ("body", "key", "status", "kind"),
    [
        ({"model": "nobodys"}, KEYS["alice"], 404, "not_found_error"),
        ({"model": "alone"}, "sk-vllm-wrong", 401, "authentication_error"),
        (b"{", KEYS["alice"], 400, "invalid_request_error"),
        ({"model": "alone"}, KEYS["alice"], 404, "not_found_error"),  # of the double's {"detail"}
    ],
)  # fmt: skip
def test_errors_have_anthropics_shape_where_its_api_is_called(
    gateway: Gateway, body: object, key: str, status: int, kind: str
) -> None:
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        answer = gateway.ask(path, body, key)
        said = json.loads(answer.body)
        assert (answer.status, said["type"], said["error"]["type"]) == (status, "error", kind)
        assert set(said["error"]) == {"type", "message"}


def test_the_model_of_a_form_decides(gateway: Gateway) -> None:
    """Sound comes so; the double has no ears, and says so."""
    before = len(gateway.doubles["single"].seen)
    field = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    path = "/v1/audio/transcriptions"
    for model, status in (("alone", 404), ("nobodys", 404)):
        body = (field.format("file", "\xff") + field.format("model", model)).encode("latin-1")
        assert gateway.ask(path, body + b"--b--\r\n", **kind).status == status
    seen = gateway.doubles["single"].seen[before:]
    assert [one.status for one in seen if one.path == path] == [404]
    assert gateway.ask(path, b"--b\r\nhalf", **kind).error["code"] == "invalid_form"


def test_one_key_cannot_fill_the_gateway_for_the_others(gateway: Gateway) -> None:
    """Bodies that say they are large and never come take what their own key has, and no more."""
    claimed = tables.gateway.limits().body_bytes
    count = tables.gateway.limits().key_bytes // claimed + 1
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['bulky']}\r\n"
    with ExitStack() as stack:
        crowd = [
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), 5))
            for _ in range(count)
        ]
        for client in crowd:
            client.sendall(f"{head}Content-Length: {claimed}\r\n\r\n{{".encode())
        (refused, *others), _, _ = select.select(crowd, [], [], 20)
        assert not others
        said = refused.recv(4096)
        assert b" 429 " in said
        assert b"too_many_bytes" in said
        assert gateway.chat("alone").status == 200


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
    body = json.dumps(question("org/faulty", 1, user="x" * 8_000_000)).encode()
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


def test_clients_that_never_finish_their_request_keep_nobody_out(gateway: Gateway) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), 5))
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Half: ")
        assert gateway.chat("alone").status == 200
