"""`up`, `down`, `status`: what they say and write, without any server."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from invoke import Config, Context, Exit

from lifecycle import facts
from lifecycle.cmd import choose, server, start
from lifecycle.cmd import tools as engine_tools
from lifecycle.host import Host, Launch, Server, Venv, Weights
from lifecycle.runtimes import venv
from lifecycle.steps.venv import Tools
from tests.unit import gpu_hosts
from tests.unit.given import KEY, TOOLS, Checkout, backend, host, running

Captured = pytest.CaptureFixture[str]
MODEL = "GPU=cpu\nPORT=8000\nMODEL=smollm2-135m-instruct\n"
DRY = Context(Config(overrides={"run": {"dry": True}}))


@pytest.fixture(autouse=True)
def here(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setattr(choose, "ROOT", checkout.root)
    # Its own default for the checkout is the real one.
    monkeypatch.setattr(choose, "places", lambda: checkout.paths)
    monkeypatch.setattr(facts, "hardware", lambda _: Host())
    return checkout.env("cpu", MODEL)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Host]:
    now = {"": host()}

    def tools(*_: object) -> Tools:
        return TOOLS

    monkeypatch.setattr(facts, "gather", lambda *_: now[""])
    monkeypatch.setattr(facts.server, "look", lambda *_: now[""].server)
    monkeypatch.setattr(engine_tools, "tools", tools)
    return now


def files(folder: Path) -> list[str]:
    return sorted(
        str(Path(at, name).relative_to(folder))
        for at, _, names in os.walk(folder)
        for name in names
    )


def test_a_dry_up_on_a_bare_machine_says_every_change_and_makes_none(
    here: Checkout, machine: dict[str, Host], capsys: Captured
) -> None:
    absent = Weights(problem="it is not here")
    machine[""] = host(venv=Venv(), weights=absent, api_key="", secrets_mode=0)
    before = files(here.root)
    server.up(DRY)
    said = capsys.readouterr().out.splitlines()
    for part in (
        "/.env (mode 600)",
        "uv venv",
        "uv pip install",
        "supervisord --config",
        "wait until",
    ):
        assert any(part in line for line in said), part
    assert files(here.root) == before
    assert not any("sk-local-" in line for line in said)


def test_a_dry_down_says_what_it_would_stop(
    here: Checkout,
    machine: dict[str, Host],
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert machine
    run = here.paths.run("cpu")
    run.mkdir(parents=True)
    (run / "launch.json").write_text('{"runtime": "venv", "settings": {}}')
    monkeypatch.setattr(venv, "carried", lambda *_: Launch("venv", {}, str(here.root)))
    server.down(DRY)
    assert capsys.readouterr().out == "stop the venv server of backend cpu\n"
    assert (run / "launch.json").exists()


def test_down_with_nothing_running_is_fine(capsys: Captured) -> None:
    server.down(Context())
    assert capsys.readouterr().err == "nothing of this checkout was running\n"


def test_a_second_up_changes_nothing_and_says_so(
    here: Checkout, machine: dict[str, Host], capsys: Captured
) -> None:
    here.secrets(f"VLLM_API_KEY={KEY}\n")
    here.paths.secrets.chmod(0o600)
    machine[""] = host(server=running(choose.load("cpu")))
    server.up(Context())
    shown = capsys.readouterr()
    assert "cpu runs as wanted; nothing to do" in shown.err
    assert "http://127.0.0.1:8000/v1" in shown.out
    assert KEY not in shown.out + shown.err
    assert [name for name in files(here.root) if not name.endswith(".lock")] == [
        ".env",
        "env/cpu.env",
    ]


@pytest.mark.parametrize(("off", "told"), [("", True), ("KNOWN_ISSUES_OFF=wsl-spawn\n", False)])
def test_up_tells_what_nobody_tried_and_what_it_works_around(
    here: Checkout, machine: dict[str, Host], capsys: Captured, off: str, *, told: bool
) -> None:
    here.env("4090", f"GPU=cuda\nPORT=8001\nMODEL=smollm2-135m-instruct\n{off}")
    _, machine[""] = gpu_hosts.SERVERS["wsl2-4090"]
    server.up(DRY, gpu="4090")
    shown = capsys.readouterr()
    assert "unverified: we have not run vllm/vllm-openai" in shown.err
    assert ("VLLM_WORKER_MULTIPROC_METHOD=spawn, because" in shown.err) == told
    assert "docker compose" in shown.out
    assert "nvidia.yml" in shown.out


def test_up_of_what_cannot_be_served_so_exits_7(here: Checkout, capsys: Captured) -> None:
    here.env("7900xtx", "GPU=rocm\nPORT=8001\nMODEL=m\nRUNTIME=venv\n")
    with pytest.raises(Exit) as caught:
        server.up(Context(), gpu="7900xtx")
    assert caught.value.code == 7
    assert "--runtime docker" in capsys.readouterr().err


def test_up_in_an_unknown_runtime_exits_2(capsys: Captured) -> None:
    with pytest.raises(Exit) as caught:
        server.up(Context(), runtime="podman")
    assert caught.value.code == 2
    assert "--runtime podman: must be one of" in capsys.readouterr().err


def test_a_bad_value_of_the_process_exits_2(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("PORT", "99999")
    with pytest.raises(Exit) as caught:
        server.up(Context())
    assert caught.value.code == 2
    assert "PORT=99999" in capsys.readouterr().err


def status(capsys: Captured, **options: Any) -> dict[str, Any]:
    server.status(Context(), json=True, **options)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_status_as_json_tells_a_running_server(machine: dict[str, Host], capsys: Captured) -> None:
    machine[""] = host(server=running(backend(), memory=5, restarts=1, log="/x.log"))
    (row,) = status(capsys)["backends"]
    uptime = row.pop("uptime_seconds")
    assert uptime > 0
    assert row == {
        "name": "cpu", "gpu": "cpu", "runtime": "venv", "phase": "ready",
        "url": "http://127.0.0.1:8000/v1", "model": "smollm2-135m-instruct",
        "models": ["smollm2-135m-instruct"], "pid": 42, "restarts": 1, "memory_bytes": 5,
        "vram_used_bytes": None,
        "vram_total_bytes": None,
        "answers": "sane",
        "answers_detail": "",
        "detail": "", "log": "/x.log", "checkout": None, "owner": None,
    }  # fmt: skip


def test_status_as_json_tells_a_stopped_server(machine: dict[str, Host], capsys: Captured) -> None:
    machine[""] = host(server=Server())
    (row,) = status(capsys)["backends"]
    assert (row["phase"], row["pid"], row["uptime_seconds"]) == ("stopped", None, None)
    assert "settings" not in row


def test_verbose_status_hides_the_key(
    here: Checkout, machine: dict[str, Host], capsys: Captured
) -> None:
    assert machine
    here.secrets(f"VLLM_API_KEY={KEY}\n")
    (row,) = status(capsys, verbose=True)["backends"]
    assert row["settings"]["VLLM_API_KEY"] == {"value": "(set, hidden)", "source": ".env:1"}
    server.status(Context(), verbose=True)
    assert KEY not in capsys.readouterr().out + json.dumps(row)


def test_logs_before_any_start_say_so(machine: dict[str, Host], capsys: Captured) -> None:
    assert machine
    with pytest.raises(Exit) as caught:
        server.logs(Context(), gpu="cpu")
    assert caught.value.code == 3
    assert "cpu has no log yet\n→ inv up --gpu cpu" in capsys.readouterr().err


def test_a_key_is_made_only_when_there_is_none() -> None:
    none = backend(VLLM_API_KEY="")
    kept, new = start.with_key(backend())
    assert (kept.api_key, kept.settings["VLLM_API_KEY"].source, new) == (KEY, "a test", "")
    made, new = start.with_key(none)
    assert made.api_key == new
    assert new.startswith("sk-local-")
    assert len(new) > 40


def test_two_made_keys_differ() -> None:
    def new() -> str:
        none = backend(VLLM_API_KEY="")
        return start.with_key(none)[1]

    assert new() != new()
