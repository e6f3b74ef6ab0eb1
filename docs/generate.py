"""Write docs/reference/ from the code: the table of keys, the task list, the failures.

`nox -s docs` writes; `tests/unit/test_reference.py` fails when the files on disk differ.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.markdown import HEADER, table
from docs.models import FITS, models_reference, what_fits
from docs.sums import FITS as HOW_TO
from docs.sums import does_it_fit
from lifecycle import errors, tables
from lifecycle.keys import GPUS, RESERVED_FLAGS, TABLE, WITH_MODEL, Key, extra_arguments
from lifecycle.tables.cards import Card
from lifecycle.tables.issues import Issue, issues
from tasks import namespace

FOLDER = Path(__file__).parent / "reference"

PROBE = "?"
"""A value that every check with an opinion refuses, and so says what it would accept."""

ENV = """\
# Keys of the env files

A backend is a file `env/<name>.env`. The root `.env` holds secrets and values for this machine;
git ignores it, and `inv up` gives it mode 600.

## Precedence

Process environment, then root `.env`, then `env/local/<name>.env`, then `env/<name>.env`, then the
default below. `inv status --verbose` shows each value in force and the file and line it comes from.

A value in the process environment or the root `.env` applies to every backend. `PORT`, `GPU` and
`MODEL` belong in `env/<name>.env` for that reason.

`env/local/<name>.env` is what `inv switch` writes: the model it chose, and what goes with that
model. Git ignores it. It may hold {with_model}, and nothing
else.

## Format

- One `KEY=value` a line. A line that starts with `#` is a comment.
- A value is one line without `$`: there is no interpolation.
- An empty value counts as unset. Only in `env/local/<name>.env` does it clear a value, that of
  `env/<name>.env`.
- An unknown key, a key set twice, a bad value, or a `PORT` that two files share is an error
  (exit code 2) that names the file, the line and the key.
- A key of other hardware is an error in `env/<name>.env`. In the root `.env` and the process
  environment, which are for every backend, it counts for those it fits.
"""

COMMANDS = """\
# Commands

`./inv COMMAND` in the checkout, or `inv COMMAND` with `.venv` active. Exit codes:
[exit-codes.md](exit-codes.md).

Options of Invoke itself stand before the command:

- `inv --list` lists the commands, `inv COMMAND --help` explains one.
- `inv --dry COMMAND` prints what a command would run, write and remove, and changes nothing.
  Commands that only read do so as ever.
"""

BUG = (
    "A bug: please report its traceback. Plain `inv` of an active `.venv` is Invoke itself: it "
    "tells a slip in the command line in its own words, and ends with this code, too."
)
EXITS = """\
# Exit codes

A failure prints three things: what happened (`✗`), why, and what to type next (`→`).
"""


HARDWARE = """\
# Hardware

What `inv doctor` and `inv setup.*` know of graphics cards (`lifecycle/data/support.toml`, with the
source and the date of each row). A driver is the lowest one that will do; on Windows it is
NVIDIA's number or AMD's Adrenalin number.

Verified says who stands behind a row: `hardware` (we ran it), `documented` (its vendor says so),
`reported` (others say so). A card of yours that is not here, or is here and works:
`inv doctor --record DIR` writes what we need to know, without names, serials and tokens.
"""

ISSUES = """\
# Known issues

What goes wrong with vLLM on some machines, and what `inv up` does about it
(`lifecycle/data/known_issues.toml`, with the source and the date of each row). Each one it meets is
printed in a line. `KNOWN_ISSUES_OFF=<name>` leaves the settings of one away. A value of yours comes
before them.

Verified says who stands behind a row: `hardware` (we ran it), `documented` (the vendor or vLLM's
source says so), `reported` (others say so).
"""


@dataclass(frozen=True)
class Option:
    """One option of a command, as `inv COMMAND --help` shows it."""

    names: str
    meaning: str
    default: str
    bare: str
    """What it is called where it may stand without its flag; "" where it may not."""


def env_reference() -> str:
    """Every key an env file may hold."""
    backend = [key for key in TABLE if not key.everywhere]
    machine = [key for key in TABLE if key.everywhere]
    flags = [(f"`{flag}`", f"{why}.") for flag, why in RESERVED_FLAGS.items()]
    return "\n".join([
        HEADER, ENV.replace("{with_model}", ", ".join(f"`{key}`" for key in WITH_MODEL)),
        "## Keys of a backend\n",
        "Allowed in `env/<name>.env`, the root `.env` and the process environment.\n",
        *table(
            ("Key", "Meaning", "Value", "Default", "GPU", "vLLM flag"), map(_backend_row, backend)
        ),
        "\n## Keys of the machine\n",
        "Allowed in the root `.env` and the process environment only.\n",
        *table(("Key", "Meaning", "Secret"), map(_machine_row, machine)),
        "\nA secret is never printed, never part of a command line, and never in a log.",
        "\n## Flags that `EXTRA_ARGS` must not hold\n",
        "Nor any that the table above gives a key of its own on that hardware.\n",
        *table(("Flag", "Why"), flags),
        "",
    ])  # fmt: skip


def commands_reference() -> str:
    """Every command and its options."""
    sections = [_section(name) for name in sorted(namespace.task_names)]
    return "\n".join([HEADER, COMMANDS, *sections])


def exit_codes_reference() -> str:
    """Every exit code and its meaning."""
    failures = [
        (str(failure.exit_code), f"`{failure.__name__}`", _doc(failure))
        for failure in sorted(_failures(), key=lambda failure: failure.exit_code)
    ]
    rows = [
        ("0", "", "Done, or nothing to do."),
        ("1", "", BUG),
        *failures,
        (str(errors.INTERRUPTED), "", "Interrupted by Ctrl-C."),
        (str(errors.READER_GONE), "", "Nobody reads the output any more: `head` has its lines."),
    ]  # fmt: skip
    return "\n".join([HEADER, EXITS, *table(("Code", "Failure", "Meaning"), rows), ""])


def hardware_reference() -> str:
    """Every graphics card of the tables, and how far it is verified."""
    head = (
        "Card",
        "Architecture",
        "Memory",
        "WSL2",
        "Driver on Windows",
        "Driver on Linux",
        "Verified",
    )
    sections = [
        [f"\n## {title}\n", *table(head, map(_card_row, tables.cards.cards(vendor)))]
        for vendor, title in (("nvidia", "NVIDIA"), ("amd", "AMD"))
    ]
    return "\n".join([HEADER, HARDWARE, *(line for lines in sections for line in lines), ""])


def known_issues_reference() -> str:
    """Every known issue, when it is met, and what is done about it."""
    head = ("Name", "Met", "What happens", "What is done", "Where", "Verified")
    return "\n".join([HEADER, ISSUES, *table(head, map(_issue_row, issues())), ""])


def _issue_row(row: Issue) -> tuple[str, ...]:
    met = [", ".join(f"`{gpu}`" for gpu in row.gpus)]
    met += [{"wsl": "WSL2", "native": "native Linux"}[row.system]] if row.system else []
    met += [f"in a {row.runtimes[0]}"] if len(row.runtimes) == 1 else []
    met += [f"cards {', '.join(f'`{arch}*`' for arch in row.archs)}"] if row.archs else []
    met += [f"models with {', '.join(f'`{part}`' for part in row.models)}"] if row.models else []
    met += [f"with {', '.join(f'`{what}`' for what in row.asks)}"] if row.asks else []
    met += [f"vLLM from {row.since}"] if row.since else []
    met += [f"vLLM below {row.below}"] if row.below else []
    done = [f"`{name}={text}`" for name, text in row.environment.items()]
    done += [f"`{flag} {text}`" for flag, text in row.flags.items()]
    done += [f"Advice: {row.advice}"] if row.advice else []
    cells = ("; ".join(met), row.why, "; ".join(done), ", ".join(row.links))
    return (f"`{row.id}`", *cells, row.verified)


def _under_wsl(card: Card) -> str:
    if not card.wsl:
        return "no"
    return f"WSL {card.wsl_from} or newer" if card.wsl_from else "yes"


def _card_row(card: Card) -> tuple[str, ...]:
    names = ", ".join(card.names) or f"any other {card.arch}"
    memory = f"{card.memory_gib:g} GiB" if card.memory_gib else "-"
    floors = (card.driver_windows or "-", card.driver_linux or "-")
    return (names, card.arch, memory, _under_wsl(card), *floors, card.verified)


def _backend_row(key: Key) -> tuple[str, ...]:
    value = key.check(PROBE).removeprefix("must be ") or "any text"
    value = "flags, but not those below" if key.check is extra_arguments else value
    default = "required" if key.required else _code(key.default)
    gpus = "all" if key.gpus == GPUS else ", ".join(f"`{gpu}`" for gpu in key.gpus)
    flag = _code(" ".join((*key.before, key.flag)))
    return (f"`{key.name}`", key.doc, value, default, gpus, flag)


def _machine_row(key: Key) -> tuple[str, ...]:
    return (f"`{key.name}`", key.doc, "yes" if key.secret else "no")


def _section(name: str) -> str:
    options = list(_options(name))
    bare = "".join(f" [{option.bare}]" for option in options if option.bare)
    rows = [(option.names, option.meaning, option.default) for option in options]
    return "\n".join([
        f"## inv {name}\n",
        f"{_doc(namespace[name])}\n",
        f"    inv {name}{bare}{' [OPTIONS]' if rows else ''}\n",
        *table(("Option", "Meaning", "Default"), rows),
        "",
    ])  # fmt: skip


def _options(name: str) -> Iterator[Option]:
    task = namespace[name]
    # Invoke takes each text out of `help` as it reads it; the task must stay as it was.
    texts = dict(task.help)
    by_name = {argument.attr_name or argument.name: argument for argument in task.get_arguments()}
    task.help = texts
    # The signature's order: Invoke's own depends on the command line (see positional_if_given).
    for parameter in task.argspec(task.body).parameters:
        argument = by_name[parameter]
        # As positional_if_given has it: what may stand without its flag has None as its default.
        bare = argument.default is None
        value = {bool: "", int: " N"}.get(argument.kind, " TEXT")
        names = sorted(argument.names, key=len)
        flags = [f"`{'-' if len(one) == 1 else '--'}{one}{value}`" for one in names]
        yield Option(
            names=", ".join(flags),
            meaning=argument.help or "",
            default="off" if argument.kind is bool else _code(argument.default or ""),
            bare=parameter.upper() if bare else "",
        )


def _failures() -> Iterator[type[errors.LifecycleError]]:
    base = errors.LifecycleError
    for thing in vars(errors).values():
        if inspect.isclass(thing) and issubclass(thing, base) and thing is not base:
            yield thing


def _doc(thing: object) -> str:
    """The first paragraph of a docstring, as one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def _code(value: object) -> str:
    return f"`{value}`" if value else "-"


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands_reference,
    "env.md": env_reference,
    "exit-codes.md": exit_codes_reference,
    "hardware.md": hardware_reference,
    "known-issues.md": known_issues_reference,
    "models.md": models_reference,
}
"""The files in docs/reference/, and what is in them."""


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8", newline="\n")
    for file, renewed in ((FITS, what_fits), (HOW_TO, does_it_fit)):
        text = renewed(file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
