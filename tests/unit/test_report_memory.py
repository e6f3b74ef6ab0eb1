"""What a start took, as it is shown."""

from dataclasses import dataclass

import pytest

from lifecycle import report
from lifecycle.host import GIB
from lifecycle.measured import Measured

FOUND = Measured(
    weights=round(15.3 * GIB), kv_available=round(3.1 * GIB), kv_tokens=22_480, concurrency=1.372,
    at_length=16_384, budget=22 * GIB, total=24 * GIB,
)  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    weights: int | None = round(15.31 * GIB)
    kv_available: int | None = 3 * GIB
    kv_tokens: int | None = 21_900


def test_prediction_stands_beside_fact(capsys: pytest.CaptureFixture[str]) -> None:
    report.memory(FOUND, Estimate())
    assert capsys.readouterr().out.splitlines() == [
        "memory    weights 15.3 GiB (planned 15.3), everything else 3.6 GiB, of 22.0 GiB in all",
        "KV cache  3.1 GiB = 22,480 tokens (planned 21,900, −2.6 %)",  # noqa: RUF001
        "          1.4 requests of full length (16,384 tokens) at once",
    ]


def test_without_a_prediction_the_facts_stand_alone(capsys: pytest.CaptureFixture[str]) -> None:
    report.memory(FOUND)
    assert "planned" not in capsys.readouterr().out


def test_an_estimate_that_was_too_high_has_a_plus(capsys: pytest.CaptureFixture[str]) -> None:
    report.memory(FOUND, Estimate(kv_tokens=24_728))
    assert "(planned 24,728, +10.0 %)" in capsys.readouterr().out


def test_an_estimate_with_gaps_is_compared_as_far_as_it_goes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report.memory(FOUND, Estimate(weights=None, kv_tokens=None))
    assert "planned" not in capsys.readouterr().out


def test_several_cards_are_told_by_card(capsys: pytest.CaptureFixture[str]) -> None:
    report.memory(Measured(weights=GIB, cards=2))
    assert capsys.readouterr().out == "memory    on each of 2 cards: weights 1.0 GiB\n"


def test_of_the_cpu_only_what_it_tells_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    report.memory(Measured(kv_available=GIB, kv_given=True, kv_tokens=46_592, total=8 * GIB))
    assert capsys.readouterr().out == "KV cache  1.0 GiB = 46,592 tokens\n"


def test_a_silent_log_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    report.memory(Measured())
    assert capsys.readouterr().out == ""


def test_no_room_at_all_is_no_division_by_zero(capsys: pytest.CaptureFixture[str]) -> None:
    report.memory(Measured(kv_tokens=0), Estimate())
    assert "0 tokens (planned 21,900)" in capsys.readouterr().out
