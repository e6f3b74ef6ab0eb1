"""Pages of other origins: the door answers browsers as GATEWAY_CORS_ORIGINS says."""

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.integration.gateway.running import CHAT, KEYS, Answer, Gateway, question

FRIEND, STRANGER = "https://chat.example.org", "https://elsewhere.example.org"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), "")
PAGE = """<script>
const ask = async (name, url, options) => {
  try { return [name, (await fetch(url, options)).status] } catch (error) { return [name, 0] }
};
(async () => {
  const headers = {"Authorization": "Bearer KEY", "X-Stainless-Lang": "js"};
  const body = JSON.stringify(BODY);
  const json = {...headers, "Content-Type": "application/json"};
  const heard = [
    await ask("models", "GATEWAY/v1/models", {headers}),
    await ask("chat", "GATEWAY/v1/chat/completions", {method: "POST", headers: json, body}),
    await ask("refused", "GATEWAY/v1/models", {headers: {"Authorization": "Bearer wrong"}}),
    await ask("credentials", "GATEWAY/v1/models", {headers, credentials: "include"}),
  ];
  await fetch("/heard", {method: "POST", body: JSON.stringify(Object.fromEntries(heard))});
})();
</script>"""


class Page(BaseHTTPRequestHandler):
    """One page, and a place where it tells what it heard."""

    text = ""
    heard: "Queue[dict[str, int]]" = Queue()

    def do_GET(self) -> None:
        self._send(self.text.encode(), "text/html")

    def do_POST(self) -> None:
        self.heard.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._send(b"", "text/plain")

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Pages(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A browser that is ended leaves in the middle."""


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The origin of a page."""
    with Pages(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def friendly(gateway: Gateway, page: str) -> Iterator[Gateway]:
    """It lets two origins in, and is as before afterwards."""
    secrets = gateway.checkout.root / ".env"
    before = secrets.read_text()
    secrets.write_text(f"{before}GATEWAY_CORS_ORIGINS={FRIEND},{page}\n")
    gateway.inv("gateway.reload")
    yield gateway
    secrets.write_text(before)
    gateway.inv("gateway.reload")


def cors(answer: Answer) -> dict[str, str]:
    return {name: text for name, text in answer.headers.items() if name.startswith("access-")}


def preflight(gateway: Gateway, origin: str) -> Answer:
    asked = {
        "Origin": origin, "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    }  # fmt: skip
    return gateway.ask(CHAT, None, "", method="OPTIONS", Authorization="", **asked)


def test_without_the_setting_no_page_is_let_in(gateway: Gateway) -> None:
    assert preflight(gateway, FRIEND).status == 401
    answer = gateway.ask(Origin=FRIEND)
    assert (answer.status, cors(answer)) == (200, {})
    assert "vary" not in answer.headers


def test_a_preflight_needs_no_key(friendly: Gateway) -> None:
    answer = preflight(friendly, FRIEND)
    assert answer.status == 204
    assert answer.body == b""
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "x-stainless-lang" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


def test_the_answer_itself_needs_one(friendly: Gateway) -> None:
    for key, status in ((KEYS["alice"], 200), ("sk-vllm-wrong", 401)):
        answer = friendly.ask(key=key, Origin=FRIEND)
        assert answer.status == status
        # A page reads an error, too.
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert "Origin" in answer.headers["vary"]
    streamed = friendly.ask(CHAT, question("alone", 2, stream=True), Origin=FRIEND)
    assert streamed.headers["access-control-allow-origin"] == FRIEND
    assert streamed.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("origin", [STRANGER, "null", f"{FRIEND}.evil.example", FRIEND + ":444"])
def test_a_strange_page_is_told_nothing(friendly: Gateway, origin: str) -> None:
    assert preflight(friendly, origin).status == 401
    answer = friendly.ask(Origin=origin)
    assert (answer.status, cors(answer)) == (200, {})
    assert "Origin" in answer.headers["vary"]


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: apt-get install chromium")
def test_a_real_browser_asks(friendly: Gateway, page: str, tmp_path: Path) -> None:
    def browse(origin: str) -> dict[str, int]:
        Page.text = (
            PAGE.replace("KEY", KEYS["alice"])
            .replace("BODY", json.dumps(question("alone", 1)))
            .replace("GATEWAY", f"http://127.0.0.1:{friendly.port}")
        )
        words: list[Any] = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}", origin,
        ]  # fmt: skip
        with subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as browser:
            try:
                return Page.heard.get(timeout=90)
            finally:
                os.killpg(browser.pid, signal.SIGKILL)

    assert browse(page) == {"models": 200, "chat": 200, "refused": 401, "credentials": 0}
    # The same page by another name is a different origin.
    stranger = page.replace("127.0.0.1", "localhost")
    assert browse(stranger) == {"models": 0, "chat": 0, "refused": 0, "credentials": 0}
