"""Another model in the place of one, and back, with a real vLLM on the CPU."""

import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
import requests

from lifecycle.errors import ModelUnavailable, ServerUnhealthy
from tests.integration.checkout import INTERRUPTED, Checkout, interrupt

SMALL = "smollm2-135m-instruct"
DOWN_SECONDS = 60
"""Seconds between two models; on two quiet cores it is under 20."""


@pytest.fixture(scope="module")
def server(checkout: Checkout) -> Checkout:
    """The small model is served."""
    done = checkout.up()
    assert done.returncode == 0, done.stderr
    return checkout


@pytest.fixture(scope="module")
def models(server: Checkout) -> Path:
    """Copies of the small model: a sound one, one vLLM refuses, one that was cut off."""
    folder = server.root / "models"
    folder.mkdir()
    source = Path(json.loads(launch(server))["settings"]["MODEL_FOLDER"])
    for name in ("second", "refused", "cut-off"):
        shutil.copytree(source, folder / name, copy_function=link_or_copy)
    config = folder / "refused" / "config.json"
    more = json.loads(config.read_text())
    more["num_hidden_layers"] += 1
    config.unlink()
    config.write_text(json.dumps(more))
    weights = folder / "cut-off" / "model.safetensors"
    part = weights.read_bytes()[:1_000_000]
    weights.unlink()
    weights.write_bytes(part)
    return folder


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def launch(server: Checkout) -> str:
    return (Path(server.status()["log"]).parent / "launch.json").read_text()


def override(server: Checkout) -> Path:
    return server.root / "env" / "local" / f"{server.backend}.env"


def test_a_broken_model_is_refused_while_the_old_one_goes_on(
    server: Checkout, models: Path
) -> None:
    pid = server.status()["pid"]
    done = server.inv("switch", str(models / "cut-off"), "--gpu", server.backend)
    assert done.returncode == ModelUnavailable.exit_code, done.stderr
    assert "model.safetensors was cut off: it has 1,000,000 of 269,060,552 bytes" in done.stderr
    assert f"the old model {SMALL} still answers" in done.stderr
    assert server.status()["pid"] == pid


class Stream(threading.Thread):
    """An answer of some seconds, asked for before a switch; whether it came to its end."""

    def __init__(self, server: Checkout, seconds: float) -> None:
        super().__init__(daemon=True)
        self.url = f"http://127.0.0.1:{server.port}/v1/completions"
        self.headers = {"Authorization": f"Bearer {server.key}"}
        began = time.monotonic()
        self.begin()
        self.ask(50)
        # However busy the machine is: well within what a switch waits for.
        self.tokens = int(50 * seconds / (time.monotonic() - began))
        self.begin()

    def begin(self) -> None:
        self.begun = threading.Event()
        self.pieces: list[str] = []

    def ask(self, tokens: int) -> None:
        body = {
            "model": SMALL, "prompt": "Once", "stream": True, "max_tokens": min(tokens, 3000),
            "ignore_eos": True,
        }  # fmt: skip
        with requests.post(
            self.url, json=body, headers=self.headers, stream=True, timeout=60
        ) as answer:
            for line in answer.iter_lines(decode_unicode=True):
                if line:
                    self.pieces.append(line)
                    self.begun.set()

    def run(self) -> None:
        self.ask(self.tokens)


def test_a_switch_lets_answers_finish_and_serves_the_new_model(
    server: Checkout, models: Path
) -> None:
    stream = Stream(server, seconds=8)
    stream.start()
    assert stream.begun.wait(30)
    done = server.inv("switch", str(models / "second"), "--gpu", server.backend, limit=120)
    assert done.returncode == 0, done.stderr
    stream.join(5)
    assert "waiting for 1 request in flight" in done.stderr
    assert "cut off" not in done.stderr
    assert stream.pieces[-1] == "data: [DONE]", stream.pieces[-1]
    assert '"finish_reason":"length"' in stream.pieces[-2].replace(" ", "")
    assert server.status()["models"] == ["second"]
    assert f"MODEL={models / 'second'}\n" in override(server).read_text()
    chat = server.inv("chat", "What is the capital of France?", "--gpu", server.backend, limit=90)
    assert "Paris" in chat.stdout


def test_the_next_up_keeps_it(server: Checkout, models: Path) -> None:
    assert models
    done = server.up()
    assert done.returncode == 0, done.stderr
    assert "nothing to do" in done.stderr


def test_a_model_that_vllm_refuses_gives_way_to_the_old_one(server: Checkout, models: Path) -> None:
    before, started = override(server).read_text(), launch(server)
    done = server.inv("switch", str(models / "refused"), "--gpu", server.backend, limit=180)
    assert done.returncode == ServerUnhealthy.exit_code, done.stderr
    cause, back = "were not initialized from checkpoint", "the old model second answers again"
    assert done.stderr.index(cause) < done.stderr.index(back)
    assert (override(server).read_text(), launch(server)) == (before, started)
    entry = server.status()
    assert (entry["phase"], entry["models"]) == ("ready", ["second"])
    kept = Path(entry["log"]).parent / "failed-switch.log"
    assert cause in kept.read_text()


def test_ctrl_c_in_the_middle_brings_the_old_one_back(server: Checkout, models: Path) -> None:
    assert models
    first = server.begin("switch", SMALL, "--gpu", server.backend)
    server.until("start", 30)
    time.sleep(1)
    began = time.monotonic()
    text = interrupt(first)
    assert first.returncode in INTERRUPTED, text
    assert "the old model second answers again" in text
    assert time.monotonic() - began < DOWN_SECONDS
    assert server.status()["models"] == ["second"]
