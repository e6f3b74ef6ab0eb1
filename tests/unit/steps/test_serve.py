"""The plan behind `up`: in order, nothing twice, nothing when all is well."""

import dataclasses

import pytest

from lifecycle.backend import Backend
from lifecycle.errors import NotSupported
from lifecycle.host import Host, Launch, Server, Venv, Weights
from lifecycle.step import AwaitReady, Command, PullImage, Step, StopServer
from lifecycle.steps import serve
from tests.unit.given import KEY, MODEL, PATHS, TOOLS, actions, backend, host, missing, running

CPU = backend()
DOCKER = backend(RUNTIME="docker")


def plan(wanted: Backend, on: Host) -> list[Step]:
    return [*serve.prepare(wanted, PATHS, on, TOOLS), *serve.start(wanted, PATHS, on)]


def start(wanted: Backend, on: Host) -> Step:
    return serve.start(wanted, PATHS, on)[-1]


def with_server(server: Server) -> Host:
    return host(server=server)


def test_a_bare_machine_is_taken_through_the_plan_in_order() -> None:
    bare = host(venv=Venv(), weights=Weights(MODEL, MODEL, problem=f"{MODEL} does not exist"))
    assert list(missing(plan(CPU, bare), bare)) == [
        "engine.installed", "model.present", "server.answers",
    ]  # fmt: skip


@pytest.mark.parametrize("wanted", [CPU, DOCKER], ids=["venv", "docker"])
def test_a_prepared_machine_only_lacks_the_server(wanted: Backend) -> None:
    assert list(missing(plan(wanted, host()), host()).values()) == ["it is not running"]


@pytest.mark.parametrize("wanted", [CPU, DOCKER], ids=["venv", "docker"])
def test_a_running_server_needs_nothing(wanted: Backend) -> None:
    on = with_server(running(wanted))
    assert missing(plan(wanted, on), on) == {}


def test_docker_needs_no_engine_when_the_model_is_there() -> None:
    ids = [step.id for step in plan(DOCKER, host())]
    assert "engine.installed" not in ids
    assert "docker.answers" in ids


def test_docker_needs_an_engine_to_convert_a_packaged_model() -> None:
    on = host(weights=Weights(MODEL, MODEL, problem="absent"))
    assert "engine.installed" in [step.id for step in plan(DOCKER, on)]


def test_the_port_is_looked_at_before_the_start_and_names_who_has_it() -> None:
    on = host(port_owner="nginx (pid 7)")
    (port, _) = serve.start(CPU, PATHS, on)
    assert port.missing(on) == "port 8000 is taken by nginx (pid 7)"
    assert (port.actions, "PORT= in env/cpu.env" in port.fix) == ((), True)


def kinds(step: Step) -> list[type]:
    return [type(action) for action in step.actions]


def test_a_first_start_stops_nothing_and_ends_with_the_wait() -> None:
    step = start(CPU, host())
    assert StopServer not in kinds(step)
    assert kinds(step)[-2:] == [Command, AwaitReady]


@pytest.mark.parametrize("phase", ["start", "load", "warm-up", "unanswering"])
def test_a_server_that_is_on_its_way_is_only_waited_for(phase: str) -> None:
    on = with_server(running(CPU, phase=phase))
    assert kinds(start(CPU, on)) == [AwaitReady]
    assert start(CPU, on).missing(on) == f"it is in phase {phase}"


@pytest.mark.parametrize("phase", ["stopped", "failed"])
def test_what_is_left_of_a_dead_server_is_cleared_before_the_next(phase: str) -> None:
    on = with_server(running(CPU, phase=phase, detail="ValueError: no"))
    assert start(CPU, on).actions[0] == StopServer("cpu", "venv")
    assert start(CPU, on).missing(on) == "it failed: ValueError: no"


def test_changed_values_are_told_and_restart_the_server() -> None:
    on = with_server(running(backend(MAX_MODEL_LEN="2048")))
    step = start(CPU, on)
    assert step.missing(on) == "it runs with other values:\nMAX_MODEL_LEN: 2048 → 4096"
    assert step.actions[0] == StopServer("cpu", "venv")


def test_another_runtime_stops_the_server_in_the_runtime_it_was_started_with() -> None:
    on = with_server(running(CPU))
    step = start(DOCKER, on)
    assert step.actions[0] == StopServer("cpu", "venv")
    assert "RUNTIME: venv → docker" in step.missing(on)


@pytest.mark.parametrize(
    "changed",
    [
        backend(VLLM_API_KEY="sk-other"),
        backend(SERVED_NAME="other"),
        backend(EXTRA_ARGS="--seed 1"),
        backend(CPU_SETTINGS="default"),
        backend(PORT="9000"),
    ],
    ids=["key", "name", "extra", "settings", "port"],
)
def test_every_value_that_shapes_the_server_counts(changed: Backend) -> None:
    on = with_server(running(CPU))
    assert "other values" in start(changed, on).missing(on)


def test_a_model_written_anew_restarts_the_server() -> None:
    old = running(CPU)
    newer = dataclasses.replace(host().weights, written="2026-11-23T00:00:00+00:00")
    on = host(server=old, weights=newer)
    assert "MODEL_WRITTEN" in start(CPU, on).missing(on)


def test_a_changed_key_is_told_without_either_key() -> None:
    on = with_server(running(backend(VLLM_API_KEY="sk-local-older")))
    why = start(CPU, on).missing(on)
    assert "VLLM_API_KEY: sha256:" in why
    assert KEY not in why
    assert "sk-local-older" not in why


def test_how_long_to_wait_is_no_reason_to_restart() -> None:
    patient = backend(START_STALL_SECONDS="900")
    on = with_server(running(CPU))
    assert start(patient, on).missing(on) == ""
    assert [a.stall for a in start(patient, on).actions if isinstance(a, AwaitReady)] == [900.0]


def test_a_server_that_lost_its_record_is_started_anew() -> None:
    on = with_server(running(CPU, launch=Launch()))
    assert "other values" in start(CPU, on).missing(on)


def test_hardware_that_cannot_be_served_so_says_how_it_can() -> None:
    with pytest.raises(NotSupported) as caught:
        plan(backend(GPU="rocm", RUNTIME="venv"), host())
    assert "--runtime docker" in caught.value.fix


@pytest.mark.parametrize("wanted", [CPU, DOCKER], ids=["venv", "docker"])
def test_every_step_says_how_to_mend_it_and_is_named_after_a_state(wanted: Backend) -> None:
    steps = plan(wanted, host(weights=Weights(MODEL, MODEL, problem="absent")))
    assert all(step.fix for step in steps)
    assert len({step.id for step in steps}) == len(steps)


def test_nothing_is_pulled_when_an_image_is_here() -> None:
    on = host()
    done = [step for step in plan(DOCKER, on) if not step.missing(on)]
    assert any(isinstance(action, PullImage) for action in actions(done))


def test_a_restart_that_was_asked_for_replaces_a_server_that_runs_as_wanted() -> None:
    on = with_server(running(CPU))
    (_, step) = serve.start(CPU, PATHS, on, again=True)
    assert step.missing(on) == "a restart was asked for"
    assert step.actions[0] == StopServer("cpu", "venv")
    assert step.missing(with_server(running(CPU, since=2.0))) == ""


def test_a_restart_of_what_does_not_run_is_a_start() -> None:
    (_, step) = serve.start(CPU, PATHS, host(), again=True)
    assert step.missing(host()) == "it is not running"


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_than_linux_are_not_supported(system: str) -> None:
    on = host(os=dataclasses.replace(host().os, system=system))
    with pytest.raises(NotSupported, match=f"not on {system}"):
        plan(CPU, on)


def test_what_only_a_person_can_mend_comes_before_what_takes_minutes() -> None:
    on = host(venv=Venv(), weights=Weights(problem="absent"))
    told = list(missing(plan(backend(MODEL="Qwen/Qwen3-8B"), on), on))
    assert told[:2] == ["model.fits", "model.present"]


@pytest.mark.parametrize(
    ("gpu", "runtime"), [("cuda", "docker"), ("cuda", "venv"), ("rocm", "docker")]
)
def test_nobody_is_asked_to_fetch_a_model_for_a_card_that_is_not_there(
    gpu: str, runtime: str
) -> None:
    wanted = backend("card", GPU=gpu, RUNTIME=runtime, MODEL="organisation/large")
    bare = host(weights=Weights(problem="it is in no cache"))
    plan = serve.prepare(wanted, PATHS, bare, TOOLS)
    first, *others = missing(plan, bare)
    assert first in {"nvidia.answers", "amd.card"}
    assert "model.present" in others
