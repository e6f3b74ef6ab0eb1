"""The pace of generation: who runs, who waits, what is counted, what a lost client ends."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from tests.fake_vllm import errors, metrics
from tests.fake_vllm.faults import Fault
from tests.fake_vllm.metrics import Metrics
from tests.fake_vllm.parameters import Wanted
from tests.fake_vllm.sampling import Choice, sample
from tests.fake_vllm.settings import Settings
from tests.fake_vllm.wire import DropConnectionError, Gone


class ClientGoneError(DropConnectionError):
    """The client closed its connection; nobody waits for the answer."""


@dataclass(frozen=True)
class Step:
    """What one token adds to one choice."""

    choice: Choice
    text: str
    last: bool


class _Account:
    """One request's entries in the metrics."""

    def __init__(self, books: Metrics, wanted: Wanted, choices: list[Choice]) -> None:
        self._books = books
        self._wanted = wanted
        self._choices = choices
        self._arrived = self._previous = time.monotonic()
        self._tokens = 0
        self._state = metrics.WAITING
        books.add(metrics.WAITING)

    def start(self) -> None:
        """Leave the queue."""
        self._books.add(metrics.WAITING, -1)
        self._books.add(metrics.RUNNING)
        self._state = metrics.RUNNING
        self._books.observe(metrics.QUEUED, time.monotonic() - self._arrived)
        self._books.add(metrics.PROMPT_TOKENS, self._wanted.prompt_tokens)

    def token(self) -> None:
        """Count one token."""
        now = time.monotonic()
        name = metrics.BETWEEN_TOKENS if self._tokens else metrics.FIRST_TOKEN
        self._books.observe(name, now - self._previous)
        self._books.add(metrics.GENERATION_TOKENS)
        self._previous = now
        self._tokens += 1

    def finish(self) -> None:
        """Count a request that came to its end."""
        for choice in self._choices:
            self._books.add(metrics.SUCCESS, 1, choice.finish_reason)
        self._books.observe(metrics.END_TO_END, time.monotonic() - self._arrived)
        self._books.observe(metrics.REQUEST_PROMPT_TOKENS, self._wanted.prompt_tokens)
        self._books.observe(metrics.REQUEST_GENERATION_TOKENS, self._tokens)

    def close(self) -> None:
        """Leave, finished or not."""
        self._books.add(self._state, -1)


class Engine:
    """Generates for many clients at once and keeps the books."""

    def __init__(self, settings: Settings, books: Metrics) -> None:
        self.settings = settings
        self._metrics = books
        self._slots = asyncio.Semaphore(settings.max_num_seqs)
        self._only_slot = asyncio.Semaphore(1)
        self._in_flight = 0

    def choices(self, wanted: Wanted) -> list[Choice]:
        """Return the answers of the model; this is where load can do harm."""
        busy = self._in_flight > 0
        if busy and self.settings.has(Fault.FAILS_UNDER_LOAD):
            raise errors.internal("EngineCore encountered an issue.")
        mixed_up = busy and self.settings.has(Fault.MIXES_UNDER_LOAD)
        return sample(wanted, self.settings, mixed_up=mixed_up)

    async def run(
        self, wanted: Wanted, choices: list[Choice], gone: Gone
    ) -> AsyncGenerator[Step, None]:
        """Yield the tokens of all choices at the model's pace."""
        with self._accounted(wanted, choices) as account:
            async with self._slot(gone):
                account.start()
                await self._pause(self.settings.prefill_seconds, gone)
                for number in range(max(choice.tokens for choice in choices)):
                    if number:
                        await self._pause(self.settings.token_seconds, gone)
                    for choice in choices:
                        if number < choice.tokens:
                            account.token()
                            yield _step(choice, number)
            account.finish()

    @contextmanager
    def _accounted(self, wanted: Wanted, choices: list[Choice]) -> Iterator[_Account]:
        account = _Account(self._metrics, wanted, choices)
        self._in_flight += 1
        try:
            yield account
        finally:
            self._in_flight -= 1
            account.close()

    @asynccontextmanager
    async def _slot(self, gone: Gone) -> AsyncIterator[None]:
        slots = self._only_slot if self.settings.has(Fault.SERIALISES) else self._slots
        while slots.locked():
            await self._pause(self.settings.token_seconds, gone)
        async with slots:
            yield

    async def _pause(self, seconds: float, gone: Gone) -> None:
        await asyncio.sleep(seconds)
        if gone():
            raise ClientGoneError


def _step(choice: Choice, number: int) -> Step:
    text = choice.pieces[number] if number < len(choice.pieces) else ""
    return Step(choice, text, number == choice.tokens - 1)
