from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle import tables
from lifecycle.gateway import files, routing
from lifecycle.gateway.members import Member
from lifecycle.host import DOCKER_SOCKET, Docker, Gateway, Host
from lifecycle.paths import ROOT, Paths
from lifecycle.step import Command, Step, WriteFile
from lifecycle.steps import gateway as steps
from lifecycle.steps import gateway_docker
from lifecycle.steps.gateway_form import PLACE, Wanted
from tests.unit import given

PATHS = Paths(root=ROOT, home=Path("/data"), models=Path("/data/models"))
SECRET = "sk-of-a-backend"
ROUTES = routing.text([Member("a", "http://a:8000", "gpu", 4, SECRET, ("m",))], [])
PLAIN = Wanted(8080, ROUTES)
CONTAINER = Wanted(8080, ROUTES, runtime="docker")
BOTH = pytest.mark.parametrize("wanted", [PLAIN, CONTAINER], ids=["plain", "container"])


def good(wanted: Wanted = PLAIN, **changes: Any) -> Host:
    """A gateway that runs as wanted, but for what changes."""
    digest = files.digest(steps.fixed(PATHS, wanted))
    running = Gateway(
        made_from=tables.gateway.traefik().fingerprint(), files=digest, runtime=wanted.runtime,
        state="RUNNING", since=1.0, started=digest, written=wanted.revision, live=wanted.revision,
        unkeyed=401, metrics=401,
    )  # fmt: skip
    image = frozenset({tables.gateway.image().pinned})
    docker = Docker(engine="29.0", compose="2.40", images=image, address=DOCKER_SOCKET)
    return given.host(gateway=replace(running, **changes), docker=docker)


def missing(wanted: Wanted, host: Host) -> dict[str, str]:
    return given.missing(steps.up(wanted, PATHS, host, given.TOOLS), host)


@BOTH
def test_a_gateway_as_wanted_misses_nothing(wanted: Wanted) -> None:
    assert missing(wanted, good(wanted)) == {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"taken": {8081: "python (pid 3)"}}, "port 8081 is taken by python (pid 3)"),
        ({"files": ""}, "missing or out of date"),
        ({"written": "0"}, "there is none, or another one"),
        ({"state": ""}, "it does not run"),
        ({"state": "FATAL", "detail": "no such file"}, "no such file"),
        ({"started": "0"}, "it was started with other files"),
        ({"live": ""}, "it is running a different configuration, or none"),
        ({"unkeyed": 200}, "a request without a key got 200 and not 401"),
        ({"unkeyed": 0}, "a request without a key got no answer and not 401"),
        ({"metrics": 200}, "/metrics answers with 200"),
    ],
)
@BOTH
def test_what_is_missing_is_said(wanted: Wanted, changes: dict[str, Any], why: str) -> None:
    assert list(missing(wanted, good(wanted, **changes)).values()) == [why]


def test_a_program_that_is_not_complete_is_missing() -> None:
    found = missing(PLAIN, good(made_from=""))
    assert list(found.values()) == ["it is not (completely)"]


@pytest.mark.parametrize(
    ("docker", "why"),
    [
        (Docker(problem="no docker"), "no docker"),
        (Docker(engine="29.0", compose="2.40", address=DOCKER_SOCKET), "not on this machine"),
        (Docker(engine="29.0", compose="2.40", address="ssh://box"), "the engine is elsewhere"),
        (
            Docker(
                engine="29.0", compose="2.40", address=DOCKER_SOCKET, security=frozenset({"userns"})
            ),
            "userns-remap",
        ),
        (
            Docker(
                engine="29.0",
                compose="2.40",
                address=DOCKER_SOCKET,
                security=frozenset({"selinux"}),
            ),
            "SELinux",
        ),
        (
            Docker(engine="29.0", compose="2.40", address="unix:///run/user/1000/docker.sock"),
            "a network of its own",
        ),
        (
            Docker(engine="29.0", compose="2.40", desktop=True, address=DOCKER_SOCKET),
            "a machine of its own",
        ),
    ],
)
def test_a_container_needs_an_engine_on_this_very_machine(docker: Docker, why: str) -> None:
    found = missing(CONTAINER, replace(good(CONTAINER), docker=docker))
    assert why in next(iter(found.values()))


def test_a_container_of_a_chosen_image_is_made_of_that() -> None:
    wanted = replace(CONTAINER, image="mirror.example/traefik:v3")
    assert list(missing(wanted, good(wanted))) == ["image.present"]
    assert gateway_docker.traefik(wanted, PATHS, good())[-1] == "mirror.example/traefik:v3"


def test_on_the_tailnet_a_container_does_not_come_back_before_its_rule() -> None:
    def restart(wanted: Wanted) -> str:
        (command,) = [
            one for one in gateway_docker.begin(wanted, PATHS, good()) if isinstance(one, Command)
        ]
        return command.env["RESTART"]

    assert restart(CONTAINER) == "unless-stopped"
    assert restart(replace(CONTAINER, address="100.64.0.1")) == "on-failure"


def test_a_trial_runs_in_its_own_folder_and_has_no_more_rights() -> None:
    words = gateway_docker.traefik(CONTAINER, PATHS, good())
    assert words[words.index("--workdir") + 1] == PLACE
    for word in ("--read-only", "no-new-privileges:true", "ALL"):
        assert word in words


@BOTH
def test_no_secret_is_in_a_command_and_files_are_private(wanted: Wanted) -> None:
    bare = Host(disks=given.host().disks)
    actions = list(given.actions(steps.up(wanted, PATHS, bare, given.TOOLS)))
    assert SECRET not in " ".join(map(str, actions))
    holding = [one for one in actions if isinstance(one, WriteFile) and SECRET in one.text]
    assert {one.mode for one in holding} == {0o600}
    assert holding


def test_a_dry_run_gets_through() -> None:
    """A step without actions would end it: what it asks for cannot be so yet."""
    bare = Host(disks=given.host().disks)
    unmet = [one for one in steps.up(PLAIN, PATHS, bare, given.TOOLS) if one.missing(bare)]
    assert len(unmet) > 3
    assert all(one.actions for one in unmet)


def test_a_configuration_is_tried_before_it_counts() -> None:
    (tried, _) = steps.reload(PLAIN, PATHS, good(), given.TOOLS)
    write, command = tried.actions
    assert isinstance(write, WriteFile)
    assert write.path.name == files.CANDIDATE
    assert isinstance(command, Command)
    assert command.argv[1:3] == ("trial.py", "try")


def test_only_a_running_gateway_is_outdated() -> None:
    assert not steps.outdated(PATHS, PLAIN, good())
    assert steps.outdated(PATHS, PLAIN, good(started="0"))
    assert not steps.outdated(PATHS, PLAIN, good(state="", started="0"))


def test_another_address_takes_a_new_start() -> None:
    assert steps.outdated(PATHS, replace(PLAIN, address="100.64.0.1"), good())


def test_another_runtime_takes_a_new_start() -> None:
    assert steps.outdated(PATHS, CONTAINER, good(PLAIN))
    assert steps.outdated(PATHS, PLAIN, good(CONTAINER))


def test_what_must_be_before_comes_after_the_files_and_before_the_start() -> None:
    rule = Step("a.rule", "a.rule", lambda _: "")
    names = [one.id for one in steps.up(PLAIN, PATHS, good(), given.TOOLS, [rule])]
    assert names.index("gateway.files") < names.index("a.rule")
    assert names.index("a.rule") + 1 == names.index("gateway.runs")


@BOTH
def test_fixed_files_are_those_that_are_compared(wanted: Wanted) -> None:
    assert set(steps.fixed(PATHS, wanted)) == set(files.FIXED[wanted.runtime])


def test_supervisord_gets_no_path_that_it_could_misread() -> None:
    odd = Paths(root=ROOT, home=Path("/a ;b %d/home"), models=Path("/m"))
    text = steps.fixed(odd, PLAIN)[files.SUPERVISOR]
    assert "/a ;b" not in text
    assert "command=../engines/gateway-" in text
