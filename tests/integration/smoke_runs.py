"""Runs of the smoke suite against a double, and what became of each test."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.fake_vllm import Fault, Settings, fake_vllm

ROOT = Path(__file__).parent.parent.parent
KEY = "double-key"
MODEL = "double"
RUN_SECONDS = 120

# The imports take longer than the tests: one process does them, every run is a fork of it.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["openai.types.chat", "openai.resources.chat", "pytest", "requests"])


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without its own choice of a server."""
    foreign = ("SMOKE_", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    known = {"VLLM_API_KEY": KEY, "SERVED_NAME": MODEL, "MAX_MODEL_LEN": "4096"}
    return {**kept, **known, "SMOKE_TIMEOUT": "5", **changes}


def arguments(report: Path | None, tests: tuple[str, ...] = ("",)) -> list[str]:
    """Return pytest's arguments for the suite or some of its tests."""
    junit = [f"--junitxml={report}"] if report else []
    return ["-q", "-p", "no:cacheprovider", *junit, *(f"smoke/{test}" for test in tests)]


def run_suite(
    changes: Mapping[str, str], report: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the whole suite as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments(report)],
        cwd=ROOT,
        env=environment(changes),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )


def run_on_healthy(report: Path) -> dict[str, str]:
    """Run the whole suite on a healthy double and return how each test went."""
    with fake_vllm(Settings(model=MODEL, api_key=KEY)) as server:
        done = run_suite({"SMOKE_URL": server.url}, report)
    assert report.exists(), f"the suite did not run:\n{done.stdout}{done.stderr}"
    return read_report(report)


def run_on_broken(report: Path, fault: Fault, tests: tuple[str, ...]) -> dict[str, str]:
    """Run some tests on a double with one fault and return how each went."""
    log = report.with_suffix(".log")
    with fake_vllm(Settings(model=MODEL, api_key=KEY), faults=[fault]) as server:
        changes = environment({"SMOKE_URL": server.url})
        run = FORKS.Process(target=_run_here, args=(log, changes, arguments(report, tests)))
        run.start()
        run.join(RUN_SECONDS)
        run.kill()
        run.join()
    assert report.exists(), f"the suite did not run on {fault}:\n{log.read_text()}"
    return read_report(report)


def _run_here(log: Path, variables: dict[str, str], argv: list[str]) -> None:
    """Run pytest in this process, with all that it prints in a file."""
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(ROOT)
    # Plain asserts: what the preload has imported can no longer be rewritten.
    pytest.main(["--assert=plain", *argv])


def read_report(report: Path) -> dict[str, str]:
    """Return `passed`, `failure`, `error` or `skipped` for each test of a JUnit report."""
    outcomes = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        module = case.attrib["classname"].rsplit(".", 1)[-1]
        wrong = [child.tag for child in case if child.tag in {"failure", "error", "skipped"}]
        outcomes[f"{module}.py::{case.attrib['name']}"] = wrong[0] if wrong else "passed"
    return outcomes
