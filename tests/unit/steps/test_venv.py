"""The engine's installation, and what its supervisor is told."""

import shlex
from pathlib import Path

import pytest
from supervisor.options import UnhosedConfigParser, expand

from lifecycle import tables
from lifecycle.host import GIB, Disk, Host, Venv, Weights
from lifecycle.paths import Paths
from lifecycle.runtimes import guard
from lifecycle.step import Command, Remove, WriteFile
from lifecycle.steps import serve, venv
from lifecycle.steps.venv import Tools
from tests.unit import golden
from tests.unit.given import KEY, PATHS, TOOLS, backend, host, missing

ENGINE = tables.serving.engine("cpu")
FOLDER = PATHS.engine(ENGINE.name)
BARE = host(venv=Venv())


def commands(tools: Tools = TOOLS, on: Host = BARE) -> list[tuple[str, ...]]:
    (*_, install) = venv.install(backend(), PATHS, on, tools)
    return [action.argv for action in install.actions if isinstance(action, Command)]


def test_an_installed_engine_needs_nothing() -> None:
    full = Disk(PATHS.home, 0, problem="read-only")
    on = host(disks={"home": full, "models": full})
    assert missing(venv.install(backend(), PATHS, on, TOOLS), on) == {}


@pytest.mark.parametrize(
    ("stamp", "why"),
    [("", "it is not installed (completely)"), ("old", "it was installed from a different lock")],
)
def test_a_missing_or_outdated_engine_is_told(stamp: str, why: str) -> None:
    on = host(venv=Venv(stamp))
    (told,) = missing(venv.install(backend(), PATHS, on, TOOLS), on).values()
    assert told == why


def test_a_python_the_engine_does_not_know_is_refused_with_those_it_does() -> None:
    old = Tools(TOOLS.uv, TOOLS.python, "3.10")
    steps = venv.install(backend(), PATHS, BARE, old)
    assert steps[0].missing(BARE).endswith("supports Python 3.11, 3.12, 3.13, 3.14")
    assert steps[0].actions == ()


def test_room_is_asked_for_before_the_installation() -> None:
    on = host(venv=Venv(), disks={"home": Disk(PATHS.home, GIB, writable=True)})
    told = missing(venv.install(backend(), PATHS, on, TOOLS), on)
    assert (
        next(iter(told.values()))
        == "the engine cpu-0.32.0 needs 6.0 GiB in /data, 1.0 GiB are free"
    )


def test_the_stamp_goes_first_and_comes_back_last() -> None:
    (*_, install) = venv.install(backend(), PATHS, BARE, TOOLS)
    assert install.actions[0] == Remove(FOLDER / ".made-from")
    assert install.actions[-1] == WriteFile(FOLDER / ".made-from", ENGINE.fingerprint())


def test_the_engine_gets_an_environment_of_its_own_from_the_lock_with_bytecode() -> None:
    make, fill = commands()
    assert make[-3:] == ("--python", TOOLS.python, str(FOLDER))
    assert {"--compile-bytecode", "--no-deps", str(ENGINE.lock_file)} <= set(fill)
    assert fill[fill.index("--python") + 1] == str(FOLDER / "bin" / "python")


def test_torch_comes_from_its_own_index_unless_a_wheel_is_here(tmp_path: Path) -> None:
    tools = Tools(TOOLS.uv, TOOLS.python, "3.11", tmp_path)
    assert "--torch-backend" in commands(tools)[1]
    assert "--find-links" not in commands(tools)[1]
    (tmp_path / f"torch-{ENGINE.torch}-cp311-cp311-linux_x86_64.whl").touch()
    assert ("--find-links", str(tmp_path)) == commands(tools)[1][7:9]
    assert "--torch-backend" not in commands(tools)[1]


@pytest.mark.parametrize("cores", [2, 16])
def test_supervisord_is_told_what_is_on_file(cores: int) -> None:
    golden.matches(
        f"supervisord-{cores}-cores.conf", venv.configuration(backend(), PATHS, host(cores))
    )


def test_the_servers_command_line_is_what_is_on_file() -> None:
    golden.matches("server-command.txt", "\n".join(venv.command(backend(), PATHS, host())) + "\n")


def test_on_few_cores_threads_sleep_while_they_wait() -> None:
    (run,) = started(host(2))
    assert run.env["OMP_WAIT_POLICY"] == "passive"
    (run,) = started(host(16))
    assert "OMP_WAIT_POLICY" not in run.env


def started(on: Host, paths: Paths = PATHS) -> list[Command]:
    made = venv.start(backend(), paths, on, serve.launched(backend(), on))
    return [action for action in made if isinstance(action, Command)]


def test_vllms_own_settings_may_be_left_alone() -> None:
    line = venv.command(backend(CPU_SETTINGS="default"), PATHS, host())
    assert "--enforce-eager" not in line
    assert "--kv-cache-memory-bytes" in line


def test_the_server_starts_with_a_clean_environment_that_carries_the_key() -> None:
    (run,) = started(host())
    assert run.clean_env
    assert run.env["VLLM_API_KEY"] == KEY
    assert run.env["HF_HUB_OFFLINE"] == run.env["VLLM_NO_USAGE_STATS"] == "1"


def test_a_start_begins_with_an_empty_log_and_a_fresh_count() -> None:
    made = venv.start(backend(), PATHS, host(), serve.launched(backend(), host()))
    run = PATHS.run("cpu")
    assert made[:2] == (Remove(run / "server.log"), Remove(run / "starts"))
    written = {action.path.name: action for action in made if isinstance(action, WriteFile)}
    assert written["guard.py"].text == Path(guard.__file__).read_text()
    assert written["launch.json"].mode == 0o600


def as_supervisord_reads_it(text: str, section: str, option: str, here: Path) -> str:
    parser = UnhosedConfigParser()
    parser.read_string(text)
    return str(expand(parser.get(section, option), {"here": str(here)}, option))


@pytest.mark.parametrize("name", ["plain", "two words", "100%", "a ;b", "a #b", "it's", "%(here)s"])
def test_supervisord_runs_the_very_command_whatever_the_folders_are_called(name: str) -> None:
    paths = Paths(PATHS.root, Path("/data") / name, Path("/models"))
    model = Path("/models") / name
    on = host(weights=Weights(model, model, 1))
    text = venv.configuration(backend(), paths, on)
    run = paths.run("cpu")
    command = as_supervisord_reads_it(text, "program:vllm", "command", run)
    assert tuple(shlex.split(command))[4:] == venv.command(backend(), paths, on)
    assert as_supervisord_reads_it(text, "supervisord", "directory", run) == str(run)
