"""Docker's steps: who installs what, who is let in, what is left to a person."""

from dataclasses import replace
from typing import Any

import pytest

from lifecycle import tables
from lifecycle.errors import ConfigError, NotSupported, RestartNeeded
from lifecycle.host import Docker, Host, Os, Wsl
from lifecycle.step import Command, Download, Step, WriteFile
from lifecycle.steps import docker_engine, findings
from tests.unit import given
from tests.unit.given import PATHS, actions, missing

SOCKET = "unix:///var/run/docker.sock"
UBUNTU = Os(
    "linux", "x86_64", "Ubuntu 24.04.3 LTS", "ubuntu", "24.04", "noble", user="1000:1000",
    account="dev", groups=frozenset({"dev"}), listed=frozenset({"dev"}), apt=True, sudo=True,
    systemd=True,
)  # fmt: skip
DEBIAN = replace(UBUNTU, name="Debian 13", distro="debian", version="13", codename="trixie")
BOOKWORM = replace(DEBIAN, name="Debian 12", version="12", codename="bookworm")
NONE = Docker(address=SOCKET, context="default", problem="no Docker Engine is installed")
STOPPED = Docker(
    compose="2.26.1", cli="28.2.2", address=SOCKET, context="default",
    program="/usr/bin/docker", dockerd="/usr/bin/dockerd",
    problem="the Docker Engine does not answer\nit does not run: there is no socket",
)  # fmt: skip
CLOSED = replace(
    STOPPED, denied=True, running=True, socket="root:docker",
    problem="this account may not talk to the Docker Engine\nthe socket belongs to root:docker",
)  # fmt: skip
READY = replace(STOPPED, engine="28.2.2", problem="", folder="/var/lib/docker")
DESKTOP = Docker(
    desktop=True, address=SOCKET, context="default",
    problem="Docker Desktop does not run, or does not let this system in",
)  # fmt: skip
DOCKER_IO = {"docker.io": "28.2.2"}


def machine(docker: Docker = NONE, os: Os = UBUNTU, **more: Any) -> Host:
    return Host(os=os, docker=docker, **more)


def setup(host: Host, source: str = "") -> list[Step]:
    return docker_engine.setup(host, PATHS, source)


def todo(host: Host, source: str = "") -> list[str]:
    """The commands of `inv --dry setup.docker`."""
    lacking = [step for step in setup(host, source) if step.missing(host)]
    return [str(action) for action in actions(lacking)]


def told(host: Host) -> dict[str, findings.Finding]:
    """The doctor's lines about what is not so."""
    found = findings.examine(docker_engine.steps(host, PATHS), host)
    return {one.id: one for one in found if one.state != findings.OK}


def stops(host: Host, source: str = "") -> Step:
    """The step at which a person must act."""
    return next(s for s in setup(host, source) if s.missing(host) and not s.actions)


@pytest.mark.parametrize("os", [UBUNTU, DEBIAN, BOOKWORM, replace(UBUNTU, root=True)])
def test_an_engine_that_answers_needs_nothing(os: Os) -> None:
    host = machine(READY, os)
    assert missing(setup(host), host) == {}
    assert told(host) == {}
    last = docker_engine.steps(host, PATHS)[-1]
    assert last.found(host) == "Engine 28.2.2, Compose 2.26.1"


def test_a_fresh_ubuntu_is_set_up_with_its_own_packages() -> None:
    update, install, start, *group, show = todo(machine())
    assert update == "sudo apt-get update -q"
    assert install.startswith("sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y ")
    assert install.endswith(" docker.io docker-compose-v2 ca-certificates")
    assert start == "sudo systemctl enable --now docker.service"
    assert group == ["sudo groupadd --system --force docker", "sudo usermod -aG docker dev"]
    assert show == "docker version"


def test_the_doctor_leaves_a_fresh_machine_to_the_setup_command() -> None:
    lines = told(machine())
    assert {one.state for one in lines.values()} == {findings.WORK}
    assert {one.by for one in lines.values()} == {"inv setup.docker"}


def test_root_needs_neither_sudo_nor_a_group() -> None:
    commands = todo(machine(os=replace(DEBIAN, root=True)))
    assert not any("sudo" in one or "usermod" in one for one in commands)
    assert any(
        one.endswith("docker.io docker-cli docker-compose ca-certificates") for one in commands
    )


@pytest.mark.parametrize(
    ("os", "source", "engine"),
    [
        (UBUNTU, "", "docker.io"),
        (replace(UBUNTU, version="22.04", codename="jammy"), "", "docker.io"),
        (replace(UBUNTU, version="26.04", codename="resolute"), "", "docker.io"),
        (DEBIAN, "", "docker.io"),
        (BOOKWORM, "", "docker-ce"),
        (UBUNTU, "vendor", "docker-ce"),
        (DEBIAN, "distribution", "docker.io"),
    ],
)
def test_where_the_packages_come_from(os: Os, source: str, engine: str) -> None:
    (install,) = [one for one in todo(machine(os=os), source) if " install -q " in one]
    assert engine in install.split()


def test_the_vendors_repository_is_signed_and_comes_before_its_packages() -> None:
    host = machine(os=BOOKWORM)
    (step,) = [one for one in setup(host) if one.id == "docker.repository"]
    key, put, sources, last = step.actions
    assert isinstance(key, Download)
    assert key.url == "https://download.docker.com/linux/debian/gpg"
    assert len(key.sha256) == 64
    assert str(put) == f"sudo install -D -m 644 {key.path} /etc/apt/keyrings/docker.asc"
    assert isinstance(sources, WriteFile)
    assert "Suites: bookworm\n" in sources.text
    assert "Signed-By: /etc/apt/keyrings/docker.asc\n" in sources.text
    assert str(last).endswith(" /etc/apt/sources.list.d/docker.sources")
    names = [one.id for one in setup(host)]
    assert names.index(step.id) < names.index("docker.installed")


@pytest.mark.parametrize(
    ("repository", "known"),
    [
        ("Types: deb\nURIs: https://download.docker.com/linux/debian\nSuites: bookworm", True),
        ("deb https://download.docker.com/linux/debian bookworm stable", True),
        ("URIs: https://download.docker.com/linux/debian\nSuites: bookworm\nEnabled: no", False),
        ("deb https://download.docker.com/linux/debian bullseye stable", False),
        ("deb https://download.docker.com/linux/ubuntu bookworm stable", False),
        ("", False),
    ],
)
def test_a_repository_that_apt_knows_is_not_written_again(repository: str, *, known: bool) -> None:
    host = machine(replace(NONE, repository=repository), BOOKWORM)
    assert any("docker.sources" in one for one in todo(host)) is not known


def test_an_engine_of_the_vendors_stays_the_vendors() -> None:
    """Compose v2 is what is missing: it must come from where the engine came from."""
    half = replace(READY, compose="", problem="`docker compose` (v2) is missing")
    commands = todo(machine(half, packages={"docker-ce": "5:28.2.2"}))
    assert any("docker-compose-plugin" in one for one in commands)
    assert not any("docker-compose-v2" in one for one in commands)


def test_what_a_person_installed_only_a_person_removes() -> None:
    """Debian 12: its own engine with Compose v1; Compose v2 is the vendor's."""
    half = replace(READY, compose="", compose_v1="1.29.2", problem="docker-compose 1.29.2 is v1")
    host = machine(half, BOOKWORM, packages=DOCKER_IO | {"docker-compose": "1.29.2-3"})
    step = stops(host)
    assert step.missing(host) == "docker.io, docker-compose cannot stay beside docker-ce"
    assert "sudo apt-get remove docker.io docker-compose " in step.fix
    (said,) = told(host).values()
    assert (said.state, said.fix) == (findings.PERSON, step.fix)


def test_podman_under_dockers_name_stands_in_the_way() -> None:
    host = machine(replace(NONE, podman=True), packages={"podman-docker": "4.3.1"})
    assert "sudo apt-get remove podman-docker " in stops(host).fix


def test_a_working_engine_is_not_exchanged_unless_it_is_wished() -> None:
    host = machine(READY, packages=DOCKER_IO)
    assert todo(host) == []
    assert "docker.io cannot stay beside docker-ce" in stops(host, "vendor").missing(host)


@pytest.mark.parametrize(
    ("source", "words"), [("vender", "--source vendor?"), ("zz", "Leave it out")]
)
def test_an_unknown_source_is_refused(source: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        setup(machine(), source)
    assert words in refused.value.fix


def test_debian_12_has_no_compose_v2_of_its_own() -> None:
    with pytest.raises(
        NotSupported, match="no distribution packages with Compose v2 for Debian 12"
    ):
        setup(machine(os=BOOKWORM), "distribution")


@pytest.mark.parametrize(
    "os", [replace(UBUNTU, distro="fedora", apt=False), replace(UBUNTU, version="20.04")]
)
def test_where_we_know_no_packages_a_person_gets_the_page(os: Os) -> None:
    assert "https://docs.docker.com/engine/install/" in stops(machine(os=os)).fix
    assert stops(machine(os=os)).id == "docker.installed"
    # What is installed there is started all the same.
    assert todo(machine(STOPPED, os))[0] == "sudo systemctl enable --now docker.service"


def test_without_systemd_the_engine_is_started_by_its_script_and_waited_for() -> None:
    host = machine(STOPPED, replace(UBUNTU, systemd=False, groups=frozenset({"docker"})))
    start, wait = todo(host)[:2]
    assert start.startswith("sudo sh -c 'service docker start || ")
    assert wait.startswith("sudo timeout 60 sh -c 'until docker version ")


def test_who_is_not_in_the_group_is_put_into_it_and_must_log_in_anew() -> None:
    host = machine(CLOSED)
    assert todo(host)[:2] == [
        "sudo groupadd --system --force docker",
        "sudo usermod -aG docker dev",
    ]
    (step,) = [one for one in setup(host) if one.restart]
    assert "Log out and in again" in step.restart
    (said,) = told(host).values()
    assert (said.state, said.detail) == (findings.WORK, "dev is not in the group docker")


def test_under_wsl_a_new_login_is_a_shutdown() -> None:
    (step,) = [one for one in setup(machine(CLOSED, replace(UBUNTU, wsl=True))) if one.restart]
    assert "wsl.exe --shutdown" in step.restart


def test_who_was_put_into_it_already_is_only_told_to_log_in_anew() -> None:
    host = machine(CLOSED, replace(UBUNTU, listed=frozenset({"dev", "docker"})))
    step = stops(host)
    assert (step.id, step.failure) == ("docker.group_in_force", RestartNeeded)
    assert "Log out and in again" in step.fix
    assert todo(host) == []


def test_a_socket_of_roots_alone_is_opened_to_the_group() -> None:
    """failures.jsonl: docker-sock-permission-root-root-wsl (Rancher Desktop under WSL)."""
    rancher = replace(CLOSED, socket="root:root", dockerd="", running=False)
    host = machine(rancher, replace(UBUNTU, wsl=True))
    assert todo(host) == [
        "sudo groupadd --system --force docker",
        "sudo usermod -aG docker dev",
        "sudo chgrp docker /var/run/docker.sock",
        "sudo chmod 660 /var/run/docker.sock",
        "docker version",
    ]


def test_a_socket_with_a_group_of_its_own_keeps_it() -> None:
    host = machine(replace(CLOSED, socket="root:containers"))
    assert "sudo usermod -aG containers dev" in todo(host)


@pytest.mark.parametrize(
    ("address", "context", "by"),
    [
        ("tcp://192.0.2.7:2375", "", "DOCKER_HOST leads to tcp://192.0.2.7:2375"),
        ("ssh://dev@box", "far", "the context far leads to ssh://dev@box"),
        ("unix:///run/user/1000/docker.sock", "rootless", "the context rootless leads to"),
    ],
)
def test_an_engine_elsewhere_is_for_a_person(address: str, context: str, by: str) -> None:
    host = machine(replace(STOPPED, address=address, context=context))
    step = stops(host)
    assert step.missing(host).startswith(by)
    assert ("docker context use default" if context else "unset DOCKER_HOST") in step.fix


@pytest.mark.parametrize(
    ("address", "context"),
    [("unix:///run/user/1000/docker.sock", "rootless"), ("tcp://127.0.0.1:2375", "")],
)
def test_another_engine_of_this_machine_is_fine_when_it_answers(address: str, context: str) -> None:
    host = machine(replace(READY, address=address, context=context))
    assert missing(setup(host), host) == {}


WSL = replace(UBUNTU, wsl=True)
INTEGRATED = replace(DESKTOP, program="/mnt/wsl/docker-desktop/cli-tools/usr/bin/docker")


@pytest.mark.parametrize("docker", [DESKTOP, INTEGRATED])
def test_docker_desktop_is_left_alone(docker: Docker) -> None:
    """failures.jsonl: docker-not-found-wsl-desktop-stopped."""
    host = machine(docker, WSL, wsl=Wsl(generation=2, distribution="Ubuntu-24.04"))
    assert not any("apt-get" in one or "systemctl" in one for one in todo(host))
    (line,) = [one for one in told(host).values() if one.state == findings.PERSON]
    assert "Start Docker Desktop in Windows" in line.fix
    assert "switch Ubuntu-24.04 on" in line.fix
    assert "inv setup.docker --source=distribution" in line.fix


def test_docker_desktop_that_answers_is_all_that_is_needed() -> None:
    host = machine(replace(READY, desktop=True, dockerd=""), WSL)
    assert missing(setup(host), host) == {}
    assert docker_engine.answers(host).found(host).startswith("Docker Desktop 28.2.2")


def test_an_engine_beside_docker_desktop_is_installed_only_when_it_is_wished() -> None:
    assert any("docker.io" in one for one in todo(machine(DESKTOP, WSL), "distribution"))
    step = stops(machine(INTEGRATED, WSL), "distribution")
    assert step.id == "docker.desktop_off"
    assert "WSL integration" in step.fix


def test_wsl_1_is_no_ground_for_docker() -> None:
    """failures.jsonl: docker-not-found-wsl1."""
    step = stops(machine(os=WSL, wsl=Wsl(generation=1)))
    assert step.id == "wsl.generation"
    assert "wsl --set-version" in step.fix
    (said,) = told(machine(os=WSL, wsl=Wsl(generation=1))).values()
    assert (said.id, said.fix) == (step.id, step.fix)


@pytest.mark.parametrize(
    ("docker", "os"),
    [(NONE, UBUNTU), (STOPPED, UBUNTU), (CLOSED, UBUNTU), (DESKTOP, WSL), (NONE, Os("linux"))],
)
def test_the_doctor_has_one_line_about_a_docker_that_does_not_answer(
    docker: Docker, os: Os
) -> None:
    host = machine(docker, os)
    assert list(told(host)) == [docker_engine.answers(host).id]


def test_who_only_has_to_log_in_anew_is_not_sent_to_a_command_that_says_so() -> None:
    waiting = replace(UBUNTU, listed=UBUNTU.groups | {"docker"})
    fix = docker_engine.answers(machine(CLOSED, waiting)).fix
    assert "Log out and in again" in fix
    assert "inv setup.docker" not in fix
    assert "inv setup.docker" in docker_engine.answers(machine(CLOSED)).fix


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_there_is_nothing_to_set_up_where_vllm_does_not_run(system: str) -> None:
    host = machine(os=Os(system))
    assert docker_engine.steps(host, PATHS) == []
    assert stops(host).id == "system.linux"


def test_a_look_that_ran_out_of_time_is_not_taken_for_good() -> None:
    host = Host(os=UBUNTU, unread={"docker": "no answer in 1.8 s"})
    assert docker_engine.answers(host).missing(host) == "no answer in 1.8 s"
    assert docker_engine.answers(Host()).missing(Host()) == "Docker was not looked at"


def test_every_row_can_be_looked_up_and_says_where_it_is_from() -> None:
    rows = tables.rows.load_file("docker.toml")["docker"]
    for row in rows:
        for version in row["versions"]:
            found = tables.docker.packages(row["distro"], version)
            assert any(one.provider == row["provider"] for one in found)
        assert row["source"]
        assert row["checked"]
        assert row["verified"] in {"tested", "documented", "reported"}
        assert not set(row["packages"]) & set(row["conflicts"])
        assert bool(row.get("repository")) == bool(row.get("key_sha256"))


def performed(host: Host, step: Step) -> Host:
    """A machine on which the actions of a step did what they are for."""
    docker, os, packages = host.docker, host.os, dict(host.packages)
    for action in step.actions:
        words = action.argv if isinstance(action, Command) else ()
        if "install" in words and "apt-get" in words:
            packages |= dict.fromkeys(words, "1")
            docker = replace(STOPPED, repository=docker.repository)
        if "usermod" in words:
            listed = os.listed | {words[words.index("-aG") + 1]}
            os = replace(os, listed=listed, groups=listed)
        if "chgrp" in words:
            docker = replace(docker, socket="root:docker")
        if "systemctl" in words or "service docker start" in " ".join(words):
            docker = replace(docker, denied=True, running=True, socket="root:docker")
        if isinstance(action, WriteFile):
            docker = replace(docker, repository=action.text)
        if os.root or docker.socket.partition(":")[2] in os.groups:
            docker = replace(docker, engine="28", denied=False, problem="")
    return replace(host, docker=docker, os=os, packages=packages)


@pytest.mark.parametrize(
    ("docker", "root"),
    [
        (NONE, True),
        (STOPPED, True),
        (NONE, False),
        (STOPPED, False),
        (CLOSED, False),
        (replace(CLOSED, socket="root:root"), False),
    ],
)
@pytest.mark.parametrize("os", [UBUNTU, DEBIAN, BOOKWORM, replace(DEBIAN, systemd=False)])
def test_after_the_plan_there_is_nothing_left_to_do(os: Os, docker: Docker, *, root: bool) -> None:
    host = machine(docker, replace(os, root=root))
    assert todo(host)
    for step in setup(host):
        if step.missing(host):
            assert step.actions, step.name
            host = performed(host, step)
            assert step.missing(host) == "", step.name
    assert missing(setup(host), host) == {}
    assert todo(host) == []


def test_an_engine_that_did_not_answer_in_time_is_not_installed_anew() -> None:
    late = "no answer in 1.4 s"
    for hung in (
        given.host(docker=Docker(), unread={"docker": late}),
        given.host(docker=Docker(hung=True, problem=late)),
    ):
        for plan in (docker_engine.steps(hung, PATHS), docker_engine.setup(hung, PATHS, "")):
            assert not [step for step in plan if step.actions]
            assert missing(plan, hung) == {docker_engine.ANSWERS_ID: late}


@pytest.mark.parametrize(
    ("context", "address", "way"),
    [
        ("", "unix:///run/user/1000/podman/podman.sock", "unset DOCKER_HOST"),
        ("podman", "unix:///run/user/1000/podman/podman.sock", "docker context use default"),
        ("default", SOCKET, "apt-get remove podman-docker"),
    ],
)
def test_podman_in_the_engines_place_is_refused_with_the_way_back(
    context: str, address: str, way: str
) -> None:
    podman = replace(
        READY, compose="2.37.1", context=context, address=address, foreign=True,
        problem="Podman answers in the place of the Docker Engine",
    )  # fmt: skip
    host = machine(podman)
    (line,) = told(host).values()
    assert line.state == findings.PERSON
    assert "Podman answers" in line.detail
    assert way in line.fix
    assert "inv setup.docker" in line.fix
    assert "--runtime venv" in line.fix
    assert todo(host) == []
    assert way in docker_engine.answers(host).fix
