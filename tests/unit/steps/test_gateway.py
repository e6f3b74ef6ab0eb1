from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle import tables
from lifecycle.gateway import files, routing
from lifecycle.gateway.members import Member
from lifecycle.host import Gateway, Host
from lifecycle.paths import ROOT, Paths
from lifecycle.step import Command, Step, WriteFile
from lifecycle.steps import gateway as steps
from lifecycle.steps.gateway import Wanted
from tests.unit import given

PATHS = Paths(root=ROOT, home=Path("/data"), models=Path("/data/models"))
SECRET = "sk-of-a-backend"
ROUTES = routing.text([Member("a", "http://a:8000", "gpu", 4, SECRET, ("m",))], [])
WANTED = Wanted(8080, ROUTES)


def good(**changes: Any) -> Host:
    """A gateway that runs as wanted, but for what changes."""
    digest = files.digest(steps.fixed(PATHS, WANTED))
    running = Gateway(
        made_from=tables.gateway.traefik().fingerprint(), files=digest, state="RUNNING", since=1.0,
        started=digest, written=WANTED.revision, live=WANTED.revision, unkeyed=401, metrics=401,
    )  # fmt: skip
    return given.host(gateway=replace(running, **changes))


def missing(**changes: Any) -> dict[str, str]:
    host = good(**changes)
    return given.missing(steps.up(WANTED, PATHS, host, given.TOOLS), host)


def test_a_gateway_as_wanted_misses_nothing() -> None:
    assert missing() == {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"made_from": ""}, "it is not (completely)"),
        ({"taken": {8081: "python (pid 3)"}}, "port 8081 is taken by python (pid 3)"),
        ({"files": ""}, "they are not, or are others"),
        ({"written": "0"}, "there is none, or another one"),
        ({"state": ""}, "it does not run"),
        ({"state": "FATAL", "detail": "no such file"}, "no such file"),
        ({"started": "0"}, "it was started with other files"),
        ({"live": ""}, "it works by another configuration, or by none"),
        ({"unkeyed": 200}, "a request without a key got 200 and not 401"),
        ({"unkeyed": 0}, "a request without a key got no answer and not 401"),
        ({"metrics": 200}, "/metrics answers with 200"),
    ],
)
def test_what_is_missing_is_said(changes: dict[str, Any], why: str) -> None:
    assert list(missing(**changes).values()) == [why]


def test_no_secret_is_in_a_command_and_files_are_private() -> None:
    actions = list(given.actions(steps.up(WANTED, PATHS, Host(disks=given.host().disks),
                                          given.TOOLS)))  # fmt: skip
    assert SECRET not in " ".join(map(str, actions))
    holding = [one for one in actions if isinstance(one, WriteFile) and SECRET in one.text]
    assert {one.mode for one in holding} == {0o600}
    assert holding


def test_a_dry_run_gets_through() -> None:
    """A step without actions would end it: what it asks for cannot be so yet."""
    bare = Host(disks=given.host().disks)
    unmet = [one for one in steps.up(WANTED, PATHS, bare, given.TOOLS) if one.missing(bare)]
    assert len(unmet) > 3
    assert all(one.actions for one in unmet)


def test_a_configuration_is_tried_before_it_counts() -> None:
    (tried, _) = steps.reload(WANTED, PATHS)
    write, command = tried.actions
    assert isinstance(write, WriteFile)
    assert write.path.name == files.CANDIDATE
    assert isinstance(command, Command)
    assert command.argv[1:3] == ("trial.py", "try")


def test_only_a_running_gateway_is_outdated() -> None:
    assert not steps.outdated(PATHS, WANTED, good())
    assert steps.outdated(PATHS, WANTED, good(started="0"))
    assert not steps.outdated(PATHS, WANTED, good(state="", started="0"))


def test_another_address_takes_a_new_start() -> None:
    assert steps.outdated(PATHS, replace(WANTED, address="100.64.0.1"), good())


def test_what_must_be_before_comes_after_the_files_and_before_the_start() -> None:
    rule = Step("a rule", lambda _: "")
    names = [one.name for one in steps.up(WANTED, PATHS, good(), given.TOOLS, [rule])]
    assert names.index("the gateway's files are written") < names.index("a rule")
    assert names.index("a rule") + 1 == names.index("the gateway runs")


def test_fixed_files_are_those_that_are_compared() -> None:
    assert set(steps.fixed(PATHS, WANTED)) == set(files.FIXED)


def test_supervisord_gets_no_path_that_it_could_misread() -> None:
    odd = Paths(root=ROOT, home=Path("/a ;b %d/home"), models=Path("/m"))
    text = steps.fixed(odd, WANTED)[files.SUPERVISOR]
    assert "/a ;b" not in text
    assert "command=../engines/gateway-" in text
