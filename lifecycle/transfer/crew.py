"""Who fetches what: a bounded number of connections over ranges and files.

A connection takes the next range that nobody fetches. Several work on one file, for one TCP
connection seldom fills a line; more than one file is at work, so that one's end does not leave
connections idle. A range is long, for each costs a round trip; how much is lost when it breaks off
does not depend on it (see `part`).
"""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lifecycle.errors import HostNotReady, ModelUnavailable
from lifecycle.files import CHECKING, FETCHING, HERE, WAITING, Files
from lifecycle.transfer.cache import Cache
from lifecycle.transfer.failures import told
from lifecycle.transfer.item import MIB, Item
from lifecycle.transfer.part import Claim, Closed, Part
from lifecycle.transfer.source import Body, Broken, OutOfRange, Source, Wait

if TYPE_CHECKING:
    from requests import Session

CONNECTIONS = 8
A_FILE = 4
RANGE = 64 * MIB
TICK = 0.05
ENDING = 5.0
"""Seconds that connections get to end when the work stops: one may be waiting for an answer."""


class _Job:
    """One content that must come, and how it has been going."""

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self.item = items[0]
        self.part: Part | None = None
        self.keeper: threading.Thread | None = None
        self.done = False
        self.corrupt = 0
        self.failures = 0
        self.not_before = 0.0
        self.unranged = 0


class Crew:
    """Fetches what is missing into a cache.

    Args:
        missing: items by the name of their content; those of one name have the same.
        files: is kept up to date.
    """

    def __init__(
        self, missing: dict[str, list[Item]], cache: Cache, source: Source, files: Files
    ) -> None:
        # Small ones first: a refusal is told at once, and long ones end with company.
        self._jobs = sorted((_Job(items) for items in missing.values()), key=_size)
        self._cache = cache
        self._source = source
        self._files = files
        self._changed = threading.Condition()
        self._failure: Exception | None = None
        self._stopped = False
        self._not_before = 0.0
        self._bodies: set[Body] = set()
        self._threads: list[threading.Thread] = []

    def run(self, tick: Callable[[], None]) -> None:
        """Until everything is in the cache.

        Raises:
            LifecycleError: as `fetch` says; what has come so far is kept.
        """
        self._threads = [
            threading.Thread(target=self._work, name="fetch", daemon=True)
            for _ in range(CONNECTIONS)
        ]
        try:
            for thread in self._threads:
                thread.start()
            while not self._over():
                time.sleep(TICK)
                self._show()
                tick()
        finally:
            self._stop()
        if self._failure:
            raise self._failure

    def _over(self) -> bool:
        """Asked, as all of `run`'s loop, without a lock: Ctrl-C could leave it locked for ever.

        https://github.com/python/cpython/issues/74174
        """
        return bool(self._failure) or all(job.done for job in self._jobs)

    def _work(self) -> None:
        """One connection's life."""
        with self._source.session() as session:
            try:
                while turn := self._next():
                    job, part, claim = turn
                    try:
                        self._fetch(session, part, claim)
                    except Wait as wait:
                        self._pause(wait)
                    except Broken as problem:
                        self._again(job, part, claim, problem)
                    except Closed:
                        pass
                    else:
                        job.failures = 0
                    finally:
                        part.drop(claim)
                        with self._changed:
                            self._changed.notify_all()
            except Exception as error:  # noqa: BLE001 - raised again where a person can see it
                self._fail(error)

    def _fetch(self, session: "Session", part: Part, claim: Claim) -> None:
        """Bring a claim's bytes.

        Raises:
            Wait, Broken, Refused: see `Source.open`.
            Closed: they are not wanted any more.
            OSError: they cannot be written.
        """
        start, end = (0, part.item.size) if part.whole else (claim.at, claim.end)
        body = self._source.open(session, part.item, start, end)
        with self._changed:
            self._bodies.add(body)
        try:
            if not part.seen(claim, body.etag) or (body.whole and not part.send_whole(claim)):
                raise Closed
            for _ in body.pieces(claim.at - body.start):
                self._check_on()
            for piece in body.pieces(claim.end - claim.at):
                part.write(claim, piece)
                self._count(len(piece))
        finally:
            with self._changed:
                self._bodies.discard(body)
            body.close()

    def _check_on(self) -> None:
        if self._stopped:
            raise Closed

    def _count(self, count: int) -> None:
        with self._changed:
            self._files.fetched += count
            self._files.note = ""

    def _next(self) -> tuple[_Job, Part, Claim] | None:
        """What a free connection does now; None when there is nothing more to do."""
        with self._changed:
            while not self._stopped and not all(job.done for job in self._jobs):
                now = time.monotonic()
                if now >= self._not_before and (turn := self._turn(now)):
                    return turn
                self._changed.wait(TICK)
            return None

    def _turn(self, now: float) -> tuple[_Job, Part, Claim] | None:
        open_ones = [job for job in self._jobs if job.part and not job.done]
        for job in open_ones:
            assert job.part  # noqa: S101 - for mypy
            if now < job.not_before or job.part.busy >= A_FILE:
                continue
            if claim := job.part.claim(RANGE):
                return job, job.part, claim
        waiting = next((job for job in self._jobs if not job.part and not job.done), None)
        if waiting and len(open_ones) < CONNECTIONS:
            part = self._begin(waiting)
            if claim := part.claim(RANGE):
                return waiting, part, claim
        return None

    def _begin(self, job: _Job) -> Part:
        part = job.part = Part(self._cache.place.blobs, job.item)
        job.keeper = threading.Thread(target=self._keep, args=(job, part), daemon=True)
        job.keeper.start()
        return part

    def _keep(self, job: _Job, part: Part) -> None:
        """Keep a file until it is complete, then take it in."""
        part.keep()
        try:
            if part.failure:
                self._fail(part.failure)
            elif part.complete and self._cache.accept(part, self._files):
                job.done = True
            elif part.complete:
                self._corrupt(job)
        except OSError as error:
            self._fail(error)
        with self._changed:
            self._changed.notify_all()

    def _corrupt(self, job: _Job) -> None:
        """The bytes were wrong and are out of the way: once more, from the beginning."""
        job.corrupt += 1
        if job.corrupt == 1:
            job.part = None
            return
        self._fail(
            ModelUnavailable(
                f"{job.item.path} failed verification twice (its digest is not {job.item.digest})",
                why="the server, or something on the way to it, changes what it sends",
                fix="Run the same command again later or with a different HF_ENDPOINT; if that "
                "does not help, report it.",
            )
        )

    def _pause(self, wait: Wait) -> None:
        """Everybody waits, as the server says: it counts our requests, not our threads."""
        if wait.seconds > self._source.patience.told:
            self._fail(
                HostNotReady(
                    str(wait), why=f"it asks us to come back in {wait.seconds / 60:.0f} minutes",
                    fix="Run the same command again then: it goes on where it stopped.",
                )
            )  # fmt: skip
            return
        with self._changed:
            until = time.monotonic() + wait.seconds
            if until < self._not_before + 1:
                return  # another connection was told the same
            self._not_before = until
            self._files.note = f"{wait}: waiting {wait.seconds:.0f} s, as it says"
            self._files.events.append(self._files.note)

    def _again(self, job: _Job, part: Part, claim: Claim, problem: Broken) -> None:
        """Let a file rest before it is tried again.

        Connections of one file break together: within one rest they count once.
        """
        patience = self._source.patience
        with self._changed:
            now = time.monotonic()
            if now < job.not_before:
                return
            job.failures = 1 if claim.moved else job.failures + 1
            job.unranged += isinstance(problem, OutOfRange)
            part.whole = part.whole or job.unranged > 1
            rest = patience.before(job.failures)
            job.not_before = now + rest
            self._files.note = f"{problem}: again in {rest:.1f} s"
        if job.failures >= patience.tries:
            self._fail(
                HostNotReady(
                    f"could not download {job.item.path}", why=f"{problem} ({job.failures} times)",
                    fix="Check the network (a proxy is read from HTTPS_PROXY), then run the same "
                    "again: it goes on where it stopped.",
                )
            )  # fmt: skip

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._failure = self._failure or told(error, self._cache.place.blobs)
            self._stopped = True
            self._changed.notify_all()

    def _stop(self) -> None:
        """End all threads; what came so far is synced and noted before."""
        with self._changed:
            self._stopped = True
            bodies = list(self._bodies)
            self._changed.notify_all()
        open_parts = [(job.part, job.keeper) for job in self._jobs if job.part and not job.done]
        for part, _ in open_parts:
            part.stop()
        for body in bodies:
            body.wake()
        deadline = time.monotonic() + ENDING
        for thread in self._threads:
            if thread.is_alive():  # Ctrl-C may have come before it was started
                thread.join(max(0.0, deadline - time.monotonic()))
        for part, keeper in open_parts:
            if keeper:
                keeper.join()
            # A thread that still waits for an answer finds the part stopped, and writes nothing.
            part.close()
        self._show()

    def _show(self) -> None:
        for job in self._jobs:
            part = job.part
            done = job.item.size if job.done else part.done if part else 0
            for item in job.items:
                shown = self._files.files[item.path]
                shown.done, shown.state = done, _state(job, done)


def _state(job: _Job, done: int) -> str:
    if job.done:
        return HERE
    if not job.part:
        return WAITING
    return CHECKING if done == job.item.size else FETCHING


def _size(job: _Job) -> int:
    return job.item.size
