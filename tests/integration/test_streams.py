"""However a shell, a pipe or a full disk leaves the streams: no traceback, a known exit code."""

from pathlib import Path

import pytest

from lifecycle.errors import READER_GONE, OutputLost
from tests.integration import every_command
from tests.integration.checkout import Checkout
from tests.integration.every_command import COMMANDS, HELPS, Case, all_of, typed

REDIRECTIONS = (">&-", "<&- >/dev/full", "2>&- | head -1")
"""Each is met by each command; a start of Python costs half a second, so two share one."""
RARER = ("2>/dev/full", ">&- 2>&- <&-", "1</dev/null", "| true")
"""These by one command after the other, in turn."""
SAYING = ("doctor", "models", "plan", "status", "--list", "--help")
"""Those that say something on standard output, whatever the machine is."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return every_command.copy(tmp_path_factory.mktemp("streams"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_ends_well_whatever_its_streams_are(made: Checkout, name: str) -> None:
    rarer = RARER[COMMANDS.index(name) % len(RARER)]
    ends = all_of(made, [Case(typed(name), where) for where in (*REDIRECTIONS, rarer)])
    assert not [end.problem for end in ends if end.problem]


def test_so_does_every_help(made: Checkout) -> None:
    # One each, in turn: the same few lines of ours write all of them.
    every = (*REDIRECTIONS, *RARER)
    some = [Case(words, every[n % len(every)]) for n, words in enumerate(HELPS)]
    lists = [Case(("--list",), where) for where in every]
    ends = all_of(made, [*some, *lists])
    assert not [end.problem for end in ends if end.problem]


@pytest.mark.parametrize("name", SAYING)
def test_what_cannot_be_written_is_one_sentence_and_has_a_code_of_its_own(
    made: Checkout, name: str
) -> None:
    (end,) = all_of(made, [Case((name,), ">/dev/full")])
    assert end.code == OutputLost.exit_code
    assert end.errors.count("✗") == 1
    assert "the output cannot be written: No space left on device" in end.errors


@pytest.mark.parametrize("name", SAYING)
def test_a_reader_that_leaves_is_no_error(made: Checkout, name: str) -> None:
    (end,) = all_of(made, [Case((name,), "| true")])
    # Nothing of it may be met: whoever is fast has written before the reader left.
    assert end.code in {0, READER_GONE} or name == "doctor"
    assert "✗" not in end.errors


def test_the_log_of_a_server_is_a_stream_too(made: Checkout) -> None:
    log = Path(made.env["LIFECYCLE_HOME"]) / "run" / "dtest" / "server.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"a line\n" * 100_000 + b"\xff\xfe no text\n")
    words = ("logs", "--gpu", "dtest", "--lines", "100000")
    read, full, left = all_of(
        made, [Case(words), Case(words, ">/dev/full"), Case((*words, "--follow"), "| head -1")]
    )
    assert (read.code, read.output.count("\n")) == (0, 100_000)
    assert (full.code, full.errors.count("✗")) == (OutputLost.exit_code, 1)
    assert (left.code, left.output, left.errors) == (READER_GONE, "a line\n", "")
