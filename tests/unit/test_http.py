"""What a server may answer: good, odd, or nothing an API would say. No sockets."""

import io
import json
from collections.abc import Callable
from http import HTTPStatus

import pytest
import requests

from lifecycle import http
from lifecycle.backend import Backend
from lifecycle.env_file import Setting
from lifecycle.errors import ServerUnhealthy
from lifecycle.host import Launch
from lifecycle.runtimes import answer as answers
from tests.unit.given import KEY, backend

URL = "http://127.0.0.1:8000"
Say = Callable[..., None]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Have the server answer every question with these bytes."""

    def set_answer(body: str | bytes, status: int = 200) -> None:
        def send(*_: object, **__: object) -> requests.Response:
            answer = requests.Response()
            answer.status_code = status
            answer.reason = HTTPStatus(status).phrase
            answer.raw = io.BytesIO(body.encode() if isinstance(body, str) else body)
            return answer

        monkeypatch.setattr(requests.Session, "send", send)

    return set_answer


def chat(key: str = KEY) -> str:
    return "".join(http.chat(URL, key, "m", [{"role": "user", "content": "Hi"}], 8))


def events(*data: object) -> str:
    said = [one if isinstance(one, str) else json.dumps(one) for one in data]
    return "".join(f"data: {one}\n\n" for one in (*said, "[DONE]"))


def delta(**content: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": content}]}


def test_a_stream_is_read_piece_by_piece(say: Say) -> None:
    parts: tuple[dict[str, object], ...] = (
        delta(role="assistant", content=""),
        delta(content="é"),
        {"choices": []},
    )
    say(events(*parts, delta(content=None), delta(content="!")))
    assert chat() == "é!"


@pytest.mark.parametrize(("reason", "cut"), [("length", 1), ("stop", 0), (None, 0)])
def test_an_answer_that_was_cut_off_is_told(say: Say, reason: str | None, cut: int) -> None:
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    say(events(delta(content="a"), last))
    calls: list[int] = []
    messages = [{"role": "user", "content": "Hi"}]
    assert "".join(http.chat(URL, KEY, "m", messages, 8, lambda: calls.append(1))) == "a"
    assert len(calls) == cut


def test_comments_and_other_fields_of_a_stream_are_passed_by(say: Say) -> None:
    say(f": ping\n\nevent: x\nid: 1\ndata:{json.dumps(delta(content='a'))}\n\ndata: [DONE]\n\n")
    assert chat() == "a"


@pytest.mark.parametrize(
    "event",
    [
        "{bad json",
        "[]",
        "null",
        "7",
        '"text"',
        "",
        [{"choices": []}],
        {},
        {"choices": None},
        {"choices": {}},
        {"choices": {"a": 1}},
        {"choices": [None]},
        {"choices": ["x"]},
        {"choices": [{}]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": []}]},
        {"choices": [{"delta": {"content": 7}}]},
        {"choices": [{"delta": {"content": ["a"]}}]},
        "[" * 9000,
        '{"choices": ' + "9" * 5000 + "}",
    ],
)
def test_what_is_no_event_of_a_chat_is_one_clear_failure(say: Say, event: object) -> None:
    say(events(delta(content="so far"), event))
    with pytest.raises(ServerUnhealthy, match="streams something that is no chat") as caught:
        chat()
    assert caught.value.fix
    assert len(caught.value.why) < 400


def test_an_error_in_the_stream_is_told_in_its_own_words(say: Say) -> None:
    say(events({"error": {"message": "out of blocks"}}))
    with pytest.raises(ServerUnhealthy, match="the server broke off") as caught:
        chat()
    assert "out of blocks" in caught.value.why


@pytest.mark.parametrize("body", ["", "<html>", '{"choices": []}', ": ping\n\n"])
def test_a_stream_without_an_end_mark_broke_off(say: Say, body: str) -> None:
    say(body)
    with pytest.raises(ServerUnhealthy, match="the answer broke off") as caught:
        chat()
    assert "no end mark" in caught.value.why


@pytest.mark.parametrize(
    "body",
    ["[]", "{", "null", '{"error": 1}', "[" * 9000, "\udcff".encode("utf-8", "surrogateescape")],
)
def test_a_refusal_in_any_shape_is_told(say: Say, body: str | bytes) -> None:
    say(body, 400)
    with pytest.raises(ServerUnhealthy, match="the server answered HTTP 400"):
        chat()


@pytest.mark.parametrize(
    "body", ["[]", "{", "null", '{"usage": []}', '{"usage": null}', "[" * 9000]
)
def test_a_generation_in_any_shape_is_told(say: Say, body: str) -> None:
    say(body)
    assert http.generation(URL, KEY, "m").startswith("a short generation came back")


@pytest.mark.parametrize("body", ["[]", "{", "null", '{"data": [7]}', '{"data": 7}', "[" * 9000])
def test_models_in_any_shape_are_none(say: Say, body: str) -> None:
    say(body)
    assert http.models(URL, KEY) is None


UNSENDABLE = ["\u201cdistinctive\u201d", "密码distinctive", "distinctive\r", "distinctive ", "é"]


@pytest.mark.parametrize("key", UNSENDABLE)
def test_a_key_that_cannot_be_sent_is_a_failure_that_does_not_repeat_it(say: Say, key: str) -> None:
    say(events(delta(content="a")))
    for ask in (lambda: chat(key), lambda: http.models(URL, key)):
        with pytest.raises(ServerUnhealthy, match="the key cannot be sent") as caught:
            ask()
        assert "distinctive" not in f"{caught.value.why}{caught.value.fix}"
    refusal = http.post(URL, "/tokenize", {}, key, 1).refusal
    for why in (http.generation(URL, key, "m"), refusal):
        assert "the key cannot be sent" in why
        assert "distinctive" not in why


@pytest.mark.parametrize("key", UNSENDABLE)
def test_a_look_at_a_server_does_not_raise_whatever_the_key_is(say: Say, key: str) -> None:
    say("{}")
    one = backend()
    odd = Backend(one.name, {**one.settings, "VLLM_API_KEY": Setting(key, "a test")})
    phase, models, why = answers.look(odd, Launch(), "")
    assert (phase, models) == ("unanswering", ())
    assert "the key cannot be sent" in why


@pytest.mark.parametrize("body", ["[1]", "{", "null", "7", "[" * 9000])
def test_a_posted_question_never_raises(say: Say, body: str) -> None:
    say(body)
    assert http.post(URL, "/tokenize", {}, KEY, 1).refusal.startswith("no JSON object")


def test_a_proxy_that_says_nothing_is_told_by_its_status(say: Say) -> None:
    say(" \n", status=502)
    assert http.post(URL, "/v1/completions", {}, KEY, 1).refusal == "HTTP 502: Bad Gateway"
