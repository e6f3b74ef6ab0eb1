"""What a flag's text becomes, and what is wrong with it: each type of the recorded tables."""

import difflib
import json
import math
import re
import shlex
from collections.abc import Mapping
from typing import Any

from lifecycle.arguments.flags import Flag
from lifecycle.arguments.spelling import COUNT, count

NONE = {"", "None"}
OBJECT = {"json", "object"}
QUOTED = re.compile(r'("(?:[^"\\]|\\.)*")')
PAIRS = re.compile(r"\s*[\w.-]+=[^,=]+(,[\w.-]+=[^,=]+)*\s*")
BARE = re.compile(r"(?<![\w\"'])([A-Za-z_][\w./+-]*)(?![\w\"'])")
LITERALS = {"true", "false", "null", "True", "False", "None"}


def read(flag: Flag, text: str) -> Any:  # noqa: ANN401 - what the flag holds
    """The value of one word.

    Raises:
        ValueError: what is wrong with it, and the spelling that works.
    """
    if flag.optional and text in NONE:
        return None
    found = _typed(flag, text)
    if flag.choices and found not in flag.choices:
        raise ValueError(_no_choice(flag, text))
    if flag.least is not None and found < flag.least:
        raise ValueError(f"must be {flag.least} or more, not {text!r}")
    return found


def pairs(text: str) -> Any:  # noqa: ANN401 - an object, or the text
    """`image=0,video=0` as an object: versions that were not recorded may take it."""
    return _meant(text) if PAIRS.fullmatch(text) else text


def nearest(word: str, known: object) -> str:
    """The nearest of some words; "" when none is near."""
    words = [str(one) for one in known] if isinstance(known, list | tuple) else []
    return next(iter(difflib.get_close_matches(word, words, n=1, cutoff=0.6)), "")


def _typed(flag: Flag, text: str) -> Any:  # noqa: ANN401
    kind = flag.type
    if kind == "word":
        return text.lower().replace("-", "_")
    if kind in {"int", "float", "count", "count or auto"}:
        return _number(kind, text)
    if kind in OBJECT:
        return _object(flag, text)
    if kind == "json list":
        return _json(flag, text)
    if kind == "text or json":
        return _json(flag, text) if text.lstrip().startswith("{") else text
    return adapter(flag.name, text) if kind == "adapters" else text


def adapter(name: str, text: str) -> dict[str, Any]:
    """`name=path`, or an object with these (`LoRAParserAction`)."""
    if "=" in text and "," not in text:
        called, _, path = text.partition("=")
        return {"name": called, "path": path}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not {"name", "path"} <= set(found):
        raise ValueError(
            f"{text!r} names no adapter\n"
            f'Write NAME=PATH, or {name} \'{{"name": "NAME", "path": "PATH"}}\'.'
        )
    extra = set(found) - {"name", "path", "base_model_name"}
    if extra:
        raise ValueError(f"{', '.join(sorted(extra))}: an adapter has no such entry")
    return found


def _number(kind: str, text: str) -> int | float:
    if kind == "count or auto" and text.strip().lower() in {"-1", "auto"}:
        return -1
    if kind.startswith("count"):
        return _count(text)
    try:
        return int(text) if kind == "int" else _finite(text)
    except ValueError:
        said = "must be a whole number" if kind == "int" else "must be a number"
        found = COUNT.fullmatch(text.strip())
        hint = f"\nWrite {count(text)}: this flag knows no letters." if found else ""
        raise ValueError(f"{said}, not {text!r}{hint}") from None


def _finite(text: str) -> float:
    """Python takes `nan` and `1e400` for numbers; nothing can be reckoned with them."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _count(text: str) -> int:
    try:
        return count(text)
    except ValueError as error:
        told = str(error) if str(error).startswith("write") else ""
        said = f"must be a whole number such as 8192 or 8k, not {text!r}"
        raise ValueError(f"{said}\n{told}".strip()) from None


def _json(flag: Flag, text: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(_counted(text) if flag.type == "object" else text)
    except (ValueError, RecursionError):
        raise ValueError(_not_json(flag, text)) from None


def _counted(text: str) -> str:
    """JSON with `80m` outside of strings written out (`_expand_json_human_readable_numbers`)."""
    parts = QUOTED.split(text)
    for index in range(0, len(parts), 2):
        parts[index] = re.sub(
            r"\b\d+(?:\.\d+)?[kKmMgGtT]\b", lambda found: str(count(found[0])), parts[index]
        )
    return "".join(parts)


def _object(flag: Flag, text: str) -> dict[str, Any]:
    found = _json(flag, text)
    if not isinstance(found, dict):
        raise ValueError(  # noqa: TRY004 - argparse asks for it
            f"must be a JSON object, not {text}\n"
            f"Write {flag.name}.KEY VALUE, or {flag.name} '{{\"KEY\": VALUE}}'."
        )
    if flag.fields:
        # vLLM takes dashes in the keys of --speculative-config alone.
        keys = {key.replace("-", "_") if flag.type == "json" else key: key for key in found}
        for key, written in keys.items():
            _field(flag, key, found[written])
    return found


def _field(flag: Flag, key: str, value: Any) -> None:  # noqa: ANN401
    kind = flag.fields.get(key)
    if kind is None:
        near = nearest(key, list(flag.fields))
        hint = f"\nDid you mean {flag.name}.{near}?" if near else ""
        raise ValueError(f"has no entry {key!r}{hint}")
    if value is not None and not _fits(kind, value):
        words = {"int": "a whole number", "float": "a number", "bool": "true or false"}
        raise ValueError(f"{key} must be {words.get(kind, 'text')}, not {json.dumps(value)}")


def _fits(kind: str, value: Any) -> bool:  # noqa: ANN401
    """As pydantic takes it: numbers and booleans may be written as text."""
    if kind == "any":
        return True
    if kind == "text":
        return isinstance(value, str)
    if kind == "bool":
        return isinstance(value, bool) or str(value).lower() in {
            "0", "1", "off", "on", "f", "t", "false", "true", "n", "y", "no", "yes",
        }  # fmt: skip
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    return kind == "float" or number.is_integer()


def _no_choice(flag: Flag, text: str) -> str:
    near = nearest(text, flag.choices)
    listed = ", ".join(str(one) for one in flag.choices)
    hint = f"\nDid you mean {near}?" if near else ""
    return f"{text!r} is not one of {listed}{hint}"


def _not_json(flag: Flag, text: str) -> str:
    """Why it cannot be read, and how to write what was probably meant."""
    meant = _meant(text)
    example = f"{flag.name} {shlex.quote(json.dumps(meant))}" if meant is not None else ""
    dotted = _dotted(flag.name, meant) if isinstance(meant, dict) else ""
    general = (
        f'{flag.name} \'["ONE", "OTHER"]\', in single quotes'
        if flag.type == "json list"
        else f"{flag.name}.KEY VALUE, or {flag.name} '{{\"KEY\": VALUE}}', in single quotes"
    )
    works = f"\nWrite {dotted or example or general}"
    if PAIRS.fullmatch(text):
        return f"{text} is not JSON: vLLM no longer takes KEY=VALUE lists{works}"
    lost = " (its double quotes were lost: put the object in single quotes)" if "{" in text else ""
    return f"{text} is not JSON{lost}{works}"


def _meant(text: str) -> Any:  # noqa: ANN401
    """The value, had the quotes not been lost; None when that cannot be told."""
    if PAIRS.fullmatch(text):
        pairs = (part.split("=", 1) for part in text.strip().split(","))
        return {key.strip(): _scalar(value.strip()) for key, value in pairs}
    quoted = BARE.sub(lambda f: f[1] if f[1] in LITERALS else json.dumps(f[1]), text)
    for attempt in (text.replace("'", '"'), quoted):
        try:
            return json.loads(attempt)
        except (ValueError, RecursionError):
            continue
    return None


def _scalar(text: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(text)
    except ValueError:
        return text


def _dotted(name: str, held: Mapping[str, Any]) -> str:
    """The same as dotted flags, where the object is flat."""
    if any(isinstance(one, dict | list) for one in held.values()):
        return ""
    return " ".join(
        f"{name}.{key} {one if isinstance(one, str) else json.dumps(one)}"
        for key, one in held.items()
    )
