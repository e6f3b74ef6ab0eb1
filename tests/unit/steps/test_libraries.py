"""System libraries: installed by root on Debian, named to everybody else."""

import dataclasses

import pytest

from lifecycle.step import Command
from lifecycle.steps import libraries
from tests.unit.given import host, missing


def test_a_library_that_loads_needs_nothing() -> None:
    assert missing(libraries.steps("cpu", host()), host()) == {}


@pytest.mark.parametrize(
    ("root", "apt", "acts"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_only_root_with_apt_installs_it(*, root: bool, apt: bool, acts: bool) -> None:
    on = host(libraries=frozenset(), os=dataclasses.replace(host().os, root=root, apt=apt))
    (step,) = libraries.steps("cpu", on)
    assert step.missing(on) == "vLLM needs libnuma.so.1, not found here"
    assert "sudo apt-get install -y libnuma1" in step.fix
    argv = [action.argv for action in step.actions if isinstance(action, Command)]
    assert bool(argv) is acts
    assert not acts or argv[-1][-1] == "libnuma1"
