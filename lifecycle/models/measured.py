"""What starts really took, kept for the next estimate: one small file a model, card and engine.

Only figures and settings that shape them are kept: never a prompt, a key or a flag's text.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lifecycle.measured import Measured
from lifecycle.shell import Shell
from lifecycle.step import WriteFile

FOLDER = "measured"
"""Below `LIFECYCLE_HOME`."""
KEPT = 5
"""Starts a file holds, the newest first."""
LENGTH = "MAX_MODEL_LEN"
UTILIZATION = "GPU_MEMORY_UTILIZATION"


@dataclass(frozen=True)
class Subject:
    """What starts are comparable by.

    Args:
        model: `MODEL` of the backend.
        card: the cards' name and number.
        engine: the image, or the name of the engine in a plain environment.
    """

    model: str
    card: str
    engine: str


@dataclass(frozen=True)
class Start:
    """One start.

    Args:
        date: UTC, ISO 8601.
        settings: what was set of the keys that shape memory; a free text only as a fingerprint.
        found: what vLLM said.
    """

    date: str
    settings: Mapping[str, str]
    found: Measured

    @classmethod
    def now(cls, settings: Mapping[str, str], found: Measured) -> "Start":
        """A start of this moment."""
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), dict(settings), found)


class Notes:
    """The starts of one subject that are kept.

    Args:
        home: `LIFECYCLE_HOME`.
    """

    def __init__(self, home: Path, subject: Subject) -> None:
        self._file = path(home, subject)
        self._subject = subject

    def keep(self, start: Start, shell: Shell, tell: Callable[[str], None]) -> None:
        """Write a start down, before those that are kept already.

        A file that cannot be read is told and replaced: these are notes, nothing depends on them.
        """
        kept, problem = _read(self._file)
        if problem:
            tell(f"{problem}; it is replaced")
        starts = [dataclasses.asdict(one) for one in (start, *kept)][:KEPT]
        data = {**dataclasses.asdict(self._subject), "starts": starts}
        shell.write(WriteFile(self._file, json.dumps(data, indent=1) + "\n"))

    def starts(self) -> list[Start]:
        """The newest first; none when the file is missing or broken."""
        return _read(self._file)[0]

    def overhead(
        self, settings: Mapping[str, str], *, total: int | None = None, weights: int | None = None
    ) -> int | None:
        """Bytes of a card's budget that went neither into weights nor into KV cache.

        It is `utilization * total - weights - kv_available` of the newest start that tells it:
        working space, CUDA graphs, the driver's context, NCCL. An estimate takes it instead of
        its own guess. None when no start like this one is known.

        It holds for the same model, card and engine, and the same settings, with two exceptions:
        `GPU_MEMORY_UTILIZATION` only moves what is left, and `MAX_MODEL_LEN` only matters to
        engines before V1: those size their working space by it, V1 by `--max-num-batched-tokens`
        (https://docs.vllm.ai/en/latest/configuration/optimization/#chunked-prefill). It must not
        be carried over to another card, image or number of cards, nor to the CPU, where the KV
        cache is given a size and vLLM measures nothing.

        Args:
            total: a card's memory as the estimate counts it. `nvidia-smi` says 0.4 GiB more of a
                24 GiB card than CUDA lets vLLM see (23.55 GiB in its logs); counted against the
                one and used with the other, the KV cache would come out too large.
            weights: the estimate's own figure: what it is off by then counts as overhead, and the
                sum is right. Both unset: as vLLM says them.
        """
        for one in self.starts():
            found = _overhead(one, total, weights) if _alike(one, settings) else None
            # Nothing takes less than nothing: then the figures are not of one start.
            if found is not None and found > 0:
                return found
        return None


def path(home: Path, subject: Subject) -> Path:
    """The file of a subject: a name for people, and a part that tells all subjects apart."""
    whole = "\n".join(dataclasses.astuple(subject))
    name = "-".join(re.sub(r"[^a-z0-9.]+", "-", word.lower())[-30:] for word in _words(subject))
    return home / FOLDER / f"{name}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}.json"


def _words(subject: Subject) -> tuple[str, str]:
    return subject.model.rstrip("/").rsplit("/", 1)[-1], subject.card


def _overhead(one: Start, total: int | None, weights: int | None) -> int | None:
    found = one.found
    share = found.utilization or float(one.settings.get(UTILIZATION) or 0)
    budget = found.budget
    if total is not None:
        budget = round(share * total) if share else None
    taken = found.weights if weights is None else weights
    return dataclasses.replace(found, budget=budget, weights=taken).overhead


def _alike(one: Start, settings: Mapping[str, str]) -> bool:
    ignored = {UTILIZATION} if one.found.sized_by_length else {UTILIZATION, LENGTH}
    keys = (one.settings.keys() | settings.keys()) - ignored
    return all(one.settings.get(key, "") == settings.get(key, "") for key in keys)


def _read(file: Path) -> tuple[list[Start], str]:
    """The starts in a file, and why it cannot be read."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return [_start(one) for one in data["starts"]], ""
    except FileNotFoundError:
        return [], ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return [], f"{file} cannot be read ({type(error).__name__}: {error})"


def _start(one: Mapping[str, Any]) -> Start:
    # Another version of this program may know more figures, or fewer.
    known = {field.name for field in dataclasses.fields(Measured)}
    found = {name: value for name, value in one["found"].items() if name in known}
    for name, value in found.items():
        if not isinstance(value, bool | int | float | None):
            raise TypeError(f"{name} is {value!r}")
    return Start(str(one["date"]), dict(one["settings"]), Measured(**found))
