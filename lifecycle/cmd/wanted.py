"""The backend a command is about, with another model put in; nothing is written anywhere."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.backend import Backend
    from lifecycle.machine import Machine
    from lifecycle.paths import Paths


def backend(
    gpu: str, word: str, given: "Mapping[str, str]", where: "Paths", machine: "Machine"
) -> tuple["Backend", str]:
    """A backend as it would be with a model, and a sentence on why it is that one.

    Args:
        word: the model as a person types it; "" for the backend's own.
        given: values that go with it, by key; empty ones are not given.

    Raises:
        ConfigError: no such backend, or a value that is none.
        ModelUnavailable: nothing is called so.
    """
    from lifecycle.cmd import choose

    values = {key: value for key, value in given.items() if value}
    check(values)
    found, why = choose.to_start(gpu, machine)
    if word:
        name = model(word, where)
        found = choose.load(found.name, override(found.name, name, values, where))
        values["MODEL"] = name  # also where a MODEL= stands above all files
    for key, value in values.items():
        found = found.with_setting(key, value, _option(key))
    return found, why


def check(values: "Mapping[str, str]") -> None:
    """Refuse values of options before they become lines of a file that nobody wrote.

    Raises:
        ConfigError: one cannot be used; it names the option.
    """
    from lifecycle import env_file
    from lifecycle.keys import KEYS

    for key, value in values.items():
        env_file.checked(KEYS[key], value, _option(key))


def _option(key: str) -> str:
    return f"--{key.lower().replace('_', '-')}"


def override(name: str, wanted: str, given: "Mapping[str, str]", where: "Paths") -> str:
    """What `env/local/<name>.env` must say; "" when the tracked file says all of it."""
    from lifecycle.cmd import choose
    from lifecycle.models import chosen

    files, tracked = choose.load(name), choose.load(name, "")
    if files.model == wanted != tracked.model and not given:
        return overridden(name, where)  # with what a person wrote into it since
    now = datetime.now(UTC).astimezone()
    return chosen.text(tracked, wanted, now, known=_known(wanted), given=given)


def overridden(name: str, where: "Paths") -> str:
    """The override's text of now; "" when there is none."""
    from lifecycle.backend import override

    file = override(name, where.root)
    return file.read_text(encoding="utf-8-sig") if file.is_file() else ""


def model(word: str, where: "Paths") -> str:
    """As MODEL= takes it: a path in full, or the name that the catalogue's short one stands for.

    Raises:
        ModelUnavailable: nothing is called so.
    """
    from lifecycle.backend import REPO_ID
    from lifecycle.errors import ModelUnavailable
    from lifecycle.tables import catalogue

    check({"MODEL": word})
    # On a command line a path counts from where one is.
    if word.startswith(("/", "~", ".")):
        # Not resolved: a link's name may be the one that clients should see.
        return os.path.abspath(Path(word).expanduser())  # noqa: PTH100
    word = word.rstrip("/")
    if word and (where.models / word).is_dir():
        return word
    known = catalogue.find(word)
    if known:
        return known.model
    near = catalogue.nearest(word)
    if REPO_ID.fullmatch(word):
        # Whether there is such a repo, its cache or the hub must say.
        return word
    raise ModelUnavailable(
        f"no model is called {word!r}",
        why="it is no path, no folder in the models folder, and in no catalogue",
        fix="\n".join([f"Did you mean {', '.join(near)}?"] * bool(near) + ["All: inv models"]),
    )


def _known(name: str) -> dict[str, str]:
    """What the catalogue says goes with a model."""
    from lifecycle.tables import catalogue

    row = catalogue.find(name)
    if row is None:
        return {}
    return {"TOOL_PARSER": row.tool_parser, "REASONING_PARSER": row.reasoning_parser}
