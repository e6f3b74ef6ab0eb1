"""What applications rely on: sampling parameters, conversations, system prompts.

Every prompt was tried on the smallest model the project serves, so a failure is the server's. Where
an answer must be right, the second choice is behind by 1 nat or more at each of its tokens.
"""

import openai
import pytest

from smoke.server import MESSAGES, Server

pytestmark = pytest.mark.functional

POEM = "Write a poem."
SECRET = "Say the secret word."  # noqa: S105 - a question
SAMPLING = [
    {"temperature": 0.7},
    {"top_p": 0.9},
    {"seed": 7},
    {"presence_penalty": 0.5},
    {"frequency_penalty": 0.5},
]
IMPOSSIBLE = [
    {"temperature": -1},
    {"top_p": 2},
    {"presence_penalty": 5},
    {"frequency_penalty": -5},
    {"max_tokens": 0},
    {"n": 0},
]


def name_of(parameters: dict[str, float]) -> str:
    return next(iter(parameters))


@pytest.mark.parametrize("parameters", SAMPLING, ids=name_of)
def test_parameter_is_accepted(server: Server, parameters: dict[str, float]) -> None:
    text = server.text(POEM, **{"temperature": 1, **parameters})
    assert text, f"{parameters} gave an empty answer"


@pytest.mark.parametrize("parameters", IMPOSSIBLE, ids=name_of)
def test_impossible_value_is_400(server: Server, parameters: dict[str, float]) -> None:
    with pytest.raises(openai.BadRequestError):
        server.ask(POEM, **{"temperature": 1, **parameters})


def test_same_seed_gives_the_same_answer(server: Server) -> None:
    texts = {server.text(POEM, temperature=1, seed=7) for _ in range(2)}
    assert len(texts) == 1, f"seed=7 gave two answers: {sorted(texts)}"


def test_seeds_give_different_answers(server: Server) -> None:
    texts = {server.text(POEM, temperature=1, seed=seed) for seed in (1, 2, 3)}
    assert len(texts) > 1, f"temperature=1 and three seeds gave one answer: {texts}"


def test_n_gives_as_many_answers(server: Server) -> None:
    indexes = [c.index for c in server.ask(POEM, temperature=1, seed=7, n=3).choices]
    assert sorted(indexes) == [0, 1, 2], f"n=3 gave the choices {indexes}"


def test_earlier_turns_are_remembered(server: Server) -> None:
    talk = turns(
        user="What is the capital of France?",
        assistant="The capital of France is Paris.",
    )
    text = server.text([*talk, *turns(user="And of Germany?")])
    assert "Berlin" in text, f"asked for France, then 'And of Germany?', and got {text!r}"
    alone = server.text("And of Germany?")
    assert text != alone, f"with and without the earlier turns the answer is {alone!r}"


def test_an_earlier_answer_is_recalled(server: Server) -> None:
    talk = turns(user="My name is Alice.", assistant="Your name is Alice.")
    text = server.text([*talk, *turns(user="Repeat that.")])
    assert "Alice" in text, f"was told the name Alice, was to repeat it, and said {text!r}"


def test_system_prompt_is_obeyed(server: Server) -> None:
    told = turns(system="The secret word is banana.", user=SECRET)
    text = server.text(told)
    assert "banana" in text.lower(), f"the system prompt said banana, the answer is {text!r}"
    alone = server.text(SECRET)
    assert "banana" not in alone.lower(), f"nobody said banana, and yet the answer is {alone!r}"


def test_system_prompt_is_counted(server: Server) -> None:
    # Two lengths: a chat template may put a prompt of its own where there is none.
    short = prompt_tokens(server, "Be kind.")
    long = prompt_tokens(server, "Be kind. " * 10)
    assert long >= short + 18, f"ten times the system prompt: {short} tokens became {long}"


def prompt_tokens(server: Server, system: str) -> int:
    usage = server.ask(turns(system=system, user="Hello."), max_tokens=1).usage
    assert usage is not None, "the answer has no usage"
    return usage.prompt_tokens


def turns(**said: str) -> MESSAGES:
    return [{"role": role, "content": text} for role, text in said.items()]
