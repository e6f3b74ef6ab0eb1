"""The pages people read: links lead somewhere; commands, options and keys they name exist.

`docs/reference/` is written from the code (test_reference.py) and is read here for its links only.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.sums import FITS, does_it_fit
from lifecycle.keys import KEYS
from lifecycle.paths import ROOT
from lifecycle.tables.catalogue import find
from tasks import namespace

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TOLD = [page for page in PAGES if page.parent.name != "reference"]
SETTINGS = [ROOT / ".env.example", *sorted((ROOT / "env").glob("*.env"))]

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
INV = re.compile(r"\s*(?:\$ )?(?:\./|\.\\)?inv(\s.*)?")
NEXT = re.compile(r";|&&|→|, (?=inv )")
"""Between two commands of a line."""
NOX = re.compile(r"\bnox -s ([\w-]+)")
SET = re.compile(r"\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|GPU|PORT|MODEL|DTYPE|IMAGE|DEVICES)=")
KEY = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
OF_OTHERS = {"HF_HUB_OFFLINE", "HF_HUB_CACHE", "REQUIRE_DOCKER"}
"""Variables that our pages name and that are no keys of ours."""
OF_INVOKE = {"--list", "--help", "--dry"}
ANY = {"…", "COMMAND", "setup.*"}
"""What stands for a command."""


def _named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _code(text: str) -> Iterator[str]:
    """What is set as code, a line each: blocks, and pieces in a sentence."""
    for block in FENCE.findall(text):
        yield from block.splitlines()[1:-1]
    yield from CODE.findall(FENCE.sub("", text))


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", _text(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def _commands(line: str) -> Iterator[list[str]]:
    """The words after `inv` of each command in a line of code; nothing for `inv` alone."""
    for piece in NEXT.split(line.partition(" #")[0]):
        found = INV.fullmatch(piece)
        words = (found[1] or "").split() if found else []
        while words and words[0].startswith("-"):
            assert words[0] in OF_INVOKE, line
            words = words[1:]
        if words and words[0] not in ANY:
            yield words


def _options(name: str) -> set[str]:
    task = namespace[name]
    texts = dict(task.help)
    flags = {
        f"{'-' if len(one) == 1 else '--'}{one}"
        for argument in task.get_arguments()
        for one in argument.names
    }
    task.help = texts  # Invoke takes each text out as it reads it
    return flags | OF_INVOKE


def _sessions() -> set[str]:
    """The nox sessions: the functions of noxfile.py, their other names, and those of a backend."""
    found = set()
    for node in ast.parse(_text(ROOT / "noxfile.py")).body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            said = ast.unparse(node.decorator_list[0])
            name = re.search(r"name='([\w-]+)'", said)
            found.add(name[1] if name else node.name)
    backends = {file.stem for file in (ROOT / "env").glob("*.env")}
    return found | {f"{kind}-{name}" for kind in ("smoke", "functional") for name in backends}


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", _text(page))):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{_named(page)}: {link}"
        if anchor:
            assert anchor in _anchors(target), f"{_named(page)}: {link}"


@pytest.mark.parametrize("page", TOLD, ids=_named)
def test_every_command_exists_with_its_options(page: Path) -> None:
    for line in _code(_text(page)):
        for words in _commands(line):
            name = words[0]
            assert name in namespace.task_names, f"{_named(page)}: inv {name}"
            given = {word.partition("=")[0] for word in words[1:] if word.startswith("-")}
            unknown = given - _options(name)
            assert not unknown, f"{_named(page)}: inv {name} has no {unknown}"


@pytest.mark.parametrize("page", [*TOLD, *SETTINGS], ids=_named)
def test_every_key_exists(page: Path) -> None:
    text = _text(page)
    named = {*SET.findall(text), *(word for word in CODE.findall(text) if KEY.fullmatch(word))}
    assert not named - KEYS.keys() - OF_OTHERS, _named(page)


@pytest.mark.parametrize("page", TOLD, ids=_named)
def test_every_session_exists(page: Path) -> None:
    named = set(NOX.findall(_text(page)))
    assert not named - _sessions(), _named(page)


@pytest.mark.parametrize("page", TOLD, ids=_named)
def test_every_model_of_the_examples_is_in_the_catalogue(page: Path) -> None:
    for line in _code(_text(page)):
        for words in _commands(line):
            word = words[1] if words[0] == "switch" and len(words) > 1 else ""
            if word.islower() and "/" not in word:
                assert find(word), f"{_named(page)}: {line}"


def test_the_sum_is_the_planners() -> None:
    page = _text(FITS)
    assert page == does_it_fit(page), "docs/how-to/does-it-fit.md: nox -s docs"


def test_there_is_a_way_to_every_page() -> None:
    """From README.md, by links alone."""
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(_text(page)))
        targets = ((page.parent / link).resolve() for link in links if "://" not in link)
        waiting += [target for target in targets if target in PAGES]
    assert not [_named(page) for page in PAGES if page not in seen]
