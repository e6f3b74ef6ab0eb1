"""Who holds a port: nobody, we, or somebody else; and which are ours."""

import pytest

from lifecycle import processes
from lifecycle.facts import network
from lifecycle.gateway import files, traefik
from lifecycle.host import Launch, Server
from lifecycle.runtimes import launch
from lifecycle.shell import Shell
from lifecycle.step import WriteFile
from tests.unit.given import PATHS, Checkout, backend, running


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "listening", lambda port: port)
    monkeypatch.setattr(processes, "folder", lambda _: "/elsewhere/run/cpu")
    monkeypatch.setattr(processes, "variable", lambda *_: "")
    monkeypatch.setattr(processes, "listener", lambda port: f"nginx (pid {port})")


@pytest.mark.usefixtures("somebody")
@pytest.mark.parametrize(
    ("server", "owner"),
    [
        (running(backend()), ""),
        (running(backend(), phase="load"), ""),
        (running(backend(PORT="9000")), "nginx (pid 8000)"),
        (running(backend(), phase="stopped"), "nginx (pid 8000)"),
        (Server(), "nginx (pid 8000)"),
    ],
    ids=["ours", "ours, starting", "ours elsewhere", "ours, stopped", "none of ours"],
)
def test_a_port_counts_as_taken_unless_our_living_server_has_it(server: Server, owner: str) -> None:
    assert network.other_listener(backend(), server, PATHS) == owner


@pytest.mark.usefixtures("somebody")
def test_a_server_of_another_home_is_named_by_its_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    told = launch.carried(Launch("venv", {}, "/home/me/other"))
    monkeypatch.setattr(processes, "variable", lambda *_: told)
    assert network.other_listener(backend(), Server(), PATHS) == (
        "the server of cpu of the checkout /home/me/other (state: /elsewhere/run/cpu)"
    )


@pytest.mark.usefixtures("somebody")
def test_what_is_left_of_our_own_server_takes_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "folder", lambda _: str(PATHS.run("cpu")))
    assert network.other_listener(backend(), Server(), PATHS) == ""


def test_ours_are_the_ports_of_the_files_and_of_what_was_started(checkout: Checkout) -> None:
    checkout.env("far", "GPU=cuda\nENDPOINT=https://far.example.org\nMODEL=m\n")
    checkout.env("slip", "GPU=cpu\nPROT=8005\nMODEL=m\n")
    started = launch.text(Launch("venv", {"PORT": "8005"}))
    Shell().write(WriteFile(checkout.paths.run("slip") / launch.FILE, started))
    Shell().write(WriteFile(checkout.paths.run("broken") / launch.FILE, "{"))
    assert network.engines(checkout.paths) == {
        8000: "backend cpu", 8005: "backend slip", 8081: "the gateway's figures",
        8082: "the gateway's inside",
    }  # fmt: skip
    assert network.started(checkout.paths) == {8005: "backend slip"}


@pytest.mark.parametrize(("given", "port"), [("", 8080), ("9080", 9080), ("x", 8080)])
def test_the_gateways_port_is_the_default_where_nobody_set_a_good_one(
    checkout: Checkout, given: str, port: int
) -> None:
    checkout.secrets(f"GATEWAY_PORT={given}\n" if given else "")
    assert network.gateway(checkout.paths) == port
    assert network.engines(checkout.paths)[port + 1] == "the gateway's figures"


def test_where_the_gateway_listens_is_in_its_files(checkout: Checkout) -> None:
    assert network.gateway_listens(checkout.paths) == ("", 0)
    front = files.folder(checkout.paths) / files.FRONT
    Shell().write(WriteFile(front, traefik.front(9090, "100.64.0.1")))
    assert network.gateway_listens(checkout.paths) == ("100.64.0.1", 9090)


def test_the_port_that_was_written_counts_until_the_gateway_is_started_with_another(
    checkout: Checkout,
) -> None:
    checkout.secrets("GATEWAY_PORT=9080\n")
    Shell().write(WriteFile(files.folder(checkout.paths) / files.FRONT, traefik.front(8080)))
    assert network.gateway(checkout.paths) == 8080
