"""The way through `inv onboard`: what is asked, what is run, where it ends."""

import getpass
import io
import sys
from pathlib import Path
from typing import Any

import pytest
from invoke import Config, Context, Task

from lifecycle.cmd import choose, examine, onboard, server, setup
from lifecycle.cmd.examine import Examination
from lifecycle.errors import CommandFailed, HostNotReady, NotSupported
from lifecycle.host import Gpu, Host, Nvidia
from lifecycle.shell import Shell
from lifecycle.step import Command
from lifecycle.steps.findings import ADVICE, OK, PERSON, UNREAD, WORK, Finding
from lifecycle.steps.wsl_settings import MEMORY, STAYS_UP
from tests.unit.given import Checkout, backend, host

READY = Finding("cpu.required", "the processor is good", OK, "")
UP = Finding(
    "server.answers", "it answers", WORK, "not running", "inv up --gpu cpu", "inv up --gpu cpu"
)
DOCKER = Finding(
    "docker.answers", "Docker answers", WORK, "no docker", "inv setup.docker", "inv setup.docker"
)
TAILNET = Finding(
    "tailscale.joined", "a tailnet", ADVICE, "none", "inv setup.tailscale", "inv setup.tailscale"
)
DRIVER = Finding("nvidia.driver", "the driver is new", PERSON, "driver 1", "Get driver 2.")


class Runs:
    """Commands of ours, and what was said to them."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, context: Context, words: str) -> None:
        self.made.append(f"{'dry ' if context.config.run.dry else ''}{words}")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    made = Runs()
    monkeypatch.setattr(onboard, "_perform", made)
    return made


def seen(*found: Finding) -> Examination:
    """An examination; these findings in the order of need."""
    return Examination(backend(), host(), list(found))


def looks(monkeypatch: pytest.MonkeyPatch, *later: Examination) -> None:
    """What each further look at the machine finds."""
    rest = iter(later)
    monkeypatch.setattr(examine, "examine", lambda *_: next(rest))


def set_up(first: Examination, *, dry: bool = False, **answers: bool) -> Examination:
    context = Context(Config({"run": {"dry": dry}}))
    return onboard._set_up(context, first, **{"ask": False, "yes": True, **answers})


# --- .env


def settings(checkout: Checkout, *, ask: bool, dry: bool = False) -> Path:
    (checkout.root / ".env.example").write_text("# Keys\n# HF_TOKEN=\n")
    onboard._settings(checkout.paths, Shell(dry=dry), ask=ask)
    return checkout.root / ".env"


def test_env_is_made_of_the_example_for_its_owner_only(checkout: Checkout) -> None:
    made = settings(checkout, ask=False)
    assert made.read_text() == "# Keys\n# HF_TOKEN=\n"
    assert made.stat().st_mode & 0o777 == 0o600


def test_the_token_is_asked_for_unseen_until_it_is_one(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = iter(["no token!", " hf_secret123 "])
    monkeypatch.setattr(getpass, "getpass", lambda _: next(said))
    assert settings(checkout, ask=True).read_text() == "# Keys\nHF_TOKEN=hf_secret123\n"
    shown = "".join(capsys.readouterr())
    assert "That is no token" in shown
    assert "secret" not in shown


def test_an_env_that_is_there_stays_and_nobody_is_asked(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda _: pytest.fail("a question"))
    checkout.secrets("HF_TOKEN=mine")
    assert settings(checkout, ask=True).read_bytes() == b"HF_TOKEN=mine"
    checkout.secrets("PORT=1")
    assert settings(checkout, ask=False).read_bytes() == b"PORT=1"


def test_what_is_added_changes_no_byte_of_the_rest(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda _: "hf_secret123")
    checkout.secrets(b"PORT=1\r\n# \xc3\xa4\r\n")
    assert settings(checkout, ask=True).read_bytes() == (
        b"PORT=1\r\n# \xc3\xa4\r\n# Hugging Face token for gated models.\nHF_TOKEN=hf_secret123\n"
    )


def test_who_ends_the_input_has_no_token(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(_: str) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", ended)
    assert settings(checkout, ask=True).read_text() == "# Keys\n# HF_TOKEN=\n"


def test_a_token_in_the_environment_is_not_asked_for(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda _: pytest.fail("a question"))
    monkeypatch.setenv("HF_TOKEN", "x")
    assert "HF_TOKEN=x" not in settings(checkout, ask=True).read_text()


def test_a_dry_run_makes_no_env(checkout: Checkout) -> None:
    assert not settings(checkout, ask=False, dry=True).exists()


# --- Which backend


def test_auto_goes_on_with_what_can_be_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = Examination(backend("4090", GPU="tpu"), Host(nvidia=Nvidia(gpus=(Gpu("RTX"),))), [])
    looks(monkeypatch, card, seen(READY))
    monkeypatch.setattr(choose, "to_start", lambda _: (backend(), ""))
    assert onboard._look("auto").backend.name == "cpu"
    assert "best at 4090, which this version cannot start yet; going on with cpu" in (
        capsys.readouterr().out
    )


def test_a_backend_that_was_named_and_cannot_be_started_ends_before_anything_is_set_up(
    monkeypatch: pytest.MonkeyPatch, checkout: Checkout, runs: Runs
) -> None:
    card = Examination(backend("4090", GPU="rocm", RUNTIME="venv"), host(), [DOCKER])
    looks(monkeypatch, card)
    monkeypatch.setattr(choose, "places", lambda: checkout.paths)
    checkout.secrets("HF_TOKEN=mine")
    with pytest.raises(NotSupported, match="GPU=rocm"):
        onboard._lead(Context(), "4090", yes=True)
    assert runs.made == []


# --- Setting up


def test_nothing_is_set_up_where_all_is_so(runs: Runs) -> None:
    first = seen(READY, UP, TAILNET)
    assert set_up(first) is first
    assert runs.made == []


def test_a_command_is_shown_then_run_then_the_machine_looked_at_again(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks(monkeypatch, seen(READY, UP))
    set_up(seen(DOCKER, UP))
    assert runs.made == ["dry inv setup.docker", "inv setup.docker"]


def test_a_command_that_did_not_help_is_not_run_for_ever(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks(monkeypatch, seen(DOCKER))
    with pytest.raises(HostNotReady, match="Docker answers"):
        set_up(seen(DOCKER))
    assert runs.made == ["dry inv setup.docker", "inv setup.docker"]


def test_what_only_a_person_can_do_ends_it_with_the_fix_and_the_way_on(runs: Runs) -> None:
    with pytest.raises(HostNotReady) as failure:
        set_up(seen(DRIVER, DOCKER))
    assert (failure.value.why, failure.value.fix) == (
        "driver 1", f"Get driver 2.\n{onboard.AGAIN}",
    )  # fmt: skip
    assert runs.made == []


def test_the_order_is_that_of_need_not_of_the_table(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks(monkeypatch, seen(DRIVER))
    with pytest.raises(HostNotReady, match="the driver is new"):
        set_up(seen(DOCKER, DRIVER))
    assert runs.made[-1] == "inv setup.docker"


@pytest.mark.parametrize("id_", [STAYS_UP, MEMORY])
def test_what_ends_a_server_under_wsl_is_set_up_although_it_is_only_better(
    id_: str, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = Finding(id_, "a state", ADVICE, "why", "inv setup.wsl", "inv setup.wsl")
    looks(monkeypatch, seen(UP, TAILNET))
    set_up(seen(idle, UP, TAILNET))
    assert runs.made == ["dry inv setup.wsl", "inv setup.wsl"]


def test_where_windows_cannot_be_reached_a_person_is_told_before_the_server_ends() -> None:
    by_hand = Finding(STAYS_UP, "it stays up", ADVICE, "it stops", "Put into .wslconfig: …")
    with pytest.raises(HostNotReady) as failure:
        set_up(seen(by_hand, UP))
    assert failure.value.fix.startswith("Put into .wslconfig")
    # A size of RAM that the person chose stays.
    chosen = Finding(MEMORY, "enough", ADVICE, "memory=8GB is little", "Set memory=47GB")
    assert set_up(seen(chosen, UP)).in_order == [chosen, UP]


def test_what_could_not_be_asked_ends_it_with_the_same_again(runs: Runs) -> None:
    late = Finding(
        "docker.answers", "Docker answers", UNREAD, "no answer in 0.25 s", "Look again: inv doctor"
    )
    with pytest.raises(HostNotReady, match="could not be asked") as failure:
        set_up(seen(late, UP))
    assert (failure.value.why, failure.value.fix) == ("no answer in 0.25 s", onboard.AGAIN)
    assert runs.made == []


def test_a_dry_run_shows_every_command_and_runs_none(runs: Runs) -> None:
    cuda = Finding(
        "nvidia.in_container",
        "containers see the card",
        WORK,
        "no",
        "inv setup.cuda",
        "inv setup.cuda",
    )
    set_up(seen(DOCKER, cuda, UP), dry=True)
    assert runs.made == ["dry inv setup.docker", "dry inv setup.cuda"]


def test_without_a_terminal_consent_is_given_beforehand(runs: Runs) -> None:
    with pytest.raises(HostNotReady) as failure:
        set_up(seen(DOCKER), yes=False)
    assert "inv onboard --yes" in failure.value.fix
    assert runs.made == ["dry inv setup.docker"]


@pytest.mark.parametrize(
    ("answer", "agreed"), [("", True), ("Y", True), ("n", False), ("x", False)]
)
def test_consent(monkeypatch: pytest.MonkeyPatch, runs: Runs, answer: str, *, agreed: bool) -> None:
    monkeypatch.setattr("builtins.input", lambda _: answer)
    looks(monkeypatch, seen(READY))
    if agreed:
        set_up(seen(DOCKER), ask=True, yes=False)
    else:
        with pytest.raises(HostNotReady, match="left to you"):
            set_up(seen(DOCKER), ask=True, yes=False)
    assert ("inv setup.docker" in runs.made) is agreed


def test_a_command_is_understood_as_it_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[dict[str, Any]] = []

    def rocm(context: Context, recipe: str = "", replay: str = "", *, more: bool = False) -> None:
        del context
        got.append({"recipe": recipe, "replay": replay, "more": more})

    monkeypatch.setattr(setup, "rocm", Task(rocm))
    onboard._perform(Context(), "inv setup.rocm --recipe '7.2 dxg'")
    onboard._perform(Context(), "inv setup.rocm --more")
    assert got == [
        {"recipe": "7.2 dxg", "replay": "", "more": False},
        {"recipe": "", "replay": "", "more": True},
    ]


# --- Smoke, and the end


def test_the_smoke_tests_are_those_of_the_backend(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run: list[str] = []

    def shell(_: Shell, command: Command, line: Any) -> None:
        run.append(str(command))
        line("===== 18 passed in 20.58s =====")

    monkeypatch.setattr(Shell, "run", shell)
    onboard._smoke(backend(), checkout.paths, Shell())
    assert run[0].endswith(f"--noxfile {checkout.root}/noxfile.py --session smoke-cpu")
    assert "18 passed" in capsys.readouterr().err


def test_smoke_tests_that_fail_name_the_log(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shell(*_: object) -> None:
        raise CommandFailed("this command failed (exit 1): nox", why="1 failed")

    monkeypatch.setattr(Shell, "run", shell)
    with pytest.raises(CommandFailed) as failure:
        onboard._smoke(backend(), checkout.paths, Shell())
    assert failure.value.why == "1 failed"
    assert "inv logs --gpu cpu" in failure.value.fix


def test_the_whole_way_ends_with_what_to_type_next(
    checkout: Checkout,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    started: list[str] = []
    (checkout.root / ".env.example").write_text("# HF_TOKEN=\n")
    monkeypatch.setattr(choose, "places", lambda: checkout.paths)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(server, "up", lambda _, gpu: started.append(gpu))
    monkeypatch.setattr(Shell, "run", lambda *_: None)
    looks(monkeypatch, seen(READY, UP))
    onboard.onboard(Context(), yes=True)
    assert started == ["cpu"]
    shown = capsys.readouterr().out
    stages = [f"[{number}/5]" for number in range(1, 6)]
    assert [shown.index(stage) for stage in stages] == sorted(map(shown.index, stages))
    for word in ("inv chat", "inv status", "inv logs", "inv down", "docs/"):
        assert word in shown[shown.index("What to type next") :]
