"""A gateway of a test's own, with the keys of its clients."""

import hashlib
import http.client
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lifecycle import http as door_to_http
from lifecycle.gateway import files, health
from tests.fake_vllm import FakeVllm
from tests.integration.checkout import Checkout, free_port, free_triple

CHAT = "/v1/chat/completions"
OWN = "sk-local-of-the-backends"
KEYS = {"alice": "sk-vllm-alice-0123456789", "slow": "sk-vllm-slow-0123456789",
        "single": "sk-vllm-single-0123456789", "bulky": "sk-vllm-bulky-0123456789"}  # fmt: skip
LIMITS = {"slow": {"rate": 6, "in_flight": 2}, "single": {"rate": 0, "in_flight": 1}}
PROMPT = "a prompt that no log may hold"
TWO_CHECKS = 4.0
"""Seconds: one every 2 s."""
PATIENCE = 120
"""Seconds a client waits for a byte: a real model beside other work takes its time."""
MARGIN = 1.0
"""Seconds for the check itself, and for a busy machine."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The error, which has OpenAI's shape or none."""
        assert self.headers["content-type"] == "application/json", self.body
        error = json.loads(self.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert isinstance(error, dict)
        return error


@dataclass
class Gateway:
    """The gateway of a checkout, and the doubles behind it by name."""

    checkout: Checkout
    port: int
    doubles: dict[str, FakeVllm] = field(default_factory=dict)

    @classmethod
    def prepare(cls, place: Path) -> "Gateway":
        """A checkout without backends, a home without anything but the clients' keys."""
        checkout = Checkout.copy(place / "checkout", "unused", free_port())
        for file in (checkout.root / "env").glob("*.env"):
            file.unlink()
        checkout.env |= {"LIFECYCLE_HOME": str(place / "home")}
        made = cls(checkout, free_triple())
        (checkout.root / ".env").write_text(f"VLLM_API_KEY={OWN}\nGATEWAY_PORT={made.port}\n")
        made.folder.mkdir(parents=True)
        (made.folder / "clients.json").write_text(json.dumps([client(name) for name in KEYS]))
        return made

    @contextmanager
    def up(self, *within: str) -> Iterator[None]:
        """Have it run.

        Args:
            within: words in front of the command that starts it.
        """
        command = [*within, *self.checkout.command("gateway.up")]
        done = subprocess.run(
            command, cwd=self.checkout.root, env=self.checkout.environment(), timeout=120,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        try:
            yield
        finally:
            self.inv("gateway.down")

    @property
    def folder(self) -> Path:
        return Path(self.checkout.env["LIFECYCLE_HOME"]) / "gateway"

    def file(self, name: str) -> Path:
        """A backend's env file."""
        return self.checkout.root / "env" / f"{name}.env"

    def member(
        self, name: str, url: str, model: str, cap: int = 64, gpu: str = "cuda", *,
        elsewhere: bool = False,
    ) -> None:  # fmt: skip
        """Write a backend's env file."""
        where = f"ENDPOINT={url}" if elsewhere else f"PORT={urlsplit(url).port}"
        self.file(name).write_text(f"GPU={gpu}\n{where}\nMODEL={model}\nMAX_IN_FLIGHT={cap}\n")

    def inv(self, *words: str) -> str:
        done = self.checkout.inv(*words, limit=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def reload_broken(self) -> "subprocess.CompletedProcess[str]":
        """Reload with the worst that can be: the door itself is no program any more."""
        door = self.folder / files.PLUGIN / "door.go"
        source = door.read_text()
        self.member("extra", "http://127.0.0.1:9", "extra", elsewhere=True)
        try:
            door.write_text("package door\n")
            return self.checkout.inv("gateway.reload", limit=90)
        finally:
            door.write_text(source)
            self.file("extra").unlink()

    def ask(
        self, path: str = "/v1/models", body: Any = None, key: str = KEYS["alice"],
        method: str = "", **more: str,
    ) -> Answer:  # fmt: skip
        headers = {"Authorization": f"Bearer {key}", **more}
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        method = method or ("GET" if raw is None else "POST")
        with closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        ) as client:
            client.request(method, path, raw, {k: v for k, v in headers.items() if v})
            response = client.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())

    def chat(self, model: str, tokens: int = 2, **more: Any) -> Answer:
        return self.ask(CHAT, question(model, tokens, **more))

    def log(self) -> list[dict[str, Any]]:
        time.sleep(0.2)  # a line is written after the answer, and passes through supervisord
        lines = (self.folder / files.ACCESS).read_text().splitlines()
        return [json.loads(line) for line in lines]

    def served_by(self, model: str) -> Counter[str]:
        """Which backends answered for a model, by the log."""
        mine = [line for line in self.log() if line.get("downstream_Gateway-Model") == model]
        return Counter(
            line["ServiceName"].removesuffix("@file").removeprefix("backend-")
            for line in mine
            if line["DownstreamStatus"] == 200
        )

    def generations(self, name: str) -> int:
        """How often a double was asked to generate."""
        return sum(seen.path == CHAT for seen in self.doubles[name].seen)

    def until(self, name: str, *, up: bool, limit: float = TWO_CHECKS + MARGIN) -> float:
        """Wait until Traefik takes a backend for up, or for down; returns the seconds."""
        began = time.monotonic()
        page = f"http://127.0.0.1:{self.port + 1}"
        while health.up(door_to_http.metrics(page)).get(name) != up:
            assert time.monotonic() < began + limit, f"{name} is not {'up' if up else 'down'}"
            time.sleep(0.02)
        return time.monotonic() - began


def client(name: str) -> dict[str, Any]:
    """An entry of `clients.json`."""
    digest = hashlib.sha256(KEYS[name].encode()).hexdigest()
    limits = LIMITS.get(name, {"rate": 0, "in_flight": 0})
    return {"name": name, "sha256": digest, "made": "2026-11-22", **limits}


def question(model: str, tokens: int, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": PROMPT}]
    return {"model": model, "max_tokens": tokens, "messages": messages, **more}


@contextmanager
def begun(
    port: int, key: str, body: dict[str, Any], path: str = CHAT
) -> Iterator[http.client.HTTPConnection]:
    """A request that is sent; whoever leaves the block before its answer hangs up."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as client:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        client.request("POST", path, json.dumps(body), headers)
        yield client


@contextmanager
def stream(
    port: int, key: str, body: dict[str, Any], path: str = CHAT
) -> Iterator[http.client.HTTPResponse]:
    """A stream as it comes; whoever leaves the block early hangs up."""
    with begun(port, key, {**body, "stream": True}, path) as client:
        yield client.getresponse()
