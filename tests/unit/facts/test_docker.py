"""What Docker says, in the words it was heard saying it."""

import json
from typing import Any

import docker
import pytest
import requests
from docker.errors import DockerException
from urllib3.exceptions import NewConnectionError, ProtocolError

from lifecycle import engine
from lifecycle.facts import docker as facts
from lifecycle.host import Docker
from lifecycle.machine import Replay
from lifecycle.shell import Output

SOCKET = "unix:///var/run/docker.sock"
# Recorded here: Docker Engine 26.1.5 of Debian 13, asked by docker-py 7.2.
INFO = {
    "CDISpecDirs": [],
    "DiscoveredDevices": None,
    "DockerRootDir": "/var/lib/docker",
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "Runtimes": ["io.containerd.runc.v2", "runc"],
    "SecurityOptions": ["name=seccomp,profile=builtin"],
    "ServerVersion": "26.1.5+dfsg1",
}
HEARD = {
    "ENOENT": "Error while fetching server API version: ('Connection aborted.', "
    "FileNotFoundError(2, 'No such file or directory'))",
    "EACCES": "Error while fetching server API version: ('Connection aborted.', "
    "PermissionError(13, 'Permission denied'))",
    "ECONNREFUSED": "Error while fetching server API version: ('Connection aborted.', "
    "ConnectionRefusedError(111, 'Connection refused'))",
    "ETIMEDOUT": "Error while fetching server API version: UnixHTTPConnectionPool("
    "host='localhost', port=None): Read timed out. (read timeout=1)",
}
HERE = {
    "run: docker --version": Output(0, "Docker version 28.2.2, build e6534b4\n"),
    "run: docker compose version --short": Output(0, "2.26.1-4\n"),
    "ask: docker.program": Output(0, '"/usr/bin/docker"'),
    "ask: docker.dockerd": Output(0, '"/usr/sbin/dockerd"'),
    "ask: docker.free": Output(0, "70000000000"),
}
# github.com/docker/getting-started/issues/409 and docker/docs/issues/11099.
WSL2_SCRIPT = (
    "The command 'docker' could not be found in this WSL 2 distro.\n"
    "We recommend to activate the WSL integration in Docker Desktop settings.\n\n"
    "For details about using Docker Desktop with WSL 2, visit:\n\nhttps://docs.docker.com/go/wsl2/\n"
)
WSL1_SCRIPT = (
    "The command 'docker' could not be found in this WSL 1 distro.\n"
    "We recommend to convert this distro to WSL 2 and activate\n"
    "the WSL integration in Docker Desktop settings.\n"
)


def asked(**said: Any) -> dict[str, Output]:
    told = {"context": "default", "address": SOCKET, **said}
    return {"ask: docker.engine": Output(0, json.dumps(told))}


def silent(failure: str, **said: Any) -> dict[str, Output]:
    return asked(failure=failure, said=HEARD.get(failure, ""), limit=1, **said)


def look(*parts: dict[str, Output]) -> Docker:
    return facts.look(Replay({key: text for part in parts for key, text in part.items()}))


def test_an_engine_that_answers() -> None:
    seen = look(HERE, asked(info=INFO, images=["vllm-cpu-local:0.32.0"]))
    assert (seen.engine, seen.compose, seen.cli) == ("26.1.5+dfsg1", "2.26.1-4", "28.2.2")
    assert (seen.problem, seen.desktop, seen.denied, seen.context) == ("", False, False, "default")
    assert (seen.folder, seen.free) == ("/var/lib/docker", 70000000000)
    assert seen.images == {"vllm-cpu-local:0.32.0"}
    assert seen.runtimes == {"io.containerd.runc.v2", "runc"}
    assert not seen.devices


def test_devices_are_those_of_cdi() -> None:
    # moby/moby, api/types/system: DeviceInfo of API 1.50.
    found = [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}, {"Source": "other", "ID": "x"}]
    seen = look(HERE, asked(info=INFO | {"DiscoveredDevices": found}))
    assert seen.devices == {"nvidia.com/gpu=all"}


FOLDERS = INFO | {"CDISpecDirs": ["/etc/cdi", "/var/run/cdi"]}
DESCRIBED = {"ask: docker.cdi": Output(0, '["nvidia.com/gpu=all"]')}


def test_of_an_engine_that_lists_none_the_folders_of_cdi_are_read() -> None:
    assert look(HERE, DESCRIBED, asked(info=FOLDERS)).devices == {"nvidia.com/gpu=all"}
    # The default before 28.2: what is described there, the engine does not look at.
    assert not look(HERE, DESCRIBED, asked(info=INFO)).devices


@pytest.mark.parametrize(
    "elsewhere", [{"OperatingSystem": "Docker Desktop"}, {"address": "tcp://192.0.2.1:2375"}]
)
def test_folders_of_an_engine_elsewhere_are_not_those_of_this_machine(
    elsewhere: dict[str, str],
) -> None:
    address = elsewhere.pop("address", SOCKET)
    assert not look(HERE, DESCRIBED, asked(info=FOLDERS | elsewhere, address=address)).devices


def test_docker_desktop_that_answers() -> None:
    seen = look(HERE, asked(info=INFO | {"OperatingSystem": "Docker Desktop"}))
    assert (seen.desktop, seen.problem) == (True, "")


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ("ENOENT", "it does not run: there is no unix:///var/run/docker.sock (context default)"),
        ("ECONNREFUSED", "it does not run: nobody listens at unix:///var/run/docker.sock"),
        ("ETIMEDOUT", "no answer in 1 s at unix:///var/run/docker.sock (context default): it is"),
    ],
)
def test_why_an_engine_that_is_installed_does_not_answer(failure: str, words: str) -> None:
    seen = look(HERE, silent(failure))
    assert seen.problem.startswith(f"the Docker Engine does not answer\n{words}")
    assert (seen.engine, seen.denied, seen.dockerd) == ("", False, "/usr/sbin/dockerd")


def test_docker_host_is_named_where_it_decided() -> None:
    seen = look(HERE, silent("ENOENT", context="", address="unix:///tmp/other.sock"))
    assert "there is no unix:///tmp/other.sock (from DOCKER_HOST)" in seen.problem


def test_a_context_that_is_gone_is_told() -> None:
    seen = look(HERE, asked(failure="", said="there is no context gone", context="gone"))
    assert seen.problem == "the Docker Engine does not answer\nthere is no context gone"


@pytest.mark.parametrize("owner", ["root:docker", "root:root"])
def test_a_closed_socket_is_told_with_its_owner(owner: str) -> None:
    pid = {"file: /run/docker.pid": Output(0, "613"), "exists: /proc/613": Output(0, "")}
    seen = look(HERE, silent("EACCES"), pid, {"ask: docker.socket": Output(0, f'"{owner}"')})
    assert (seen.denied, seen.running, seen.socket) == (True, True, owner)
    assert seen.problem == (
        "this account may not talk to the Docker Engine\n"
        f"the socket unix:///var/run/docker.sock belongs to {owner}"
    )


def test_a_pid_file_that_outlived_its_engine_counts_for_nothing() -> None:
    assert not look(HERE, silent("EACCES"), {"file: /run/docker.pid": Output(0, "613")}).running


def test_a_machine_without_docker() -> None:
    seen = look(silent("ENOENT"))
    assert (seen.problem, seen.cli, seen.compose) == ("no Docker Engine is installed", "", "")


@pytest.mark.parametrize("said", [WSL2_SCRIPT, WSL1_SCRIPT])
def test_docker_desktop_that_is_stopped_leaves_a_script_on_the_path_of_windows(said: str) -> None:
    script = {
        "run: docker --version": Output(1, said),
        "run: docker compose version --short": Output(1, said),
        "ask: docker.program": Output(
            0, '"/mnt/c/Program Files/Docker/Docker/resources/bin/docker"'
        ),
    }
    seen = look(script, silent("ENOENT"))
    assert seen.desktop
    assert seen.problem == "Docker Desktop does not run, or does not let this system in"


def test_docker_desktop_that_is_stopped_leaves_a_link_to_nowhere() -> None:
    link = {"ask: docker.program": Output(0, '"/mnt/wsl/docker-desktop/cli-tools/usr/bin/docker"')}
    assert look(link, silent("ENOENT")).desktop
    # An engine of the distribution's own is what counts, whatever Windows has.
    own = {"ask: docker.dockerd": Output(0, '"/usr/bin/dockerd"')}
    assert not look(link, own, silent("ENOENT")).desktop


def test_docker_desktop_on_linux_shows_in_the_context() -> None:
    where = "unix:///home/user/.docker/desktop/docker.sock"
    assert look(silent("ENOENT", context="desktop-linux", address=where)).desktop


COMPOSE_MISSING = {
    # Recorded here: the command line 28.2.2 without the plugin.
    "run: docker compose version --short": Output(
        125,
        "",
        "unknown flag: --short\n\nUsage:  docker [OPTIONS] COMMAND [ARG...]\n\n"
        "Run 'docker --help' for more information\n",
    ),
}


def test_compose_v1_is_told_apart() -> None:
    # docs.docker.com/compose/releases/migrate/: the spelling of 1.29.2.
    old = {
        "run: docker-compose --version": Output(0, "docker-compose version 1.29.2, build 5becea4c")
    }
    seen = look(HERE, asked(info=INFO), COMPOSE_MISSING, old)
    assert (seen.compose, seen.compose_v1) == ("", "1.29.2")
    assert "docker-compose 1.29.2 is Compose v1" in seen.problem
    neither = look(HERE, asked(info=INFO), COMPOSE_MISSING)
    assert neither.problem == "`docker compose` (v2) is missing\nunknown flag: --short"


def test_podman_under_dockers_name_is_told() -> None:
    said = "Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg.\n"
    shim = {
        "run: docker --version": Output(0, "podman version 4.3.1\n", said),
        "run: docker compose version --short": Output(125, "", said),
    }
    seen = look(shim, silent("ENOENT", context="default"))
    assert (seen.podman, seen.problem) == (True, "no Docker Engine is installed")
    assert "Podman's" in look(HERE, shim, asked(info=INFO)).problem


def test_the_vendors_repository_counts_unless_it_is_commented_out() -> None:
    line = "deb [signed-by=/etc/apt/keyrings/docker.gpg] https://download.docker.com/linux/ubuntu"
    file = "file: /etc/apt/sources.list.d/docker.list"
    assert look(HERE, {file: Output(0, f"{line} noble stable\n")}).repository == (
        f"{line} noble stable"
    )
    assert (
        look(HERE, {file: Output(0, f"# {line} noble stable # disabled on upgrade")}).repository
        == ""
    )


def test_what_could_not_be_asked_at_all_is_a_problem() -> None:
    assert look(HERE).problem == "the Docker Engine does not answer\nit could not be asked"


def wrapped(error: Exception) -> DockerException:
    """As docker-py does it: its own error, with that of requests as the cause."""
    made = DockerException(f"Error while fetching server API version: {error}")
    made.__cause__ = error
    return made


def aborted(error: OSError) -> DockerException:
    return wrapped(requests.ConnectionError(ProtocolError("Connection aborted.", error)))


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (aborted(FileNotFoundError(2, "No such file or directory")), "ENOENT"),
        (aborted(PermissionError(13, "Permission denied")), "EACCES"),
        (aborted(ConnectionRefusedError(111, "Connection refused")), "ECONNREFUSED"),
        (wrapped(requests.ReadTimeout("Read timed out. (read timeout=1)")), "ETIMEDOUT"),
        # The first answer came, the second did not: requests' own error, not Docker's.
        (requests.ReadTimeout("Read timed out. (read timeout=1)"), "ETIMEDOUT"),
        (DockerException("Install paramiko package to enable ssh:// support"), ""),
        (requests.ConnectionError(NewConnectionError(None, "refused")), ""),  # type: ignore[arg-type]
    ],
)
def test_a_failure_is_told_by_name(
    error: Exception, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: object) -> None:
        raise error

    monkeypatch.setattr(docker, "from_env", fails)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_HOST", "unix:///tmp/some.sock")
    said = engine.about(1)
    assert (said["failure"], said["address"]) == (name, "unix:///tmp/some.sock")


class Client:
    """An engine that tells more than anybody should write down."""

    def __init__(self, **_: object) -> None:
        self.api = self

    def info(self) -> dict[str, Any]:
        private = {"Name": "my-laptop", "HttpProxy": "http://me:secret@proxy", "Labels": ["mine"]}
        return {**INFO, **private, "Runtimes": {"runc": {"path": "runc"}, "nvidia": {}}}

    def images(self) -> list[dict[str, Any]]:
        return [{"RepoTags": ["a:1"], "RepoDigests": None}, {"RepoTags": None}]

    def version(self) -> dict[str, Any]:
        return {"Components": [{"Name": "Engine", "Details": {"KernelVersion": "my-kernel"}}]}

    def close(self) -> None:
        pass


def test_only_what_is_read_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "from_env", Client)
    monkeypatch.setenv("DOCKER_HOST", SOCKET)
    said = engine.about()
    assert "secret" not in json.dumps(said)
    assert "my-laptop" not in json.dumps(said)
    assert "my-kernel" not in json.dumps(said)
    assert said["components"] == ["Engine"]
    assert facts.parse(said).runtimes == {"nvidia", "runc"}
    assert facts.parse(said).images == {"a:1"}


def test_a_context_that_is_gone_is_not_taken_for_the_local_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(docker, "from_env", Client)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    said = engine.about()
    assert (said["said"], "info" in said) == ("there is no context gone", False)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Docker version 28.2.2, build e6534b4", "28.2.2"),
        ("Docker version 20.10.24+dfsg1, build 297e128", "20.10.24+dfsg1"),
        ("podman version 4.3.1", "4.3.1"),
        ("docker-compose version 1.29.2, build unknown", "1.29.2"),
        ("Docker Compose version v2.26.1", "2.26.1"),
        (WSL2_SCRIPT, ""),
        ("", ""),
    ],
)
def test_a_version_is_read(text: str, number: str) -> None:
    assert facts.version(text) == number


def test_a_command_line_that_hangs_tells_nothing_about_what_is_installed() -> None:
    late = Output(124, "", "docker: no answer in 1.3 s")
    seen = facts.look(Replay({"run: docker --version": late}))
    assert seen == Docker(hung=True, problem="docker: no answer in 1.3 s")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.40.3\n", "2.40.3"),
        ("v2.40.3", "2.40.3"),
        ("WARNING: Error loading config file: permission denied\n2.37.1+ds1-0ubuntu2~24.04.1\n",
         "2.37.1+ds1-0ubuntu2~24.04.1"),
        ("docker-compose version 1.29.2, build 5becea4c", ""),
        ("unknown command: docker compose", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_version_of_compose_beside_warnings(text: str, version: str) -> None:
    assert facts.compose_version(text) == version


@pytest.mark.parametrize("answer", [None, [], {"Components": None}, {"Components": [None]}, {}])
def test_an_engine_that_does_not_tell_its_parts_is_asked_no_more(
    monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setattr(docker, "from_env", Client)
    monkeypatch.setattr(Client, "version", lambda _: answer)
    monkeypatch.setenv("DOCKER_HOST", SOCKET)
    assert engine.about()["components"] == []


@pytest.mark.parametrize(
    ("options", "selinux", "rootless", "remapped"),
    [
        (["name=seccomp,profile=builtin", "name=selinux", "name=cgroupns"], True, False, False),
        (["name=rootless", "name=selinux"], True, True, False),
        (["name=apparmor", "name=userns"], False, False, True),
        (["name=rootless", "name=userns"], False, True, False),
        (["name=seccomp,profile=selinux"], False, False, False),
        (["seccomp"], False, False, False),
        (None, False, False, False),
    ],
)
def test_what_secures_its_containers(
    options: object, *, selinux: bool, rootless: bool, remapped: bool
) -> None:
    seen = facts.parse({"address": SOCKET, "info": {**INFO, "SecurityOptions": options}})
    assert (seen.selinux, seen.rootless, seen.remapped) == (selinux, rootless, remapped)


@pytest.mark.parametrize(
    ("address", "components", "podman"),
    [
        ("unix:///run/user/1000/podman/podman.sock", [], True),
        ("unix:///run/podman/podman.sock", ["Podman Engine", "Conmon"], True),
        ("unix:///var/run/docker.sock", ["Podman Engine", "Conmon", "OCI Runtime (crun)"], True),
        ("unix:///var/run/docker.sock", ["Engine", "containerd", "runc", "docker-init"], False),
        ("unix:///var/run/docker.sock", [], False),
    ],
)
def test_podman_behind_dockers_command_is_known(
    address: str, components: list[str], *, podman: bool
) -> None:
    said = {"address": address, "context": "default", "info": INFO, "components": components}
    seen = facts.look(Replay({
        "ask: docker.engine": Output(0, json.dumps({**said, "images": []})),
        "run: docker --version": Output(0, "Docker version 28.2.2, build e6534b4"),
        "run: docker compose version --short": Output(0, "2.37.1"),
    }))  # fmt: skip
    assert seen.foreign is podman
    assert ("Podman answers in the place" in seen.problem) is podman
