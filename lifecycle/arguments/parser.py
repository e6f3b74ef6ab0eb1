"""Arguments of `vllm serve`, parsed with argparse and a recorded table, as vLLM does it."""

import argparse
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, NoReturn

from lifecycle.arguments import value
from lifecycle.arguments.flags import Flag, Table, table
from lifecycle.arguments.spelling import rewritten

KEPT = ("switch", "text", "word")


class Refused(ValueError):
    """vLLM would not take these arguments.

    Args:
        what: the reason, without the value of a secret.
        fix: the spelling that works; "" when nobody can tell.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


@dataclass(frozen=True)
class Arguments:
    """What was said.

    Args:
        values: by the flag's name; a switch is True or False, a JSON flag its object, and of a
            flag with several values a list.
        unknown: words that this version's table does not know, where it is not known exactly.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - the flag's own type
        """The value of a flag; the default where it was not given, or was given as `None`."""
        found = self.values.get(name)
        return default if found is None else found

    def number(self, name: str) -> int:
        """A count; 0 where none was given."""
        found = self.get(name, 0)
        return found if isinstance(found, int) else 0

    def amount(self, name: str) -> float:
        """A number with a fraction; 0 where none was given, or text that nobody could read."""
        found = self.get(name, 0)
        return found if isinstance(found, int | float) else 0

    def held(self, name: str) -> dict[str, Any]:
        """An object; an empty one where none was given."""
        found = self.get(name)
        return found if isinstance(found, dict) else {}

    @property
    def flags(self) -> tuple[str, ...]:
        """Every flag that was given, by its name."""
        strange = (one.partition("=")[0] for one in self.unknown if one.startswith("-"))
        return (*self.values, *strange)


def parse(text: str, version: str = "") -> Arguments:
    """Read arguments as one version of vLLM does.

    Args:
        version: "" when unknown. Where it was not recorded, flags that nobody knows are passed on.

    Raises:
        Refused: vLLM would end at once with them.
    """
    known = table(version)
    try:
        words = rewritten(shlex.split(text))
    except ValueError as error:
        raise Refused(f"cannot be read: {error}", _about_quotes(str(error))) from None
    found, rest = _parser(known.version, exact=known.exact).parse_known_args(words)
    strange = tuple(one for one in rest if one != "--")
    if known.exact and strange:
        raise _strange(strange[0], known, words)
    return Arguments(dict(sorted(vars(found).items())), strange)


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print."""

    def error(self, message: str) -> NoReturn:
        raise _told(message)


@cache
def _parser(version: str, *, exact: bool) -> _Parser:
    parser = _Parser(add_help=False)
    for flag in table(version).flags.values():
        _add(parser, flag, strict=exact)
    return parser


def _add(parser: _Parser, flag: Flag, *, strict: bool) -> None:
    common: dict[str, Any] = {"dest": flag.name, "default": argparse.SUPPRESS}
    if flag.type == "switch":
        parser.add_argument(flag.name, *flag.also, action="store_true", **common)
        if flag.off:
            parser.add_argument(*flag.off, action="store_false", **common)
        return
    common["type"] = partial(_converted, flag, strict=strict)
    if flag.each:
        common["action"] = "append"
    if flag.alone:
        common |= {"nargs": "?", "const": True}
    elif flag.many:
        common["nargs"] = "+"
    parser.add_argument(flag.name, *flag.also, **common)


def _converted(flag: Flag, text: str, *, strict: bool) -> Any:  # noqa: ANN401
    try:
        return value.read(flag, text)
    except ValueError as error:
        if strict or text.lstrip().startswith("{"):
            raise argparse.ArgumentTypeError(str(error)) from None
        # An older version may have taken it: `image=0,video=0`.
        return value.pairs(text) if flag.type in value.OBJECT else text


def _told(message: str) -> Refused:
    """Argparse's sentence as ours."""
    found = re.fullmatch(r"(?s)argument (\S+): (.*)", message)
    if not found:
        return Refused(_ambiguous(message))
    flag, why = found[1].split("/")[0], found[2]
    if re.match(r"expected .*argument", why):
        return Refused(f"{flag} has no value", f"Write {flag} VALUE, or remove it.")
    if "ignored explicit argument" in why:
        return Refused(f"{flag} takes no value", f"Write {flag} alone, or remove it.")
    what, _, fix = why.partition("\n")
    return Refused(f"{flag}: {what}", fix)


def _ambiguous(message: str) -> str:
    found = re.fullmatch(r"ambiguous option: (\S+) could match (.*)", message)
    return f"{found[1].partition('=')[0]} may mean {found[2]}" if found else message


def _strange(word: str, known: Table, words: list[str]) -> Refused:
    """What is no flag of this version."""
    if not re.match(r"--?[A-Za-z]", word):
        before = words[words.index(word) - 1] if word in words[1:] else ""
        flag = known.flags.get(before)
        if flag and flag.type == "switch":
            return Refused(f"{before} takes no value: remove {word!r}",
                           f"Write {before} alone{_how_to_switch_off(flag)}.")  # fmt: skip
        return Refused(
            f"{word!r} belongs to no flag",
            "Quote a value that holds blanks, and write one value for each flag.",
        )
    name = word.partition("=")[0]
    spellings = [one for flag in known.flags.values() for one in flag.spellings]
    if name.startswith("--"):
        spellings = [one for one in spellings if one.startswith("--")]
    near = value.nearest(name, spellings)
    fix = f"Did you mean {near}?" if near else f"All flags: vllm serve --help=all ({known.version})"
    return Refused(f"vLLM {known.version} has no flag {name}", fix)


def _how_to_switch_off(flag: Flag) -> str:
    return f", or {flag.off[0]}" if flag.off else ""


def _about_quotes(why: str) -> str:
    quotes = "quot" in why
    return "Close every quote; in .env put the whole value in the other kind." if quotes else ""
