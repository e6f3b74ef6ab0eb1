"""`inv setup.docker` on a Debian that has never seen Docker: really installed, really started."""

import json
import os
from collections.abc import Iterator

import pytest

from tests.integration import fresh_debian
from tests.integration.fresh_debian import PLACE, USER, Debian, call

pytestmark = pytest.mark.docker

NOTHING = "all of it is so already; nothing to do"
ENGINE = "Docker Engine and Compose v2 answer"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    tag = f"vllm-setup-test:{os.getpid()}"
    fresh_debian.image(tag, tmp_path_factory.mktemp("debian"))
    yield tag
    call("docker", "rmi", "--force", tag)


@pytest.fixture
def debian(image: str) -> Iterator[Debian]:
    machine = Debian.start(image, f"vllm-setup-test-{os.getpid()}")
    yield machine
    machine.remove()


def engine_of(machine: Debian, user: str) -> dict[str, str]:
    """What the doctor says about Docker, if a server is to run in a container."""
    done = machine.run("env", "RUNTIME=docker", "./inv", "doctor", "--gpu=cpu", "--json", user=user)
    found: list[dict[str, str]] = json.loads(done.stdout)["steps"]
    return next(one for one in found if one["name"] == ENGINE)


def test_root_gets_an_engine_that_answers_and_the_second_time_nothing_is_done(
    debian: Debian,
) -> None:
    assert engine_of(debian, "root")["fix"] == "inv setup.docker"
    first = debian.run("./inv", "setup.docker")
    assert first.returncode == 0, first.stdout + first.stderr
    assert debian.run("docker", "info").returncode == 0
    compose = debian.run("docker", "compose", "version", "--short").stdout
    assert int(compose.split(".")[0].lstrip("v")) >= 2
    second = debian.run("./inv", "setup.docker")
    assert (second.returncode, NOTHING in second.stdout + second.stderr) == (0, True)
    assert engine_of(debian, "root")["state"] == "ok"


def test_a_user_is_let_in_with_sudo_and_told_to_log_in_anew(debian: Debian) -> None:
    dry = debian.run("./inv", "--dry", "setup.docker", user=USER)
    assert "sudo env DEBIAN_FRONTEND=noninteractive apt-get install" in dry.stdout + dry.stderr
    assert debian.run("which", "docker").returncode != 0, "a dry run must install nothing"
    first = debian.run("./inv", "setup.docker", user=USER)
    assert (first.returncode, "Log out and in again" in first.stderr) == (4, True), first.stderr
    # The same login goes on: nothing is done again, and it is told what is missing.
    number = debian.run("id", "-u", USER).stdout.strip()
    same = debian.run("./inv", "setup.docker", user=f"{number}:{number}")
    assert (same.returncode, "after this login" in same.stderr) == (4, True), same.stderr
    assert "apt-get" not in same.stdout + same.stderr
    # A new login has the new group.
    assert debian.run("docker", "info", user=USER).returncode == 0
    last = debian.run("./inv", "setup.docker", user=USER)
    assert (last.returncode, NOTHING in last.stdout + last.stderr) == (0, True), last.stderr


APT = """#!/bin/sh
# The vendor's server is out of reach: Debian's own packages stand in for those of the same use.
echo "apt-get $*" >>/tmp/asked
cp -f /etc/apt/sources.list.d/docker.sources /tmp/ 2>/dev/null
rm -f /etc/apt/sources.list.d/docker.sources
for word; do
    shift
    case $word in
        docker-ce) word=docker.io ;; docker-ce-cli) word=docker-cli ;;
        containerd.io) word=containerd ;; docker-compose-plugin) word=docker-compose ;;
    esac
    set -- "$@" "$word"
done
exec /usr/bin/apt-get "$@"
"""
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
INV = f"""
import sys
sys.path.insert(0, "{PLACE}")
from lifecycle import http
def download(file, on_line):
    with open("/tmp/asked", "a") as asked:
        print("download", file.url, file.sha256, file=asked)
    file.path.parent.mkdir(parents=True, exist_ok=True)
    file.path.write_text({KEY!r})
http.download = download
from invoke.main import program
program.run(["inv", "--search-root", "{PLACE}", "setup.docker"])
"""


def test_where_only_the_vendor_has_compose_v2_its_repository_comes_first(debian: Debian) -> None:
    debian.run("sed", "-i", "s/13/12/; s/trixie/bookworm/", "/etc/os-release")
    debian.script("/usr/local/sbin/apt-get", APT)
    debian.script("/tmp/inv.py", INV)
    done = debian.run(".venv/bin/python", "/tmp/inv.py")
    assert done.returncode == 0, done.stdout + done.stderr
    key, refresh, install = debian.text("/tmp/asked").splitlines()
    assert key.startswith("download https://download.docker.com/linux/debian/gpg 1500c1f56fa9")
    assert refresh == "apt-get update -q"
    assert install.endswith(" docker-ce docker-ce-cli containerd.io docker-compose-plugin")
    assert debian.text("/tmp/docker.sources") == (
        "Types: deb\n"
        "URIs: https://download.docker.com/linux/debian\n"
        "Suites: bookworm\n"
        "Components: stable\n"
        "Signed-By: /etc/apt/keyrings/docker.asc\n"
    )
    assert debian.text("/etc/apt/keyrings/docker.asc") == KEY
    assert debian.run("docker", "info").returncode == 0
