"""The smoke suite can be trusted: it passes on a healthy server and fails on every broken one."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from smoke.target import NoTargetError, read_target
from tests.fake_vllm import Fault, fake_vllm
from tests.integration.smoke_runs import KEY, run_on_broken, run_on_healthy, run_suite

NOTHING_LISTENS = "http://127.0.0.1:9"
# Two cores: two suites at once, each mostly waiting.
AT_ONCE = 2

BREAKS: dict[Fault, tuple[str, ...]] = {
    Fault.HEALTH_503: ("test_door.py::test_health_is_good",),
    Fault.OTHER_NAME: ("test_door.py::test_model_list_shows_the_served_name",),
    Fault.ANY_MODEL: ("test_door.py::test_unknown_model_is_404",),
    Fault.OPEN_DOOR: ("test_door.py::test_no_key_is_401", "test_door.py::test_wrong_key_is_401"),
    Fault.WRONG_KEY_ACCEPTED: ("test_door.py::test_wrong_key_is_401",),
    Fault.LONG_PROMPT_200: ("test_door.py::test_too_long_a_prompt_is_400",),
    Fault.LONG_PROMPT_500: ("test_door.py::test_too_long_a_prompt_is_400",),
    Fault.WRONG_ANSWER: (
        "test_chat.py::test_chat_gives_the_right_answers",
        "test_functional.py::test_an_earlier_answer_is_recalled",
        "test_functional.py::test_system_prompt_is_obeyed",
    ),
    Fault.GARBAGE: (
        "test_sanity.py::test_prose_is_no_noise",
        "test_sanity.py::test_a_text_is_copied",
    ),
    Fault.STUCK_TOKEN: ("test_sanity.py::test_a_text_is_copied",),
    Fault.NOT_A_NUMBER: ("test_sanity.py::test_prose_is_no_noise",),
    Fault.NONDETERMINISTIC: (
        "test_chat.py::test_temperature_zero_is_deterministic",
        "test_stream.py::test_stream_is_complete",
    ),
    Fault.IGNORES_MAX_TOKENS: ("test_chat.py::test_max_tokens_is_honoured",),
    Fault.IGNORES_STOP: ("test_chat.py::test_stop_is_honoured",),
    Fault.NO_USAGE: (
        "test_chat.py::test_usage_adds_up",
        "test_stream.py::test_stream_ends_with_its_usage",
    ),
    Fault.WRONG_USAGE: (
        "test_chat.py::test_usage_adds_up",
        "test_stream.py::test_stream_ends_with_its_usage",
    ),
    Fault.FAILS_UNDER_LOAD: ("test_chat.py::test_eight_at_once_are_all_right",),
    Fault.MIXES_UNDER_LOAD: ("test_chat.py::test_eight_at_once_are_all_right",),
    Fault.NO_STREAM: ("test_stream.py::test_stream_has_more_than_one_chunk",),
    Fault.BUFFERED_STREAM: ("test_stream.py::test_stream_is_spread_over_time",),
    Fault.CUT_STREAM: ("test_stream.py::test_stream_is_complete",),
    Fault.NO_METRICS: ("test_metrics.py::test_metrics_have_the_known_names",),
    Fault.RENAMED_METRICS: ("test_metrics.py::test_metrics_have_the_known_names",),
    Fault.FROZEN_METRICS: ("test_metrics.py::test_generated_tokens_are_counted",),
    Fault.REJECTS_SAMPLING: (
        "test_functional.py::test_parameter_is_accepted[top_p]",
        "test_functional.py::test_parameter_is_accepted[seed]",
        "test_functional.py::test_parameter_is_accepted[presence_penalty]",
        "test_functional.py::test_parameter_is_accepted[frequency_penalty]",
    ),
    Fault.STATUS_500: ("test_functional.py::test_parameter_is_accepted[temperature]",),
    Fault.ACCEPTS_ANYTHING: (
        "test_functional.py::test_impossible_value_is_400[temperature]",
        "test_functional.py::test_impossible_value_is_400[top_p]",
        "test_functional.py::test_impossible_value_is_400[presence_penalty]",
        "test_functional.py::test_impossible_value_is_400[frequency_penalty]",
        "test_functional.py::test_impossible_value_is_400[max_tokens]",
        "test_functional.py::test_impossible_value_is_400[n]",
    ),
    Fault.IGNORES_SEED: ("test_functional.py::test_same_seed_gives_the_same_answer",),
    Fault.IGNORES_TEMPERATURE: ("test_functional.py::test_seeds_give_different_answers",),
    Fault.IGNORES_N: ("test_functional.py::test_n_gives_as_many_answers",),
    Fault.FORGETS: (
        "test_functional.py::test_earlier_turns_are_remembered",
        "test_functional.py::test_an_earlier_answer_is_recalled",
    ),
    Fault.IGNORES_SYSTEM: (
        "test_functional.py::test_system_prompt_is_obeyed",
        "test_functional.py::test_system_prompt_is_counted",
    ),
}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run_on_healthy(tmp_path_factory.mktemp("healthy") / "report.xml")


@pytest.fixture(scope="module")
def broken(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[Fault, Future[dict[str, str]]]]:
    """Run every fault's tests on a server with that fault, a few at a time."""
    folder = tmp_path_factory.mktemp("broken")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            fault: pool.submit(run_on_broken, folder / f"{fault}.xml", fault, tests)
            for fault, tests in BREAKS.items()
        }
        pool.shutdown(cancel_futures=True)


def test_suite_passes_on_a_healthy_server(healthy: dict[str, str]) -> None:
    assert healthy
    assert {test for test, outcome in healthy.items() if outcome != "passed"} == set()


def test_every_test_has_a_fault_that_breaks_it(healthy: dict[str, str]) -> None:
    assert set(healthy) == {test for tests in BREAKS.values() for test in tests}


@pytest.mark.parametrize("fault", BREAKS)
def test_suite_fails_on(
    fault: Fault, healthy: dict[str, str], broken: dict[Fault, Future[dict[str, str]]]
) -> None:
    assert set(BREAKS[fault]) <= set(healthy)
    assert broken[fault].result() == dict.fromkeys(BREAKS[fault], "failure")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"SMOKE_URL": NOTHING_LISTENS}, "no server answers"),
        ({"SMOKE_BACKEND": "cpu", "SMOKE_URL": NOTHING_LISTENS}, "inv up --gpu cpu"),
        ({"SMOKE_BACKEND": "nothing-like-it"}, "env/nothing-like-it.env does not exist"),
        ({}, "which server?"),
    ],
    ids=["dead", "dead-backend", "unknown-backend", "no-backend"],
)
def test_nothing_to_test_is_one_message(changes: dict[str, str], said: str) -> None:
    done = run_suite(changes)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.count("ERROR") == 1
    assert "Traceback" not in done.stderr


def test_a_server_that_hangs_is_one_message() -> None:
    with fake_vllm(faults=[Fault.HANG]) as server:
        done = run_suite({"SMOKE_URL": server.url, "SMOKE_TIMEOUT": "0.5"})
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "does not answer" in done.stderr


def test_the_model_that_was_switched_to_is_the_one_to_test(tmp_path: Path) -> None:
    local = tmp_path / "env" / "local"
    local.mkdir(parents=True)
    own = "PORT=8000\nMODEL=old\nMAX_MODEL_LEN=4096\n"
    (tmp_path / "env" / "cpu.env").write_text(own)
    (local / "cpu.env").write_text("MODEL='/models/the new'\nMAX_MODEL_LEN=\n")
    (tmp_path / ".env").write_text(f"VLLM_API_KEY={KEY}\nMODEL=\n")
    target = read_target({"SMOKE_BACKEND": "cpu"}, tmp_path)
    assert (target.model, target.max_model_len) == ("the new", "")


def test_a_missing_key_is_one_message(tmp_path: Path) -> None:
    # Asked in a folder where no `.env` can help out.
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "cpu.env").write_text("PORT=8000\nMODEL=tiny$1\n")
    with pytest.raises(NoTargetError, match="inv up --gpu cpu"):
        read_target({"SMOKE_BACKEND": "cpu"}, tmp_path)
    target = read_target({"SMOKE_BACKEND": "cpu", "VLLM_API_KEY": KEY}, tmp_path)
    assert (target.model, target.url) == ("tiny$1", "http://127.0.0.1:8000")
    assert KEY not in repr(target)
