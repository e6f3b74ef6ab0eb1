"""Clients: as many requests as go, or one every moment whatever becomes of those before."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Self

from tests.integration.gateway.running import CHAT, KEYS, Gateway, question

BROKEN = (OSError, http.client.HTTPException)


class Load:
    """POSTs on kept connections from several threads until it is told to end."""

    def __init__(self, gateway: Gateway, model: str, threads: int) -> None:
        self._port, self._body = gateway.port, json.dumps(question(model, 1)).encode()
        self._end = threading.Event()
        self._counts: list[Counter[str]] = [Counter() for _ in range(threads)]
        self._crew = [threading.Thread(target=self._run, args=(one,)) for one in self._counts]

    def __enter__(self) -> Self:
        for thread in self._crew:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._crew:
            thread.join(40)

    @property
    def count(self) -> int:
        return sum(one.total() for one in self._counts)

    def more(self, count: int, limit: float = 60) -> None:
        """Wait until so many more have been answered."""
        wanted, deadline = self.count + count, time.monotonic() + limit
        while self.count < wanted:
            assert time.monotonic() < deadline, f"only {self.count} of {wanted}"
            time.sleep(0.02)

    def report(self, what: str) -> None:
        """Print how many came, after making sure that none failed."""
        statuses = sum(self._counts, Counter())
        assert set(statuses) == {"200"}, statuses
        print(f"{what}: 0 of {self.count:,} POSTs failed")

    def _run(self, statuses: Counter[str]) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as client:
            while not self._end.is_set():
                statuses[self._ask(client)] += 1

    def _ask(self, client: http.client.HTTPConnection) -> str:
        headers = {"Authorization": f"Bearer {KEYS['alice']}"}
        try:
            client.request("POST", CHAT, self._body, headers)
            response = client.getresponse()
            response.read()
        except BROKEN as error:
            client.close()
            return repr(error)
        return str(response.status)


class Drip:
    """A request every 50 ms, whatever becomes of those before: one that waits holds up nobody."""

    def __init__(self, gateway: Gateway, model: str) -> None:
        self._gateway, self._model = gateway, model
        self._took: list[tuple[float, float, str]] = []
        self._sent = 0
        self._turn = threading.Lock()
        self._end = threading.Event()
        self._pacer = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._pacer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._pacer.join(60)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing is on its way."""
        with self._turn:
            while len(self._took) < self._sent:
                time.sleep(0.005)
            yield

    def _run(self) -> None:
        with ThreadPoolExecutor(300) as crew:
            while not self._end.wait(0.05):
                with self._turn:
                    self._sent += 1
                    crew.submit(self._ask)

    def _ask(self) -> None:
        began = time.monotonic()
        try:
            got = str(self._gateway.chat(self._model, 1).status)
        except BROKEN as error:
            got = repr(error)
        self._took.append((began, time.monotonic() - began, got))

    def report(self, what: str, since: float) -> list[tuple[float, float]]:
        """Print what became of all, after making sure that none failed.

        Returns those that took more than 1 s: when they began, after an event, and their seconds.
        """
        assert {got for *_, got in self._took} == {"200"}, self._took
        slow = [(began - since, seconds) for began, seconds, _ in self._took if seconds > 1]
        print(
            f"{what}: 0 of {len(self._took)} failed, {len(slow)} took more than 1 s, the longest "
            f"{max((seconds for _, seconds in slow), default=0):.1f} s; the last of them began "
            f"{max((began for began, _ in slow), default=0):.1f} s after it"
        )
        return slow
