"""How far a set of files is, and how fast it comes."""

from lifecycle.files import CHECKING, FETCHING, Files


def test_speed_and_time_left() -> None:
    files = Files.of([("a", 100), ("b", 300)])
    for second in range(4):
        files.fetched = files.files["b"].done = second * 50
        files.take(float(second))
    assert files.speed(3.0) == 50
    assert files.left(3.0) == (400 - 150) / 50
    assert files.speed(60.0) == 0
    assert files.left(60.0) is None


def test_what_was_there_before_is_no_speed() -> None:
    files = Files.of([("a", 1000)])
    files.files["a"].done = 900
    files.take(0.0)
    files.fetched, files.files["a"].done = 10, 910
    files.take(1.0)
    assert files.speed(1.0) == 10
    assert files.left(1.0) == 9


def test_a_file_that_is_looked_at_is_not_counted_as_here() -> None:
    files = Files.of([("a", 100), ("b", 100)])
    files.files["a"].done, files.files["a"].state = 60, CHECKING
    files.files["b"].done, files.files["b"].state = 40, FETCHING
    assert (files.done, files.total, files.here) == (40, 200, 0)
