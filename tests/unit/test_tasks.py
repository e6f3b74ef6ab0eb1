"""The table of contents stays cheap: `inv --list` may cost no more than Invoke itself."""

import importlib
import sys
from collections.abc import Iterator

import pytest

HEAVY = {
    "docker", "dotenv", "filelock", "prompt_toolkit", "psutil", "requests", "rich", "supervisor",
    "urllib3", "uv",
}  # fmt: skip


def top(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.fixture
def fresh() -> Iterator[None]:
    """As in a new interpreter: neither ours nor anything heavy is imported yet."""
    before = dict(sys.modules)
    for name in before:
        if top({name}) & {"tasks", "lifecycle", *HEAVY}:
            del sys.modules[name]
    yield
    sys.modules.clear()
    sys.modules.update(before)


@pytest.mark.usefixtures("fresh")
def test_listing_the_tasks_imports_nothing_heavy() -> None:
    before = set(sys.modules)
    importlib.import_module("tasks")
    assert top(set(sys.modules) - before) & HEAVY == set()
    assert "lifecycle" in sys.modules


@pytest.mark.usefixtures("fresh")
def test_every_task_has_a_first_line_and_a_help_for_every_argument() -> None:
    namespace = importlib.import_module("tasks").namespace
    for name in namespace.task_names:
        task = namespace[name]
        assert (task.__doc__ or "").splitlines()[0].endswith("."), name
        for argument in task.get_arguments():
            assert argument.help, f"{name} --{argument.name}"
