"""The text of one env file: keys, values, and the place each was read from."""

import difflib
import io
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from lifecycle.errors import ConfigError
from lifecycle.keys import KEYS, Key
from lifecycle.keys.checks import text_as_seen
from lifecycle.keys.foreign_paths import foreign_path
from lifecycle.redact import without_credentials

PROCESS = "process environment"
LONGEST_SHOWN = 120
"""Characters of a bad value that an error repeats."""


@dataclass(frozen=True)
class Setting:
    """One value and where it came from, e.g. `env/cpu.env:3` or `--runtime`."""

    text: str
    source: str


Settings = dict[str, Setting]


def read(file: Path, root: Path, *, secrets_allowed: bool) -> Settings:
    """The keys of a file that have a value; none where there is no file.

    Raises:
        ConfigError: it is no text, or a line is wrong.
    """
    shown = file.relative_to(root).as_posix()
    return given(parse(text_of(file, shown), shown, secrets_allowed=secrets_allowed))


def given(settings: Settings) -> Settings:
    """Without the keys that have no value."""
    return {key: setting for key, setting in settings.items() if setting.text}


def text_of(file: Path, shown: str) -> str:
    """A file's text, without a byte order mark; "" where there is no file.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8.
    """
    if not file.is_file():
        return ""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigError(
            f"{shown} cannot be read", why=str(error), fix="Save it as plain text in UTF-8."
        ) from None


def parse(text: str, shown: str, *, secrets_allowed: bool) -> Settings:
    """Every key of a file, also those without a value.

    Args:
        shown: the file's name in messages.
        secrets_allowed: it is the root `.env`; else the file of one backend.

    Raises:
        ConfigError: a line is no assignment, or its key or value is wrong.
    """
    settings: Settings = {}
    for binding, line in _bindings(text):
        source = f"{shown}:{line}"
        if binding.error or (binding.key and binding.value is None):
            raise ConfigError(
                # In the root .env the line may hold a secret.
                f"{source}: not a KEY=value line"
                + ("" if secrets_allowed else f": {_visible(_stripped(binding))[:60]}"),
                fix="Write KEY=value, or start the line with # for a comment.",
            )
        if binding.key is not None:
            _add(
                settings, binding.key, binding.value or "", source, secrets_allowed=secrets_allowed
            )
    return settings


def parse_only(text: str, shown: str, names: Collection[str]) -> Settings:
    """Some keys of the root `.env`, whatever else is wrong in it.

    Raises:
        ConfigError: the value of one of these keys is wrong.
    """
    settings: Settings = {}
    for binding, line in _bindings(text):
        name, value = binding.key, binding.value
        if name and value and name in names and not binding.error:
            _add(settings, name, value, f"{shown}:{line}", secrets_allowed=True)
    return settings


def checked(key: Key, text: str, source: str) -> Setting:
    """A value as it counts: of secrets, white space around them is no part.

    Args:
        source: file and line, an option (`--runtime`), or the process environment.

    Raises:
        ConfigError: it cannot be used; a secret is not repeated.
    """
    text = text.strip() if key.secret else text
    problem = _problem(key, text) if text else ""
    if problem:
        raise refused(key, text, source, problem)
    return Setting(text, source)


def refused(key: Key, text: str, source: str, problem: str) -> ConfigError:
    """The failure for a value, which names the place where it stands.

    Args:
        problem: what is wrong; why and what to do may follow in two more lines.
    """
    what, why, fix = (*problem.split("\n", 2), "", "")[:3]
    return ConfigError(f"{blamed(key, text, source)}: {what}", why=why, fix=fix)


def blamed(key: Key, text: str, source: str) -> str:
    """A value and where it stands, as errors begin: `env/cpu.env:3: PORT=80`, `--port 80`."""
    # Extra arguments may hold a secret that does not belong there.
    hidden = key.secret or key.name == "EXTRA_ARGS"
    shown = "…" if hidden else _visible(text)
    return f"{source} {shown}" if source.startswith("--") else f"{source}: {key.name}={shown}"


def nearest(word: str, known: Iterable[str], sentence: str) -> str:
    """A sentence that names the nearest known word; "" when none is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return sentence.format(close[0]) if close else ""


def _bindings(text: str) -> Iterator[tuple[Binding, int]]:
    """What python-dotenv reads, each with the number of its line."""
    for binding in parse_stream(io.StringIO(text)):
        # python-dotenv counts a binding's leading blank lines into it.
        original = binding.original.string
        leading = original[: len(original) - len(original.lstrip())]
        yield binding, binding.original.line + len(leading.splitlines())


def _stripped(binding: Binding) -> str:
    return binding.original.string.strip()


def _add(settings: Settings, name: str, text: str, source: str, *, secrets_allowed: bool) -> None:
    key = KEYS.get(name)
    if key is None:
        raise ConfigError(
            f"{source}: unknown key {_visible(name)}",
            fix=nearest(name.upper(), KEYS, "Did you mean {}?")
            or "The known keys are in docs/reference/env.md.",
        )
    if name in settings and settings[name].text:
        raise ConfigError(
            f"{source}: {name} is set twice (first in {settings[name].source})",
            fix="Keep one of the two lines.",
        )
    if key.everywhere and not secrets_allowed:
        raise ConfigError(
            f"{source}: {name} does not belong in a backend's file",
            why="it would be committed" if key.secret else "it is about the whole machine",
            fix=f"Move the line {name}=… to .env in the checkout's root.",
        )
    settings[name] = checked(key, text, source)


def _problem(key: Key, text: str) -> str:
    # Paths first: within double quotes C:\new has become two lines.
    elsewhere = foreign_path(text) if key.path else ""
    # What is wrong with a secret its own check tells without repeating any of it.
    odd = "" if key.secret else text_as_seen(text)
    return elsewhere or _several_readings(text) or odd or key.check(text)


def _several_readings(text: str) -> str:
    if "$" not in text and "\n" not in text:
        return ""
    return (
        "a value must be one line without '$'\n"
        "shells, python-dotenv and Docker Compose each read '$' differently\n"
        "Write the value out in full."
    )


def _visible(text: str) -> str:
    """A value on one line: what cannot be seen, or is not what it looks like, is escaped."""
    plain = without_credentials(text)
    if len(plain) > LONGEST_SHOWN:
        plain = f"{plain[:LONGEST_SHOWN]}…"
    return "".join(
        char if char.isprintable() and (char.isascii() or not char.isdigit())
        else char.encode("unicode_escape").decode()
        for char in plain
    )  # fmt: skip
