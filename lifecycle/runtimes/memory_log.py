"""Read vLLM's own memory figures off its log: what a start took, or what it lacked.

Own code, because vLLM tells them nowhere else: `/metrics` knows blocks, not bytes, and a server
that failed has no `/metrics`. The words of each version are rows of `data/memory_log.toml`.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from lifecycle.host import GIB
from lifecycle.measured import Measured, Shortage
from lifecycle.tables.rows import load_rows

FILE = "memory_log.toml"
PROCESS = re.compile(r"\(([\w= ]*\bpid=\d+)\)")
"""A line's prefix names its process; with two of them the inner one is the worker."""
BEGINS = "non-default args:"
"""Every start prints it once, before all else: a container's log holds the starts before, too."""
OF_ALL = ("kv_tokens", "blocks", "concurrency", "at_length")
"""Figures of the whole server. Where it tells them once for each card, the smallest holds."""
BLOCK_SIZES = (8, 16, 32, 64, 128, 256)
ROUNDED = 0.005
"""vLLM prints GiB with two decimals."""
LENGTH_STEP = 16
"""Lengths by proportion are rounded down to whole blocks."""
LEAST_SHARE = 0.05
"""The smallest `GPU_MEMORY_UTILIZATION` that its key takes."""

Figures = dict[str, float]


@dataclass(frozen=True)
class _Line:
    pattern: str


@dataclass(frozen=True)
class _Shortage:
    name: str
    pattern: str
    fix: str


@cache
def _lines() -> list[re.Pattern[str]]:
    return [re.compile(row.pattern) for row in load_rows(_Line, FILE, "line")]


@cache
def _shortages() -> list[_Shortage]:
    return load_rows(_Shortage, FILE, "shortage")


def read(log: str) -> Measured:
    """What the newest start in a log took.

    Every figure that is not in the log is None; a log without any gives an empty `Measured`.
    """
    told = _told(log[max(log.rfind(BEGINS), 0) :])
    # A worker tells bytes of its card; the engine's process above the workers tells only tokens.
    cards = [one for one in told.values() if one.keys() - set(OF_ALL)]
    known = _most(cards) | min(cards, key=_room, default={}) | _least(told.values())
    return Measured(
        weights=_bytes(known, "weights"),
        kv_available=_bytes(known, "kv_given" if "kv_given" in known else "kv_available"),
        kv_given="kv_given" in known,
        kv_tokens=_tokens(known),
        concurrency=known.get("concurrency"),
        at_length=_whole(known, "at_length"),
        activation=_activation(known),
        non_torch=_non_torch(known),
        graphs=_bytes(known, "graphs"),
        total=_bytes(known, "total"),
        utilization=known.get("utilization"),
        budget=_budget(known),
        cards=max(len(cards), 1),
        sized_by_length="blocks" in known,
        load_seconds=known.get("load_seconds"),
        compile_seconds=known.get("compile_seconds"),
    )


def shortage(log: str, file: str, model_file: str = "") -> Shortage | None:
    """What a start that failed lacked, and what to change; None when it was not memory.

    Args:
        log: the log or only the exception that ended it.
        file: the env file to change, as a person names it.
        model_file: the one for keys that go with the model, where that is another.
    """
    files = {"file": file, "model_file": model_file or file}
    for row in _shortages():
        found = re.search(row.pattern, log, re.DOTALL)
        fix = _fix(row.fix, found.groupdict(), files) if found else ""
        if fix:
            return Shortage(row.name, fix)
    return None


def summary(found: Measured) -> str:
    """The figures of a start that failed, in one line; "" when there are none."""
    parts = [
        f"{name} {size / GIB:.2f} GiB"
        for name, size in (
            ("budget", found.budget),
            ("weights", found.weights),
            ("working space", found.activation),
            ("outside PyTorch", found.non_torch),
            ("left for the KV cache", None if found.kv_given else found.kv_available),
        )
        if size is not None
    ]
    return f"vLLM measured: {', '.join(parts)}" if parts else ""


def _told(log: str) -> dict[str, Figures]:
    """Figures by the process that told them."""
    told: dict[str, Figures] = {}
    for line in log.splitlines():
        for pattern in _lines():
            found = pattern.search(line)
            if found:
                prefixes = PROCESS.findall(line)
                mine = told.setdefault(prefixes[-1] if prefixes else "", {})
                _keep(mine, found.groupdict())
    return told


def _keep(figures: Figures, groups: Mapping[str, str | None]) -> None:
    for name, text in groups.items():
        if text is None:
            continue
        number = float(text.replace(",", ""))
        if name.endswith("_bytes"):
            figures[name.removesuffix("_bytes")] = number / GIB
        elif name in OF_ALL and name in figures:
            figures[name] = min(figures[name], number)
        elif name == "compile_seconds":
            # A drafter for speculative decoding is compiled after the model, in less time.
            figures[name] = max(figures.get(name, 0), number)
        else:
            figures[name] = number


def _room(figures: Figures) -> float:
    return figures.get("kv_given", figures.get("kv_available", math.inf))


def _most(cards: Iterable[Figures]) -> Figures:
    """What the tightest card did not tell itself: the most that another one did."""
    most: Figures = {}
    for one in cards:
        for name, number in one.items():
            most[name] = max(number, most.get(name, number))
    return most


def _least(told: Iterable[Figures]) -> Figures:
    """The figures of the whole server, whichever processes told them."""
    least: Figures = {}
    for one in told:
        _keep(least, {name: str(one[name]) for name in OF_ALL if name in one})
    return least


def _bytes(known: Figures, name: str) -> int | None:
    return round(known[name] * GIB) if name in known else None


def _whole(known: Figures, name: str) -> int | None:
    return round(known[name]) if name in known else None


def _tokens(known: Figures) -> int | None:
    """Tokens, which engines before V1 told as blocks; of 16 tokens unless it was said otherwise."""
    if "kv_tokens" in known or "blocks" not in known:
        return _whole(known, "kv_tokens")
    blocks, told = known["blocks"], known.get("concurrency", 0) * known.get("at_length", 0)
    if not blocks or not told:
        return round(blocks * 16)
    return round(blocks) * min(BLOCK_SIZES, key=lambda size: abs(math.log(told / blocks / size)))


def _activation(known: Figures) -> int | None:
    if "activation" not in known and {"torch_peak", "weights"} <= known.keys():
        return round((known["torch_peak"] - known["weights"]) * GIB)
    return _bytes(known, "activation")


def _non_torch(known: Figures) -> int | None:
    if "non_torch" not in known and {"consumed", "weights"} <= known.keys():
        return round((known["consumed"] - known["weights"]) * GIB)
    return _bytes(known, "non_torch")


def _budget(known: Figures) -> int | None:
    if "budget" not in known and {"total", "utilization"} <= known.keys():
        return round(known["total"] * known["utilization"] * GIB)
    return _bytes(known, "budget")


def _fix(text: str, groups: Mapping[str, str | None], files: Mapping[str, str]) -> str:
    """The text with its words filled in; "" when one of them has no value."""
    said = {name: word for name, word in groups.items() if word is not None}
    words = {**files, **_derived({name: float(word) for name, word in said.items()}), **said}
    if "needed" in said:
        words["needed"] = f"{math.ceil((float(said['needed']) + ROUNDED) * 10) / 10:g}"
    try:
        return text.format(**words)
    except KeyError:
        return ""


def _derived(said: Figures) -> dict[str, str]:
    """Words that vLLM's figures imply."""
    words: dict[str, str] = {}
    if {"length", "needed", "available"} <= said.keys():
        # As if every token needed the same; rounded so that it is too short rather than too long.
        part = max(said["available"] - ROUNDED, 0) / (said["needed"] + ROUNDED)
        fits = int(said["length"] * part) // LENGTH_STEP * LENGTH_STEP
        words |= {"fits": str(fits)} if fits else {}
    if {"free", "total"} <= said.keys():
        share = math.floor((said["free"] - ROUNDED) / said["total"] * 100) / 100
        words |= {"share": f"{share:.2f}"} if share >= LEAST_SHARE else {}
    if "requests" in said:
        words["fewer"] = str(max(int(said["requests"]) // 2, 1))
    return words
