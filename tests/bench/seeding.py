"""Fetching a model: ours, with every byte verified, against what `hf download` calls, without."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.results import NotMeasured, Rows
from tests.bench.workplace import Workplace, tail
from tests.fake_hub import FakeHub
from tests.integration.checkout import ROOT

MB = 1_000_000
SHARDS = [400 * MB] * 3
SMALL, LARGE = [100 * MB], [1200 * MB]
CONFIGS = 10
LIMIT = 300


def measure(place: Workplace, rows: Rows) -> None:
    root = place.folder / "hub"
    for name, weights in (("shards", SHARDS), ("small", SMALL), ("large", LARGE)):
        _repo(root / "org" / name, weights)
    with _hub(root) as endpoint:
        place.say(
            f"{place.rounds} rounds: 3 files of 400 MB from the stand-in hub, ours, the library's"
        )
        for turn in range(place.rounds):
            for who in ("ours", "library") if turn % 2 else ("library", "ours"):
                done = _seed(place, who, endpoint, "org/shards")
                _note(rows, "seeding", who, sum(SHARDS) / done["seconds"])
                _note(rows, "seeding-memory", who, done["peak"])
        if row := rows.get("seeding-flat"):
            place.say("one file of 100 MB, one of 1200 MB: memory")
            row.reference.append(_seed(place, "ours", endpoint, "org/small")["peak"])
            row.ours.append(_seed(place, "ours", endpoint, "org/large")["peak"])
    if row := rows.get("seeding-again"):
        row.ours.append(_again(place, root))


def _note(rows: Rows, name: str, who: str, number: float) -> None:
    if row := rows.get(name):
        (row.ours if who == "ours" else row.reference).append(number)


def _seed(place: Workplace, who: str, endpoint: str, repo: str) -> dict[str, float]:
    """One seeding into an empty cache; what others left to the disk is written before."""
    cache = place.folder / "cache"
    os.sync()
    try:
        return _once(who, endpoint, repo, cache)
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def _once(who: str, endpoint: str, repo: str, cache: Path) -> dict[str, float]:
    done = subprocess.run(
        (sys.executable, "-m", "tests.bench.seeding_once", who, endpoint, repo, str(cache)),
        cwd=ROOT, env={**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}, text=True,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    if done.returncode:
        raise NotMeasured(f"seeding ({who}) failed: {tail(done.stderr)}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _again(place: Workplace, root: Path) -> int:
    """Requests of a second transfer; whether the revision moved is one more, of `lifecycle/hub`."""
    cache = place.folder / "cache"
    with FakeHub(root) as hub:
        _once("ours", hub.url, "org/small", cache)
        hub.log.clear()
        _once("ours", hub.url, "org/small", cache)
        return len([seen for seen in hub.log.all() if not seen.path.startswith("/api/models/")])


def _repo(folder: Path, weights: list[int]) -> None:
    folder.mkdir(parents=True)
    for number in range(CONFIGS):
        (folder / f"config-{number}.json").write_text(json.dumps({"number": number}))
    for number, size in enumerate(weights):
        with (folder / f"model-{number}.safetensors").open("wb") as stream:
            while size:
                size -= stream.write(os.urandom(min(size, MB)))  # noqa: PLW2901 - counted down


@contextmanager
def _hub(root: Path) -> Iterator[str]:
    """The stand-in in a process of its own: it must not share an interpreter with anybody."""
    process = subprocess.Popen(
        (sys.executable, "-m", "tests.fake_hub", "--root", str(root)), cwd=ROOT, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    try:
        line = process.stdout.readline()
        if not line.startswith("fake hub: "):
            raise NotMeasured("the stand-in hub did not start")
        yield line.removeprefix("fake hub: ").strip()
    finally:
        process.terminate()
        process.communicate(timeout=30)
