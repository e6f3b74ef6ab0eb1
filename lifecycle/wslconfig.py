r"""The text of `.wslconfig` and `/etc/wsl.conf`: read as WSL reads it, changed line by line.

WSL's parser is its own: the first of two equal keys counts, `#` ends a value anywhere, a backslash
joins lines, names have no case, and a line it cannot read is passed over:
https://github.com/microsoft/WSL/blob/master/src/shared/configfile/configfile.cpp.
configparser's grammar differs, and with it that of every library built on it. ConfigUpdater 4.1.1
(`strict=False` does take equal keys) drops a comment behind a changed value, takes `[WSL2]` and
`[wsl2]` for two sections, and refuses a file that has a line before its first section. So a file
that WSL accepts would be read differently, refused, or changed where nobody asked for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

SECTION = re.compile(r"[ \t]*\[([A-Za-z][A-Za-z0-9]*)\][ \t]*(?:#.*)?$")
ENTRY = re.compile(r"([ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*)(.*)$", re.DOTALL)
VALUE = re.compile(r'(?:\\.|"(?:\\.|[^"\\])*"|[^"\\#])*', re.DOTALL)
"""A value up to its comment: escapes, quoted text (which may hold a `#`), anything else."""
ESCAPED = {"n": "\n", "t": "\t", "b": "\b", "\n": ""}


@dataclass(frozen=True)
class Line:
    """One line, or several that backslashes join.

    Args:
        section: the section it stands in, in lower case; "" before the first.
        key: `section.name` in lower case when it is an entry, else "".
    """

    text: str
    section: str
    key: str = ""
    value: str = ""


def lines(text: str) -> list[Line]:
    """Every line with what WSL makes of it."""
    found: list[Line] = []
    section = ""
    # Not splitlines(): that knows more ends of lines than WSL does.
    waiting = text.removesuffix("\n").split("\n") if text else []
    while waiting:
        line = waiting.pop(0)
        if heading := SECTION.match(line):
            section = heading[1].lower()
            found.append(Line(line, section))
            continue
        while ENTRY.match(line) and _goes_on(line) and waiting:
            line += "\n" + waiting.pop(0)
        found.append(_entry(line, section))
    return found


def values(text: str) -> dict[str, str]:
    """Values by `section.key` in lower case; of two equal keys the first counts."""
    found: dict[str, str] = {}
    for line in lines(text):
        if line.key:
            found.setdefault(line.key, line.value)
    return found


def merged(text: str, wanted: Mapping[str, str]) -> str:
    """The text with some values set, and everything else as it was.

    Args:
        wanted: values by `section.key`, spelled as they are to be written where they are new.
    """
    for name, value in wanted.items():
        text = _with(text, name, value)
    return text


def _with(text: str, name: str, value: str) -> str:
    all_lines = lines(text)
    section, _, key = name.partition(".")
    texts = [line.text for line in all_lines]
    at = next((n for n, line in enumerate(all_lines) if line.key == name.lower()), None)
    inside = [n for n, line in enumerate(all_lines) if line.section == section.lower()]
    if at is not None:
        texts[at] = _changed(texts[at], value)
    elif inside:
        last = max(n for n in inside if texts[n].strip())
        texts.insert(last + 1, f"{key}={value}")
    else:
        gap = [""] if texts and texts[-1].strip() else []
        texts += [*gap, f"[{section}]", f"{key}={value}"]
    return "\n".join(texts) + "\n"


def _entry(line: str, section: str) -> Line:
    parts = ENTRY.match(line)
    if parts is None:
        return Line(line, section)
    name = f"{section}.{parts[2]}" if section else parts[2]
    raw = VALUE.match(parts[3])
    return Line(line, section, name.lower(), _plain(raw[0] if raw else ""))


def _goes_on(line: str) -> bool:
    """Whether the value ends in a backslash that is not itself escaped, outside a comment."""
    value = ENTRY.match(line)
    rest = value[3] if value else ""
    before = VALUE.match(rest + "\n")
    return bool(before and before[0].endswith("\\\n"))


def _plain(raw: str) -> str:
    """Without quotes and escapes; spaces at the end do not count."""
    text = re.sub(r"\\(.)|\"", _unescape, raw, flags=re.DOTALL)
    return text.rstrip(" \t")


def _unescape(match: re.Match[str]) -> str:
    sign = match[1]
    return "" if sign is None else ESCAPED.get(sign, sign)


def _changed(line: str, value: str) -> str:
    """The same line with another value; its indentation and its comment stay."""
    parts = ENTRY.match(line)
    assert parts is not None  # noqa: S101 - only lines with a key come here
    raw = VALUE.match(parts[3])
    old = raw[0] if raw else ""
    trailing = old[len(old.rstrip(" \t")) :]
    return f"{parts[1]}{value}{trailing}{parts[3][len(old) :]}"
