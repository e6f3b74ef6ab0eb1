"""Which backend a command means: a name, a family, or `auto`."""

import os
from pathlib import Path

import pytest

from lifecycle import facts, tables
from lifecycle.backend import Backend
from lifecycle.cmd import choose
from lifecycle.errors import ConfigError, HostNotReady
from lifecycle.host import Adapter, Amd, Gpu, Host, Launch, Nvidia, Os, Server, Windows
from lifecycle.paths import Paths
from tests.unit.given import Checkout


@pytest.fixture(autouse=True)
def here(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setattr(choose, "ROOT", checkout.root)
    monkeypatch.setattr(facts, "hardware", lambda _: Host())
    checkout.env("4090", "GPU=cuda\nPORT=8001\nMODEL=m\n")
    return checkout


@pytest.fixture
def where(here: Checkout) -> Paths:
    return here.paths


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    names: set[str] = set()

    def look(one: Backend, _: Paths) -> Server:
        return Server("ready", Launch(one.runtime)) if one.name in names else Server()

    monkeypatch.setattr(facts.server, "look", look)
    return names


def chosen_on(host: Host, monkeypatch: pytest.MonkeyPatch, *able: str) -> tuple[str, str]:
    """What `auto` means on a machine, and why.

    Args:
        able: kinds of hardware that can be started.
    """
    monkeypatch.setattr(facts, "hardware", lambda _: host)
    monkeypatch.setattr(tables.serving, "served", lambda gpu, _: gpu in (*able, "cpu"))
    chosen, why = choose.to_start("auto")
    return chosen.name, why


NOTHING = Host(os=Os("linux", "x86_64"))
RTX = Host(os=Os("linux", "x86_64"), nvidia=Nvidia(gpus=(Gpu("NVIDIA GeForce RTX 4090"),)))
RADEON = Host(
    os=Os("linux", "x86_64", wsl=True),
    windows=Windows(reached=True, adapters=(Adapter("AMD Radeon RX 7900 XTX"),)),
)
MUTE = Host(os=Os("linux", "x86_64"), nvidia=Nvidia(problem="NVIDIA-SMI has failed"))
RYZEN = Host(
    os=Os("linux", "x86_64"), amd=Amd(gpus=(Gpu("AMD Raphael", integrated=True),), kfd=True)
)


@pytest.mark.parametrize(
    ("machine", "name", "why"),
    [
        (NOTHING, "cpu", "there is no graphics card"),
        (RYZEN, "cpu", "there is no graphics card"),
        (RTX, "4090", "there is NVIDIA GeForce RTX 4090"),
        (MUTE, "3090", "there is an NVIDIA card that does not answer"),
        (RADEON, "7900xtx", "there is AMD Radeon RX 7900 XTX"),
    ],
)
def test_auto_is_what_suits_the_machine(
    here: Checkout, monkeypatch: pytest.MonkeyPatch, machine: Host, name: str, why: str
) -> None:
    here.env("3090", "GPU=cuda\nPORT=8003\nMODEL=m\n")
    here.env("7900xtx", "GPU=rocm\nPORT=8002\nMODEL=m\n")
    said = f"--gpu auto is {name}: {why}"
    assert chosen_on(machine, monkeypatch, "cuda", "rocm") == (name, said)


def test_auto_says_which_better_one_it_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    name, why = chosen_on(RTX, monkeypatch)
    assert name == "cpu"
    assert why.endswith("(4090 cannot be started by this version yet)")


def test_auto_without_anything_that_suits_is_an_error(
    here: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here.root / "env" / "cpu.env").unlink()
    with pytest.raises(ConfigError, match="no file in env/ suits this machine"):
        chosen_on(NOTHING, monkeypatch, "cuda")


@pytest.mark.parametrize("name", ["cpu", "4090"])
def test_a_name_is_that_backend(name: str) -> None:
    chosen, why = choose.to_start(name)
    assert (chosen.name, why) == (name, "")


def test_a_family_is_its_only_member_and_says_so() -> None:
    chosen, why = choose.to_start("cuda")
    assert chosen.name == "4090"
    assert why == "--gpu cuda is 4090, the only backend with GPU=cuda"


def test_a_family_of_several_must_be_narrowed_down(here: Checkout) -> None:
    here.env("3060", "GPU=cuda\nPORT=8003\nMODEL=m\n")
    with pytest.raises(ConfigError, match="--gpu cuda could be any of: 3060, 4090"):
        choose.to_start("cuda")


def test_a_family_without_members_says_how_to_add_one() -> None:
    with pytest.raises(ConfigError, match="has GPU=rocm") as caught:
        choose.to_start("rocm")
    assert "GPU=rocm" in caught.value.fix


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="there is no backend '4091'") as caught:
        choose.to_start("4091")
    assert caught.value.fix == "Did you mean --gpu 4090?"


def test_a_backend_called_like_a_family_is_that_backend(here: Checkout) -> None:
    here.env("gaming", "GPU=cpu\nPORT=8004\nMODEL=m\n")
    assert choose.to_start("cpu")[0].name == "cpu"


@pytest.mark.parametrize("gpu", ["auto", "cpu"])
def test_a_slip_in_another_backends_file_does_not_stop_this_one(here: Checkout, gpu: str) -> None:
    here.env("4090", "MODLE=x\n")
    assert choose.to_start(gpu)[0].name == "cpu"


def test_backends_that_cannot_be_read_are_left_out_and_named(
    here: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    here.env("4090", "MODLE=x\n")
    assert [one.name for one in choose.readable()] == ["cpu"]
    assert capsys.readouterr().err == "left out: env/4090.env:1: unknown key MODLE\n"


def test_a_slip_that_every_backend_shares_is_an_error(here: Checkout) -> None:
    here.secrets("MODLE=x\n")
    with pytest.raises(ConfigError, match="unknown key MODLE"):
        choose.readable()


def test_down_means_the_backends_of_this_checkout_by_name_alone(
    here: Checkout, where: Paths
) -> None:
    here.env("4090", "MODLE=x\n")
    assert choose.to_stop("", where) == ["4090", "cpu"]


def test_a_server_whose_env_file_is_gone_can_be_named(where: Paths) -> None:
    where.run("gone").mkdir(parents=True)
    assert choose.to_stop("gone", where) == ["gone"]


def test_down_of_a_name_nobody_knows_is_an_error(where: Paths) -> None:
    with pytest.raises(ConfigError, match="there is no backend 'nobody'"):
        choose.to_stop("nobody", where)


def test_a_wrong_value_of_the_process_does_not_hide_the_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORT", "99999")
    assert choose.places().home.is_absolute()


def test_a_running_server_is_found_by_itself(alive: set[str], where: Paths) -> None:
    alive.add("4090")
    assert choose.running("auto", where).name == "4090"


def test_no_running_server_says_how_to_start_one(alive: set[str], where: Paths) -> None:
    assert not alive
    with pytest.raises(HostNotReady, match="no server runs") as caught:
        choose.running("auto", where)
    assert caught.value.fix == "Start one: inv up"


def test_several_running_servers_must_be_told_apart(alive: set[str], where: Paths) -> None:
    alive.update(("cpu", "4090"))
    with pytest.raises(HostNotReady, match="several servers run: 4090, cpu"):
        choose.running("auto", where)
    assert choose.running("cpu", where).name == "cpu"


def log(where: Paths, name: str, age: int) -> Path:
    file = where.run(name) / "server.log"
    file.parent.mkdir(parents=True)
    file.touch()
    os.utime(file, (1000 - age, 1000 - age))
    return file


def test_the_log_is_that_of_the_running_server(alive: set[str], where: Paths) -> None:
    log(where, "cpu", 0)
    alive.add("4090")
    assert choose.with_log("auto", where).name == "4090"


def test_with_nothing_running_it_is_that_of_the_last_one(alive: set[str], where: Paths) -> None:
    assert not alive
    log(where, "cpu", 10)
    log(where, "4090", 5)
    assert choose.with_log("auto", where).name == "4090"


def test_with_no_log_at_all_it_is_told_that_nothing_runs(alive: set[str], where: Paths) -> None:
    assert not alive
    with pytest.raises(HostNotReady, match="no server runs"):
        choose.with_log("auto", where)


def test_places_follow_the_secrets_file(here: Checkout, tmp_path: Path) -> None:
    here.secrets(f"LIFECYCLE_HOME={tmp_path}/home\nMODELS_DIR=~/models\n")
    places = choose.places()
    assert places.home == tmp_path / "home"
    assert places.models == Path("~/models").expanduser()


@pytest.mark.parametrize(
    "slip",
    ["MODLE=x\n", "PORT=1\n", "no assignment\n", 'HF_TOKEN="open\n', "VLLM_API_KEY=\u2603\n",
     "PORT=8000\nPORT=8001\n"],
)  # fmt: skip
def test_a_slip_in_the_shared_file_keeps_no_server_alive(
    here: Checkout, where: Paths, slip: str
) -> None:
    here.secrets(f"{slip}LIFECYCLE_HOME=home\n")
    assert choose.places().home == where.home
    where.run("4090").mkdir(parents=True)
    assert choose.to_stop("", where) == ["4090", "cpu"]
    assert choose.to_stop("4090", where) == ["4090"]
    assert choose.to_stop("cuda", where) == ["4090"]
    assert choose.to_stop("cpu", where) == ["cpu"]
    with pytest.raises(ConfigError):
        choose.to_start("4090")


def test_bytes_that_are_no_text_keep_no_server_alive(here: Checkout, where: Paths) -> None:
    here.secrets(b"\xffMODEL=\xff\nLIFECYCLE_HOME=home\n")
    assert choose.places().home == where.home


def test_a_models_folder_that_cannot_be_used_keeps_no_server_alive(here: Checkout) -> None:
    here.secrets("LIFECYCLE_HOME=home\nMODELS_DIR=C:\\models\n")
    assert choose.places_to_stop().home == here.paths.home
    with pytest.raises(ConfigError, match=r"^\.env:2: MODELS_DIR="):
        choose.places()


def test_a_home_that_cannot_be_used_is_told_with_its_line(here: Checkout) -> None:
    here.secrets("MODLE=x\nLIFECYCLE_HOME=C:\\data\n")
    with pytest.raises(ConfigError, match=r"^\.env:2: LIFECYCLE_HOME=C:\\data: is a path of Win"):
        choose.places()
