"""Asking for known answers: what is asked, how answers are read, what is kept."""

from pathlib import Path
from typing import Any

import pytest

from lifecycle import http
from lifecycle.errors import ServerUnhealthy
from lifecycle.host import Answers, Sanity
from lifecycle.http import Reply
from lifecycle.runtimes import known_answers
from lifecycle.step import CheckAnswers
from tests.unit.given import KEY
from tests.unit.verification import seen

ACTION = CheckAnswers("cpu", "http://127.0.0.1:8000", "mine", KEY, seen.ON_CPU)
FIRST = {"11": {"logprob": -2.0, "rank": 9}, "7": {"logprob": -0.1, "rank": 1}}
"""vLLM 0.32: the token itself comes first, then that of rank 1."""


class Server:
    """Answers by path; notes what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.scored = Reply(200, {"choices": [{"text": " on", "prompt_logprobs": [None, FIRST]}]})
        self.plain = Reply(200, {"choices": [{"text": " on"}]})
        self.chat = Reply(200, {"choices": [{"message": {"content": "Paris."}}]})
        monkeypatch.setattr(http, "post", self._post)

    def _post(self, url: str, path: str, body: dict[str, Any], key: str, limit: float) -> Reply:
        assert (url, key, limit) == (ACTION.url, KEY, known_answers.LIMIT)
        self.asked.append((path, dict(body)))
        if path.endswith("/chat/completions"):
            return self.chat
        return self.scored if "prompt_logprobs" in body else self.plain


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


def test_two_questions_are_asked_greedily(server: Server) -> None:
    known_answers.check(ACTION)
    assert [path for path, _ in server.asked] == ["/v1/completions", "/v1/chat/completions"]
    assert all(body["temperature"] == 0 and body["model"] == "mine" for _, body in server.asked)


def test_a_server_that_does_not_score_is_asked_to_write(server: Server) -> None:
    server.scored = Reply(400, refusal="HTTP 400: prompt_logprobs is not supported")
    verdict = known_answers.check(ACTION)
    assert "prompt_logprobs is not supported" in verdict.reason
    assert [path for path, _ in server.asked].count("/v1/completions") == 2


def test_a_server_without_completions_is_unchecked(server: Server) -> None:
    server.scored = server.chat = Reply(404, refusal="HTTP 404: Not Found")
    assert known_answers.check(ACTION).sanity == Sanity.UNCHECKED


@pytest.mark.parametrize("reply", [
    Reply(0, refusal="connection refused"), Reply(500, refusal="HTTP 500: EngineCore"),
])  # fmt: skip
def test_a_server_that_fails_at_everything_is_unhealthy(server: Server, reply: Reply) -> None:
    server.scored = server.plain = server.chat = reply
    with pytest.raises(ServerUnhealthy, match="does not answer the test questions") as error:
        known_answers.check(ACTION)
    assert error.value.why == reply.refusal


@pytest.mark.parametrize("message", [
    {"content": None, "reasoning": "They ask for"}, {"content": "", "reasoning_content": "They"},
])  # fmt: skip
def test_thinking_aloud_is_an_answer(server: Server, message: dict[str, Any]) -> None:
    server.chat = Reply(200, {"choices": [{"message": message}]})
    assert "in chat it answers" not in known_answers.check(ACTION).reason


@pytest.mark.parametrize("body", [
    {}, {"choices": []}, {"choices": ["text"]}, {"choices": [{}]}, {"choices": None},
    {"choices": [{"text": None, "prompt_logprobs": "none"}]},
    {"choices": [{"text": 3, "prompt_logprobs": [None, {}]}]},
])  # fmt: skip
def test_a_strange_body_is_no_traceback(server: Server, body: dict[str, Any]) -> None:
    server.scored = server.chat = Reply(200, body)
    assert known_answers.check(ACTION).sanity in set(Sanity)


def test_a_verdict_is_kept_for_the_start_it_is_about(tmp_path: Path) -> None:
    verdict = Answers(Sanity.DOUBTFUL, "why", ("one", "two"), 14.2, 14.0, checked=1000.5)
    file = known_answers.record(tmp_path, verdict)
    assert file.mode == 0o600
    file.path.write_text(file.text)
    assert known_answers.read(tmp_path, since=1000) == verdict
    assert known_answers.read(tmp_path, since=1001) == Answers()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"sanity": "mad", "advice": []}', "{}"])
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / known_answers.FILE).write_text(text)
    assert known_answers.read(tmp_path, since=0) == Answers()


def test_no_record_is_none(tmp_path: Path) -> None:
    assert known_answers.read(tmp_path / "absent", since=0) == Answers()
