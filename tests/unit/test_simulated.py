"""The simulated machine refuses what a real one does: else the table of machines proves little."""

from collections.abc import Callable

import pytest

from lifecycle.step import Command, Download, EditFile, StopServer, WriteFile
from tests.unit import recorded
from tests.unit.recorded import PATHS
from tests.unit.simulated import Refused, Simulated

STAGED = PATHS.home / "staging" / "a.list"


def bare() -> Simulated:
    return Simulated(recorded.machine("debian-13-bare"))


def root(*argv: str) -> Command:
    return Command(("sudo", *argv))


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (Command(("reboot",)), "nobody has told us about: reboot"),
        (Command(("sh", "-c", "curl example.org | sh")), "a script nobody has told us about"),
        (Command(("apt-get", "install", "-y", "docker.io")), "apt-get needs root"),
        (root("apt-get", "install", "docker.io"), "waits for an answer"),
        (root("apt-get", "install", "-y", "docker-ce"), "Unable to locate package docker-ce"),
        (root("apt-get", "install", "-y", "no-such-thing"), "Unable to locate package no-such"),
        (root("apt-get", "install", "-y", "docker-compose-v2"), "not in this release"),
        (root("systemctl", "enable", "--now", "docker.service"), "docker.service could not be"),
        (root("nvidia-ctk", "runtime", "configure", "--runtime=docker"), "command not found"),
        (root("install", "-m", "644", str(STAGED), "/etc/a.list"), "cannot stat"),
        (root("tailscale", "up"), "failed to connect to local tailscaled"),
        (root("groupadd", "docker"), "already exists"),
        (EditFile(PATHS.home / "x", "another text", "new"), "has changed"),
        (StopServer("cpu", "venv"), "no setup command does this"),
    ],
)
def test_what_a_real_machine_refuses(command: Command, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        bare().perform(command)


def tell_apt(on: Simulated, key: str) -> None:
    line = f"deb [signed-by={key}] https://download.docker.com/linux/debian trixie stable\n"
    on.perform(WriteFile(STAGED, line))
    on.perform(root("install", "-D", "-m", "644", str(STAGED), "/etc/apt/sources.list.d/a.list"))


def test_a_repository_without_its_key_is_refused() -> None:
    on = bare()
    tell_apt(on, "/etc/apt/keyrings/a.asc")
    with pytest.raises(Refused, match="no key is here"):
        on.perform(root("apt-get", "install", "-y", "docker-ce"))


def test_with_its_key_a_repository_gives_its_packages() -> None:
    on = bare()
    tell_apt(on, "/etc/apt/keyrings/a.asc")
    on.perform(Download("https://example.org/key", STAGED))
    on.perform(root("install", "-D", "-m", "644", str(STAGED), "/etc/apt/keyrings/a.asc"))
    on.perform(root("apt-get", "install", "-y", "docker-ce", "docker-ce-cli"))
    assert on.host().docker.dockerd
    assert on.host().docker.denied


def docker(on: Simulated) -> None:
    on.perform(root("apt-get", "install", "-y", "docker.io", "docker-cli", "docker-compose"))


def test_a_new_group_counts_after_the_next_login_only() -> None:
    on = bare()
    docker(on)
    on.perform(root("usermod", "-aG", "docker", "user"))
    assert on.host().docker.denied
    on.restarted()
    assert on.host().docker.engine


def test_the_engine_learns_of_a_runtime_at_its_next_start_only() -> None:
    on = Simulated(recorded.machine("native-4090-healthy"))
    on.away("/etc/docker/daemon.json")
    on.perform(root("systemctl", "restart", "docker.service"))
    assert "nvidia" not in on.host().docker.runtimes
    on.perform(root("nvidia-ctk", "runtime", "configure", "--runtime=docker"))
    assert "nvidia" not in on.host().docker.runtimes
    on.perform(root("systemctl", "restart", "docker.service"))
    assert "nvidia" in on.host().docker.runtimes


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        (lambda action: str(action).startswith("sudo usermod"), "docker-denied"),
        (lambda action: "nvidia-ctk runtime" in str(action), "native-4090-no-toolkit"),
        (lambda action: "rocdxg" in str(action), "wsl2-7900xtx-no-librocdxg"),
        (lambda action: ".wslconfig" in str(action), "wsl2-memory-15-gib"),
        (lambda action: "--set-version" in str(action), "windows-11-distro-wsl1"),
    ],
)
def test_an_action_that_does_nothing_is_noticed(
    broken: Callable[[object], bool], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = Simulated(recorded.machine(name))
    perform = on.perform
    monkeypatch.setattr(on, "perform", lambda action: None if broken(action) else perform(action))
    with pytest.raises(AssertionError):
        on.set_up()
