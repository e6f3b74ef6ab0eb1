"""The CUDA toolkit, for who compiles."""

import dataclasses

import pytest

from lifecycle.step import Command, Download
from lifecycle.steps import nvidia
from tests.unit.given import PATHS
from tests.unit.steps.nvidia_hosts import (
    UBUNTU,
    commands,
    linux,
    wsl,
)


@pytest.mark.parametrize(
    ("cuda", "package"),
    [("13.3", "cuda-toolkit-13-0"), ("12.9", "cuda-toolkit-12-9"), ("", "cuda-toolkit-13-0")],
)
def test_the_toolkit_is_one_that_the_driver_runs(cuda: str, package: str) -> None:
    found = nvidia.setup(wsl({"cuda": cuda}), PATHS, toolkit=True)[-1]
    assert isinstance(found.actions[-1], Command)
    assert found.actions[-1].argv[-1] == package
    assert found.by == "inv setup.cuda --toolkit"


def test_wsl_has_a_repository_of_its_own() -> None:
    download = nvidia.setup(wsl(), PATHS, toolkit=True)[-1].actions[0]
    assert isinstance(download, Download)
    assert "/wsl-ubuntu/" in download.url
    native = nvidia.setup(linux(), PATHS, toolkit=True)[-1].actions[0]
    assert isinstance(native, Download)
    assert "/ubuntu2404/" in native.url


def test_the_vendors_own_keyring_package_is_left_alone() -> None:
    on = wsl(packages={"cuda-keyring": "1.1-1"})
    assert not any(
        isinstance(a, Download) for a in nvidia.setup(on, PATHS, toolkit=True)[-1].actions
    )


def test_where_no_repository_is_known_it_is_said() -> None:
    on = linux(os=dataclasses.replace(UBUNTU, distro="debian", version="13"))
    found = nvidia.setup(on, PATHS, toolkit=True)[-1]
    assert (found.actions, found.by) == ((), "")
    assert "debian 13" in found.fix


def test_a_compiler_that_is_there_is_enough() -> None:
    assert commands(wsl({"cuda_toolkit": "12.8"}), toolkit=True) == []
    assert len(commands(wsl(), toolkit=True)) == 6
