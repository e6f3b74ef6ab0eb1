"""Words of a command line as vLLM's parser rewrites them before argparse sees them.

`FlexibleArgumentParser.parse_args` of vLLM 0.32 and 0.33 (`vllm/utils/argparse_utils.py`).
"""

import json
import re
from collections.abc import Sequence
from typing import Any

LEVELS = {"0", "1", "2", "3"}
NAME = re.compile(r"(?<=--)[^.]*")
COUNT = re.compile(r"(\d+(?:\.\d+)?)([kKmMgGtT])")
SIZES = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
         "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}  # fmt: skip
"""vLLM's letters (`human_readable_int`): small ones are decimal, capitals binary."""


def count(text: str) -> int:
    """A count as vLLM takes it: `8192`, `8k`, `2.5k`, `4G`.

    Raises:
        ValueError: it is none.
    """
    found = COUNT.fullmatch(text.strip())
    if not found:
        return int(text)
    number, letter = found.groups()
    if letter.isupper():
        if "." in number:
            raise ValueError(f"write {number}{letter.lower()} or a whole number before {letter}")
        return int(number) * SIZES[letter]
    return int(float(number) * SIZES[letter])


def rewritten(words: Sequence[str]) -> list[str]:
    """Dashes for underscores, `-O3` written out, and dotted flags folded into one JSON object.

    Raises:
        ValueError: a dotted flag has no value, or two of them contradict each other.
    """
    return _folded([part for index, word in enumerate(words) for part in _dashed(index, words)])


def _dashed(index: int, words: Sequence[str]) -> list[str]:
    word = words[index]
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return [NAME.sub(lambda found: found[0].replace("_", "-"), name, count=1) + equals + value]
    if word.startswith("-O") and word != "-O":
        return ["--optimization-level", word[3:] if word[2] == "=" else word[2:]]
    if word == "-O" and index + 1 < len(words) and words[index + 1] in LEVELS:
        return ["--optimization-level"]
    return [word]


def _folded(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    objects: dict[str, dict[str, Any]] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if not (word.startswith("-") and "." in name):
            kept.append(word)
            continue
        if not equals:
            value = next(rest, "")
            if not value:
                raise ValueError(f"{name} has no value")
        flag, *keys = name.removesuffix("+").split(".")
        _put(objects.setdefault(flag, {}), keys, _value(value, several=name.endswith("+")), name)
    return kept + [part for flag, held in objects.items() for part in (flag, json.dumps(held))]


def _value(text: str, *, several: bool) -> Any:  # noqa: ANN401 - JSON
    if several:
        return text.split(",")
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return count(text)
    except ValueError:
        return text


def _put(held: dict[str, Any], keys: Sequence[str], value: Any, name: str) -> None:  # noqa: ANN401
    *path, last = keys
    for key in path:
        held = held.setdefault(key, {})
        if not isinstance(held, dict):
            raise ValueError(f"{name} contradicts a flag before it")  # noqa: TRY004 - not a type
    if isinstance(value, list) and isinstance(held.get(last), list):
        held[last] += value
    elif isinstance(value, dict) and isinstance(held.get(last), dict):
        for key, one in value.items():
            _put(held[last], [key], one, name)
    else:
        held[last] = value
