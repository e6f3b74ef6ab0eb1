"""What people read about commands, keys and exit codes is what the code does."""

from pathlib import Path

import pytest

from docs.generate import FOLDER, PAGES
from lifecycle import errors
from lifecycle.backend import load_shared
from lifecycle.keys import TABLE
from lifecycle.paths import ROOT
from tasks import namespace

# Made before any test runs: Invoke, run in a test, takes the help texts out of the tasks.
WRITTEN = {name: page() for name, page in PAGES.items()}


@pytest.mark.parametrize("name", PAGES)
def test_file_is_as_generated(name: str) -> None:
    on_disk = (FOLDER / name).read_text(encoding="utf-8")
    assert on_disk == WRITTEN[name], f"docs/reference/{name} is out of date: nox -s docs"


def test_there_is_no_other_page() -> None:
    assert {file.name for file in FOLDER.iterdir()} == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_twice_gives_the_same(name: str) -> None:
    assert PAGES[name]() == PAGES[name]()


def test_command_line_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    # What `inv chat "Hello"` makes of the task (see positional_if_given).
    monkeypatch.setattr(namespace.tasks["chat"], "positional", ["text"])
    assert PAGES["commands.md"]() == WRITTEN["commands.md"]


@pytest.mark.parametrize("key", [key.name for key in TABLE])
def test_key_is_described(key: str) -> None:
    assert f"| `{key}` |" in WRITTEN["env.md"]


@pytest.mark.parametrize("task", sorted(namespace.task_names))
def test_task_is_described(task: str) -> None:
    assert f"## inv {task}\n" in WRITTEN["commands.md"]


def test_every_option_has_a_meaning() -> None:
    rows = [line for line in WRITTEN["commands.md"].splitlines() if line.startswith("| `-")]
    assert rows
    assert not [row for row in rows if "|  |" in row]


def test_every_failure_is_described() -> None:
    for failure in errors.LifecycleError.__subclasses__():
        assert f"| {failure.exit_code} | `{failure.__name__}` |" in WRITTEN["exit-codes.md"]


def test_example_env_has_every_key_and_sets_none(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(example)
    assert load_shared(tmp_path, {}) == {}
    missing = [key.name for key in TABLE if f"\n# {key.name}=" not in example]
    assert not missing


def test_example_env_is_right_when_uncommented(tmp_path: Path) -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    names = tuple(f"# {key.name}=" for key in TABLE)
    taken = [line.removeprefix("# ") for line in lines if line.startswith(names)]
    (tmp_path / ".env").write_text("\n".join(taken))
    set_in_example = {key.name for key in TABLE if not key.secret}
    assert set(load_shared(tmp_path, {})) == set_in_example


def test_readme_names_the_test_command() -> None:
    assert "./inv test" in (ROOT / "README.md").read_text(encoding="utf-8")
