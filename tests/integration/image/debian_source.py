"""Print this machine's own Debian source, asked for another suite.

Docker 26 and Compose 2 are in a later Debian suite than the one this machine may run.
The mirror is whatever the machine already uses: no host name is written anywhere here.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# One-line option names that deb822 spells differently; the others only differ in case.
OPTION_FIELDS = {"arch": "architectures", "lang": "languages", "target": "targets"}

Source = dict[str, str]


def deb822(text: str) -> Iterator[Source]:
    """Read the stanzas of a `.sources` file, field names in lower case."""
    stanza: Source = {}
    field = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza, field = {}, ""
        elif line[0].isspace():
            # Kept as written: an inline signing key spans many such lines.
            stanza[field] = f"{stanza.get(field, '')}\n{line}"
        else:
            name, _, value = line.partition(":")
            field = name.strip().lower()
            stanza[field] = value.strip()


def one_line(text: str) -> Iterator[Source]:
    """Read the entries of a `.list` file: `deb [options] URI SUITE COMPONENT…`."""
    for raw in text.splitlines():
        kind, rest = [*raw.partition("#")[0].split(maxsplit=1), "", ""][:2]
        if kind != "deb":
            continue
        options = ""
        if rest.startswith("["):
            options, _, rest = rest[1:].partition("]")
        uri, suite, *components = [*rest.split(), "", ""]
        source = {"types": kind, "uris": uri, "suites": suite, "components": " ".join(components)}
        for option in shlex.split(options):
            name, _, value = option.partition("=")
            source[OPTION_FIELDS.get(name, name)] = value.replace(",", " ")
        yield source


def sources(apt: Path) -> Iterator[Source]:
    """Every enabled source of the machine, in apt's own order."""
    parts = sorted((apt / "sources.list.d").glob("*"))
    for path in [apt / "sources.list", *parts]:
        if not path.is_file():
            continue
        if path.suffix == ".sources":
            yield from deb822(path.read_text(encoding="utf-8"))
        elif path.suffix == ".list":
            yield from one_line(path.read_text(encoding="utf-8"))


def is_main_archive(source: Source, codename: str) -> bool:
    """Whether this is where the machine's own suite comes from (not updates, not security)."""
    return (
        "deb" in source.get("types", "").split()
        and codename in source.get("suites", "").split()
        and "main" in source.get("components", "").split()
        and source.get("enabled", "yes").lower() not in {"no", "false", "0"}
    )


def for_suite(source: Source, suite: str) -> str:
    """Spell the same source as deb822 text for another suite."""
    fields = source | {"types": "deb", "suites": suite, "components": "main"}
    return "".join(f"{name.title()}: {value}\n" for name, value in fields.items())


def find(apt: Path, codename: str) -> Source | None:
    """Return the first source of the machine that offers its own suite."""
    return next((each for each in sources(apt) if is_main_archive(each, codename)), None)


def main() -> int:
    """Print the source, or say why there is none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", help="the suite to ask for, e.g. trixie")
    parser.add_argument("--apt", type=Path, default=Path("/etc/apt"), help="apt's configuration")
    options = parser.parse_args()
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    source = find(options.apt, codename)
    if source is None:
        sys.stderr.write(f"no source under {options.apt} offers {codename!r} with main\n")
        return 1
    sys.stdout.write(for_suite(source, options.suite))
    return 0


if __name__ == "__main__":
    sys.exit(main())
