"""From a request to its answers: the tokens of every choice and why each one ends."""

import itertools
import random
from dataclasses import dataclass

from tests.fake_vllm import model, tokenizer
from tests.fake_vllm.faults import Fault
from tests.fake_vllm.parameters import Wanted
from tests.fake_vllm.settings import Settings

ANSWERS = itertools.count(1)


@dataclass(frozen=True)
class Choice:
    """One answer: its pieces in the order they are generated, and how it ends."""

    index: int
    pieces: tuple[str, ...]
    finish_reason: str
    stop_reason: str | None
    tokens: int

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.pieces)

    @property
    def ends_silently(self) -> bool:
        """Whether the last token is the end mark, which has no text of its own."""
        return self.tokens > len(self.pieces)


def sample(wanted: Wanted, settings: Settings, *, mixed_up: bool = False) -> list[Choice]:
    """Return the answers a request gets from the possibly broken model."""
    if broken := _broken(wanted, settings, mixed_up=mixed_up):
        texts = [broken] * wanted.n
    else:
        texts = [_text(wanted, _dice(wanted, settings, index)) for index in range(wanted.n)]
    if settings.has(Fault.NONDETERMINISTIC):
        # Dice would now and then fall the same way twice; a number never does.
        texts = [f"{next(ANSWERS)}. {text}" for text in texts]
    return [_choice(index, text, wanted, settings) for index, text in enumerate(texts)]


def _broken(wanted: Wanted, settings: Settings, *, mixed_up: bool) -> str:
    """Return what a broken model says to everything; "" when it is not broken so."""
    if settings.has(Fault.WRONG_ANSWER) or mixed_up:
        return model.WRONG
    if settings.has(Fault.GARBAGE):
        return model.garbage(wanted.prompt or wanted.messages[-1].text)
    if settings.has(Fault.STUCK_TOKEN) or settings.has(Fault.NOT_A_NUMBER):
        return model.STUCK
    if settings.has(Fault.CHAT_GARBAGE) and not wanted.prompt:
        return model.TEMPLATE
    return ""


def _text(wanted: Wanted, dice: random.Random | None) -> str:
    if wanted.prompt:
        return model.complete(wanted.prompt, dice)
    return model.answer(wanted.messages, dice)


def _dice(wanted: Wanted, settings: Settings, index: int) -> random.Random | None:
    """Return what decides between likely words; greedy sampling needs nothing."""
    if wanted.temperature == 0 or settings.has(Fault.IGNORES_TEMPERATURE):
        return None
    if wanted.seed is None or settings.has(Fault.IGNORES_SEED):
        return random.Random()
    return random.Random(wanted.seed * 1000 + index)


def _choice(index: int, text: str, wanted: Wanted, settings: Settings) -> Choice:
    pieces = tokenizer.split(text)
    limit = len(pieces) + 1 if settings.has(Fault.IGNORES_MAX_TOKENS) else wanted.max_tokens
    finish, stop_reason, tokens = "stop", None, len(pieces) + 1
    if tokens > limit:
        pieces, finish, tokens = pieces[:limit], "length", limit
    found = None if settings.has(Fault.IGNORES_STOP) else _first_stop("".join(pieces), wanted.stop)
    if found:
        end, stop_reason = found
        tokens = tokenizer.count("".join(pieces)[: end + len(stop_reason)])
        pieces, finish = tokenizer.split("".join(pieces)[:end]), "stop"
    return Choice(index, tuple(pieces), finish, stop_reason, tokens)


def _first_stop(text: str, stops: tuple[str, ...]) -> tuple[int, str] | None:
    """Return where the earliest stop string begins, and which one it is."""
    found = [(text.index(stop), stop) for stop in stops if stop and stop in text]
    return min(found, default=None)
