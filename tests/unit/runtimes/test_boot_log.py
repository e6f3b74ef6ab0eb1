"""How far a start has come and why it died, read off recorded logs."""

from pathlib import Path

import pytest

from lifecycle.runtimes import boot_log
from tests.fake_vllm.boot import BOOT, CRASH

FAILED = Path(__file__).parent / "boot_log"
BOOTED = BOOT.read_text()
CRASHED = CRASH.read_text()
KV_CACHE = "ValueError: To serve at least one request with the model's max seq len (8192)"


def test_a_recorded_start_passes_through_the_phases_in_order() -> None:
    lines = BOOTED.splitlines(keepends=True)
    phases = [boot_log.phase("".join(lines[: number + 1])) for number in range(len(lines))]
    assert list(dict.fromkeys(phases)) == ["start", "load", "warm-up", "ready"]
    assert phases[-1] == "ready"


def test_an_empty_log_is_a_start() -> None:
    assert boot_log.phase("") == "start"


def test_only_the_present_start_counts() -> None:
    log = f"=== start 1 at 10:00 ===\n{BOOTED}=== end: exit 1 ===\n=== start 2 at 10:01 ===\nnew\n"
    assert boot_log.phase(boot_log.present(log)) == "start"
    assert boot_log.present(log).endswith("===\nnew\n")


def test_a_log_without_marks_is_present_as_a_whole() -> None:
    assert boot_log.present(BOOTED) == BOOTED


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "(EngineCore pid=6257) INFO 11-22 06:56:05 [loader.py:501] Loading weights",
            "Loading weights",
        ),
        ("(EngineCore_DP0 pid=7) WARNING 11-22 06:56:05 [a.py:1] slow", "slow"),
        ("(VllmWorker rank=1 pid=7) INFO 05-10 16:00:15 [a.py:470] warm", "warm"),
        ("(EngineCore pid=7) (Worker_TP0 pid=8) INFO 11-22 06:56:05 [a.py:1] two", "two"),
        ("INFO:     Application startup complete.", "INFO:     Application startup complete."),
        ("last\n\n  \n=== end: exit 1 ===", "last"),
        ("", ""),
    ],
)
def test_the_last_line_is_shown_without_its_prefix(line: str, said: str) -> None:
    assert boot_log.last_line(line) == said


def test_the_cause_of_the_recorded_crash_is_its_root_exception() -> None:
    assert "Engine core initialization failed" in CRASHED
    assert boot_log.cause(CRASHED).startswith(KV_CACHE)
    assert "Engine core initialization failed" not in boot_log.cause(CRASHED)


def test_an_exception_without_a_message_is_a_cause_too() -> None:
    lines = CRASHED.splitlines()
    bare = [
        f"{line.partition('ValueError: ')[0]}AssertionError" if "ValueError: " in line else line
        for line in lines
    ]
    assert boot_log.cause("\n".join(bare)).startswith("AssertionError")


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("cuda-infer-device-pynvml", "RuntimeError: Failed to infer device type"),
        ("driver-804-forward-compat", "RuntimeError: Unexpected error from cudaGetDeviceCount()."),
        ("hub-gated-401-transformers", "huggingface_hub.utils._errors.GatedRepoError: 401 Client"),
        ("hub-safetensors-headertoolarge-lfs", "safetensors_rust.SafetensorError: Error while"),
        ("vram-kv-needed-v1-estimate", "ValueError: To serve at least one request with the"),
        ("vram-no-cache-blocks-3090", "ValueError: No available memory for the cache blocks."),
        ("vram-oom-runtime-24gb-sort", "torch.OutOfMemoryError: CUDA out of memory."),
        (
            "vram-oom-sampler-warmup-256",
            "RuntimeError: CUDA out of memory occurred when warming up",
        ),
    ],
)
def test_the_cause_is_the_root_exception(log: str, cause: str) -> None:
    assert boot_log.cause((FAILED / f"{log}.log").read_text()).startswith(cause)


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("cuda-no-c-compiler", "Failed to find C compiler."),
        ("flag-max-model-len-derived", "User-specified max_model_len (131072) is greater than"),
        ("wsl-killed-ram-llama30b", "Killed"),
    ],
)
def test_the_cause_tells_what_a_person_needs(log: str, told: str) -> None:
    assert told in boot_log.cause((FAILED / f"{log}.log").read_text())


@pytest.mark.parametrize(
    "line",
    [
        "api_server.py: error: unrecognized arguments: /root/models/Qwen3-8B",  # vllm#27389
        "vllm serve: error: argument --load-format: invalid choice: 'sharded_state'",  # vllm#7545
    ],
)
def test_a_wrong_flag_is_the_cause(line: str) -> None:
    log = f"usage: server [-h]\n  [--seed SEED]\n{line}\n=== end: exit 2 ===\n"
    assert boot_log.cause(log) == line


def test_without_an_exception_the_last_lines_are_shown() -> None:
    assert boot_log.cause("\n".join("abcdefg")) == "\n".join("cdefg")
    assert boot_log.cause("  \n") == "its log is empty"


ACCESS = 'INFO:     127.0.0.1:40712 - "GET /v1/models HTTP/1.1" 200 OK\n'


def ended(code: int, said: str = ACCESS, start: int = 1) -> str:
    return f"=== start {start} at 10:00 ===\n{said}=== end: exit {code} ===\n"


def test_answered_requests_are_never_told_as_a_cause() -> None:
    assert boot_log.cause(ACCESS * 4) == "its log does not say why"
    assert boot_log.cause(f"it fell over\n{ACCESS * 4}") == "it fell over"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (-9, "killed by signal 9 (perhaps out of memory)"),
        (137, "killed by signal 9 (perhaps out of memory)"),
        (-11, "killed by signal 11 (a fault in native code"),
        (139, "killed by signal 11 (a fault in native code"),
        (-6, "ended by signal 6 (it aborted"),
        (134, "ended by signal 6 (it aborted"),
        (143, "ended by signal 15 (somebody asked it to stop)"),
        (-7, "killed by signal 7 (a page it could not have"),
        (132, "killed by signal 4 (an instruction that this processor does not have)"),
        (-31, "killed by signal 31"),
        (126, "exit code 126 (its program may not be run"),
        (127, "exit code 127 (its program, or a library that it needs, is missing)"),
        (3, "exit code 3"),
        (255, "exit code 255"),
    ],
)
def test_an_end_without_a_word_is_named_by_its_exit_code(code: int, told: str) -> None:
    assert boot_log.death(ended(code)).startswith(told)
    assert boot_log.death(ACCESS, code).startswith(told)


def test_the_times_it_was_tried_are_counted() -> None:
    log = "".join(ended(-9, start=number) for number in range(1, 7))
    told = "killed by signal 9 (perhaps out of memory), tried 6 times"
    assert boot_log.death(log, tries=6) == told


def test_who_knows_that_it_was_memory_is_believed() -> None:
    told = "killed by signal 9 (out of memory: the kernel ended it)"
    assert boot_log.death(ACCESS, 137, out_of_memory=True) == told
    assert "out of memory" not in boot_log.death(ACCESS, 139, out_of_memory=True)


def test_an_exception_tells_more_than_its_exit_code() -> None:
    assert boot_log.death(ended(1, "ValueError: too big\n")) == "ValueError: too big"
    assert boot_log.death(ended(1, "ValueError: too big\n"), tries=2) == (
        "ValueError: too big\ntried 2 times"
    )


def test_what_an_earlier_start_died_of_is_not_told_of_a_later_one() -> None:
    log = ended(1, "ValueError: too big\n") + ended(-9, start=2)
    assert "ValueError" not in boot_log.death(log)


def test_what_a_start_that_goes_on_says_is_not_told_of_the_one_that_ended() -> None:
    log = ended(-9) + "=== start 2 at 10:01 ===\nValueError: of the new one\n"
    assert "ValueError" not in boot_log.death(log)


def test_without_a_code_the_log_decides() -> None:
    assert boot_log.death("it fell over\n") == "it fell over"
    assert boot_log.death("", 0) == "its log is empty"


def test_a_secondary_death_alone_is_still_shown() -> None:
    line = "RuntimeError: Engine core initialization failed. See root cause above."
    assert boot_log.cause(line) == line
