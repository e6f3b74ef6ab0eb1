"""`inv chat`: one question, or a conversation."""

import sys
from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd.command import command, positional_if_given

if TYPE_CHECKING:
    from pathlib import Path


@command(
    positional=positional_if_given("chat", "text", sys.argv),
    help={
        "text": "what to ask; without it, a conversation",
        "gpu": "which backend, when several run",
        "system": "a system message before the conversation",
        "max_tokens": "the longest answer, in tokens; a longer one is cut off, and that is said",
    },
)
def chat(
    context: Context,
    text: str | None = None,
    gpu: str = "auto",
    system: str = "",
    max_tokens: int = 512,
) -> None:
    """Ask the running server; the answer appears as it is made."""
    del context
    from lifecycle.cmd import choose

    _require(text, max_tokens)
    where = choose.places()
    backend, server = choose.ready(gpu, where)
    talk = Conversation(backend.url, backend.api_key, server.models[0], system, max_tokens)
    if text:
        talk.ask(text)
    else:
        _converse(talk, where.run(backend.name) / "chat_history")


def _require(text: str | None, max_tokens: int) -> None:
    """Refuse what no server can answer.

    Raises:
        ConfigError: the question is empty, or the answer may have no token.
    """
    from lifecycle.errors import ConfigError

    if max_tokens < 1:
        raise ConfigError(
            f"--max-tokens={max_tokens}: an answer has at least one token",
            fix="Name a larger number, or leave it out for 512.",
        )
    if text is not None and not text.strip():
        raise ConfigError(
            "the question is empty",
            fix='Ask something: inv chat "Hello". For a conversation type no question: inv chat',
        )


class Conversation:
    """Messages so far, and the server they go to."""

    def __init__(self, url: str, key: str, model: str, system: str, limit: int) -> None:
        self.model = model
        self._url, self._key, self._limit = url, key, limit
        self._system = [{"role": "system", "content": system}] if system else []
        self._messages: list[dict[str, str]] = [*self._system]

    def ask(self, text: str) -> None:
        """Print the answer as it comes; an interrupted one is not remembered."""
        from lifecycle import http, report

        cut: list[bool] = []
        messages = [*self._messages, {"role": "user", "content": text}]
        answer = ""
        pieces = http.chat(
            self._url, self._key, self.model, messages, self._limit, lambda: cut.append(True)
        )
        for piece in pieces:
            answer += piece
            sys.stdout.write(piece)
            sys.stdout.flush()
        sys.stdout.write("\n")
        if cut:
            report.note(f"(cut off after {self._limit} tokens; --max-tokens sets how many)")
        self._messages = [*messages, {"role": "assistant", "content": answer}]

    def forget(self) -> None:
        """Begin anew."""
        self._messages = [*self._system]


def _converse(talk: Conversation, history: "Path") -> None:
    from lifecycle import report

    if not sys.stdin.isatty():
        for line in sys.stdin:
            if line.strip():
                talk.ask(line.strip())
        return
    report.note(f"{talk.model}  ·  /new begins anew, Ctrl-D ends")
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory

    history.parent.mkdir(parents=True, exist_ok=True)
    history.touch(mode=0o600)
    session: PromptSession[str] = PromptSession(history=FileHistory(str(history)))
    while True:
        try:
            text = session.prompt("> ").strip()
        except (EOFError, KeyboardInterrupt):
            return
        _turn(talk, text)


def _turn(talk: Conversation, text: str) -> None:
    from lifecycle import report
    from lifecycle.errors import LifecycleError

    if text == "/new":
        talk.forget()
    elif text:
        try:
            talk.ask(text)
        except KeyboardInterrupt:
            report.note("\n(stopped)")
        except LifecycleError as error:
            report.failure(error)
