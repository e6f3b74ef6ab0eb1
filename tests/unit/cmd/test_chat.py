"""A conversation: what is sent, what is kept, what is forgotten."""

from collections.abc import Iterator
from typing import Any

import pytest
from invoke import Context, Exit

from lifecycle import http
from lifecycle.cmd import chat
from lifecycle.errors import ConfigError, ServerUnhealthy

Message = dict[str, str]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[list[Message]]:
    """Every list of messages that went out; the answer to `break` breaks off."""
    seen: list[list[Message]] = []

    def answer(*given: object) -> Iterator[str]:
        messages = given[3]
        assert isinstance(messages, list)
        seen.append(messages)
        yield from ("Pa", "ris")
        if messages[-1]["content"] == "ramble":
            on_cut = given[5]
            assert callable(on_cut)
            on_cut()
        if messages[-1]["content"] == "break":
            raise ServerUnhealthy("the answer broke off")

    monkeypatch.setattr(http, "chat", answer)
    return seen


def talk(system: str = "") -> chat.Conversation:
    return chat.Conversation("http://127.0.0.1:8000", "key", "mine", system, 16)


def contents(messages: list[Message]) -> list[str]:
    return [f"{one['role']}: {one['content']}" for one in messages]


def test_an_answer_is_printed_as_it_comes(sent: list[list[Message]], capsys: Captured) -> None:
    talk().ask("France?")
    assert contents(sent[0]) == ["user: France?"]
    assert capsys.readouterr().out == "Paris\n"


@pytest.mark.usefixtures("sent")
def test_an_answer_that_was_cut_off_names_the_limit(capsys: Captured) -> None:
    talk().ask("ramble")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (
        "Paris\n", "(cut off after 16 tokens; --max-tokens sets how many)\n",
    )  # fmt: skip


def test_what_was_said_before_goes_along(sent: list[list[Message]]) -> None:
    one = talk("Be short.")
    one.ask("France?")
    one.ask("Sure?")
    assert contents(sent[1]) == [
        "system: Be short.", "user: France?", "assistant: Paris", "user: Sure?",
    ]  # fmt: skip


def test_an_answer_that_broke_off_is_not_remembered(sent: list[list[Message]]) -> None:
    one = talk()
    with pytest.raises(ServerUnhealthy):
        one.ask("break")
    one.ask("France?")
    assert contents(sent[1]) == ["user: France?"]


def test_to_begin_anew_forgets_all_but_the_system_message(sent: list[list[Message]]) -> None:
    one = talk("Be short.")
    one.ask("France?")
    one.forget()
    one.ask("Spain?")
    assert contents(sent[1]) == ["system: Be short.", "user: Spain?"]


@pytest.mark.usefixtures("sent")
def test_trouble_in_a_turn_is_told_and_the_conversation_goes_on(capsys: Captured) -> None:
    one = talk()
    for text in ("break", "/new", "", "France?"):
        chat._turn(one, text)
    shown = capsys.readouterr()
    assert shown.err == "✗ the answer broke off\n"
    assert shown.out == "ParisParis\n"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"text": ""}, "the question is empty"),
        ({"text": "  "}, "the question is empty"),
        ({"text": "hi", "max_tokens": -3}, "at least one token"),
        ({"text": "hi", "max_tokens": 0}, "at least one token"),
    ],
)
def test_what_no_server_can_answer_is_refused(
    asked: dict[str, Any], why: str, capsys: Captured
) -> None:
    with pytest.raises(Exit) as ended:
        chat.chat(Context(), **asked)
    assert ended.value.code == ConfigError.exit_code
    assert why in capsys.readouterr().err
