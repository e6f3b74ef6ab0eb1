"""`EXTRA_ARGS` as a setting: refused where it is wrong, before anybody knows which vLLM runs."""

import difflib
import shlex
from pathlib import Path

from lifecycle.arguments.flags import NEWEST, RECORDED
from lifecycle.arguments.parser import Arguments, Refused, parse
from lifecycle.arguments.places import Place, places, with_places, words

ADAPTER = "adapter_config.json"
WHAT = {"file": "file", "folder": "folder"}


def checked(text: str, root: Path, *, certain: bool) -> str:
    """The setting with its paths in full: the server's own folder is a different one.

    Args:
        root: paths count from here, as for `CHAT_TEMPLATE`.
        certain: some recorded version will run, be it not known yet which.

    Raises:
        Refused: no version takes it, or a path leads nowhere.
    """
    found, version = _parsed(text, certain=certain)
    changed = {place: _in_full(place, root) for place in places(found)}
    if all(place.word == word for place, word in changed.items()):
        return text
    return shlex.join(words(with_places(found, changed.__getitem__), version))


def _parsed(text: str, *, certain: bool) -> tuple[Arguments, str]:
    """As the newest recorded version reads it that takes it; else as an unknown one does."""
    first: Refused | None = None
    for version in reversed(RECORDED):
        try:
            return parse(text, version), version
        except Refused as refused:
            first = first or refused
    if certain and first:
        raise first
    try:
        return parse(text), NEWEST
    except Refused:
        raise first or Refused("cannot be read") from None


def _in_full(place: Place, root: Path) -> str:
    if not place.path and not (root / place.word).exists():
        return place.word  # a repo, or a folder of the models folder
    file = (root / Path(place.word).expanduser()).absolute()
    problem = "" if place.holds == "writes" else _problem(place, file)
    if problem:
        raise Refused(f"{place.flag}: {problem}", _near(file))
    return str(file)


def _problem(place: Place, file: Path) -> str:
    if not file.exists():
        return f"there is no {WHAT.get(place.holds, 'folder')} {file}"
    if place.holds == "file":
        return "" if file.is_file() else f"{file} is no file"
    if not file.is_dir():
        return f"{file} is no folder"
    if place.holds == "adapter" and not (file / ADAPTER).is_file():
        return f"{file} is no LoRA adapter: it has no {ADAPTER}"
    if place.holds == "model" and not (file / "config.json").is_file():
        return f"{file} is no model: it has no config.json"
    return ""


def _near(file: Path) -> str:
    hint = "Give the path in full, or from the checkout's root."
    parent = file.parent
    try:
        names = [one.name for one in parent.iterdir()] if parent.is_dir() else []
    except OSError:
        names = []
    near = difflib.get_close_matches(file.name, names, n=1, cutoff=0.6)
    return f"Did you mean {parent / near[0]}?" if near and not file.exists() else hint
