"""A task's failures: one clear message and an exit code; a bug stays a bug."""

import errno
from collections.abc import Callable

import pytest
from invoke import Config, Context, Exit, MockContext

from lifecycle import errors
from lifecycle.cmd.command import command, dry, positional_if_given
from lifecycle.errors import INTERRUPTED, HostNotReady, LifecycleError
from lifecycle.shell import Shell
from lifecycle.step import Command

Captured = pytest.CaptureFixture[str]
FAILURES = [kind for kind in vars(errors).values() if isinstance(kind, type)]


def run(failure: BaseException | None) -> None:
    @command()
    def body(context: Context) -> None:
        del context
        if failure:
            raise failure

    body(MockContext())


def ended(failure: BaseException) -> Exit:
    with pytest.raises(Exit) as caught:
        run(failure)
    return caught.value


def test_a_task_that_succeeds_ends_without_a_word(capsys: Captured) -> None:
    run(None)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [one for one in FAILURES if issubclass(one, LifecycleError)])
def test_a_failure_is_told_and_exits_with_its_code(
    kind: type[LifecycleError], capsys: Captured
) -> None:
    assert ended(kind("it broke", why="so", fix="mend it")).code == kind.exit_code
    assert capsys.readouterr().err == "✗ it broke\n  so\n→ mend it\n"


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_is_shown_where_invoke_takes_it_for_an_argument(
    word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @command(positional=["name"])
    def body(context: Context, name: str) -> None:
        raise AssertionError(context, name)

    shown: list[Command] = []

    def replace(_: Shell, one: Command) -> int:
        shown.append(one)
        return 0

    monkeypatch.setattr(Shell, "replace", replace)
    monkeypatch.setattr("sys.argv", ["inv", "key.add", word])
    with pytest.raises(Exit) as caught:
        body(MockContext(), name=word)
    assert caught.value.code == 0
    assert [one.argv[-2:] for one in shown] == [("--help", "key.add")]


def test_ctrl_c_exits_130_and_names_the_command_that_shows_what_runs() -> None:
    end = ended(KeyboardInterrupt())
    assert end.code == INTERRUPTED
    assert "inv status" in str(end.message)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_for_a_person_to_mend(number: int, capsys: Captured) -> None:
    assert ended(OSError(number, "full", "/data/file")).code == HostNotReady.exit_code
    assert "the disk is full: /data/file" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_place_that_cannot_be_written_is_for_a_person_to_mend(
    number: int, capsys: Captured
) -> None:
    assert ended(OSError(number, "no such luck", "/data/file")).code == HostNotReady.exit_code
    shown = capsys.readouterr().err
    assert "/data/file cannot be written: no such luck" in shown
    assert "LIFECYCLE_HOME=" in shown


def test_a_disk_failure_without_a_name_is_told_all_the_same(capsys: Captured) -> None:
    assert ended(OSError(errno.ENOSPC, "full")).code == HostNotReady.exit_code
    assert "the disk is full" in capsys.readouterr().err


@pytest.mark.parametrize(
    "bug", [ZeroDivisionError(), OSError(errno.EBADF, "broken"), OSError("odd"), ValueError("x")]
)
def test_a_bug_is_not_swallowed(bug: Exception) -> None:
    with pytest.raises(type(bug)) as caught:
        run(bug)
    assert caught.value is bug


def test_a_task_keeps_its_arguments_and_its_words() -> None:
    seen: list[object] = []

    @command(help={"gpu": "which"})
    def body(context: Context, gpu: str = "auto", *, json: bool = False) -> None:
        """Do it."""
        del context
        seen.extend((gpu, json))

    body(MockContext(), gpu="cpu", json=True)
    assert seen == ["cpu", True]
    assert (body.__doc__, body.help["gpu"]) == ("Do it.", "which")
    assert [argument.name for argument in body.get_arguments()] == ["gpu", "json"]


@pytest.mark.parametrize("asked", [True, False])
def test_dry_is_what_invoke_was_asked_for(*, asked: bool) -> None:
    assert dry(Context(Config(overrides={"run": {"dry": asked}}))) is asked


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("inv chat hello", True),
        ("inv --dry chat hello", True),
        ("inv chat --gpu cpu hello", True),
        ("inv chat --gpu=cpu hello", True),
        ("inv chat -g cpu hello", True),
        ("inv chat hello --gpu cpu", True),
        ("inv chat", False),
        ("inv chat --gpu cpu", False),
        ("inv chat --gpu=cpu", False),
        ("inv chat --gpu cpu --max-tokens 5", False),
        ("inv up --gpu cpu", False),
        ("inv", False),
    ],
)
def test_an_argument_is_positional_only_when_it_was_given(line: str, *, given: bool) -> None:
    assert positional_if_given("chat", "text", line.split()) == (["text"] if given else [])


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(_: LifecycleError) -> None:
        raise BrokenPipeError

    return lambda: monkeypatch.setattr("lifecycle.report.failure", refuse)


def test_a_failure_that_cannot_be_shown_is_not_taken_for_success(
    shown: Callable[[], None],
) -> None:
    shown()
    with pytest.raises(BrokenPipeError):
        run(HostNotReady("it broke"))
