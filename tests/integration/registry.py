"""A real registry on this machine, images made by hand, and a gate before it that misbehaves.

Docker takes 127.0.0.1 without TLS: https://docs.docker.com/reference/cli/dockerd/#insecure-registries
"""

import gzip
import hashlib
import http.client
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.integration.checkout import free_port

PROGRAMS = ("docker-registry", "registry")
"""Debian's name and upstream's."""
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
START_LIMIT_S = 20
PIECE = 1 << 16


def program() -> str:
    """The registry's own program; "" when it is not installed."""
    return next(filter(None, map(shutil.which, PROGRAMS)), "")


@dataclass(frozen=True)
class Image:
    """What was pushed: bytes as they travel.

    Args:
        layers: digest and size of each layer.
    """

    digest: str
    layers: tuple[tuple[str, int], ...]

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return sum(size for _, size in self.layers)


class Registry:
    """A registry with its own folder; it may be killed and started again."""

    def __init__(self, folder: Path, command: str) -> None:
        self.port = free_port()
        self._command = command
        self._config = folder / "config.yml"
        self._config.write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
            f"http: {{addr: '127.0.0.1:{self.port}'}}\n"
        )
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._command, "serve", str(self._config)], stdout=log, stderr=log,
                env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
            )  # fmt: skip
        deadline = time.monotonic() + START_LIMIT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                message = f"the registry did not start: {self._log.read_text()[-2000:]}"
                raise AssertionError(message)
            time.sleep(0.05)

    def kill(self) -> None:
        """End it without a goodbye."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def push(self, name: str, tag: str, *sizes: int) -> Image:
        """An image with a layer of so many random bytes each.

        The protocol: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
        """
        tars = [_layer(f"{name}-{tag}-{number}", size) for number, size in enumerate(sizes)]
        blobs = [gzip.compress(tar, 1) for tar in tars]
        config = {
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/none"]},
            "rootfs": {"type": "layers", "diff_ids": [sha256(tar) for tar in tars]},
        }  # fmt: skip
        text = json.dumps(config).encode()
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": _described(CONFIG, text),
            "layers": [_described(LAYER, blob) for blob in blobs],
        }  # fmt: skip
        for blob in (text, *blobs):
            self._put_blob(name, blob)
        body = json.dumps(manifest).encode()
        self._ask("PUT", f"/v2/{name}/manifests/{tag}", body, MANIFEST)
        return Image(sha256(body), tuple((sha256(blob), len(blob)) for blob in blobs))

    def manifest(self, name: str, tag: str) -> bytes:
        """A manifest as it was pushed."""
        url = f"http://127.0.0.1:{self.port}/v2/{name}/manifests/{tag}"
        with urlopen(Request(url, headers={"Accept": MANIFEST}), timeout=20) as answer:
            return bytes(answer.read())

    def tag(self, name: str, old: str, new: str) -> None:
        """A second tag for an image."""
        self._ask("PUT", f"/v2/{name}/manifests/{new}", self.manifest(name, old), MANIFEST)

    def _put_blob(self, name: str, blob: bytes) -> None:
        place = self._ask("POST", f"/v2/{name}/blobs/uploads/")["Location"]
        path = place.removeprefix(f"http://127.0.0.1:{self.port}")
        joint = "&" if "?" in path else "?"
        kind = "application/octet-stream"
        self._ask("PUT", f"{path}{joint}digest={sha256(blob)}", blob, kind)

    def _ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> Any:
        headers = {"Content-Type": kind} if kind else {}
        url = f"http://127.0.0.1:{self.port}{path}"
        with urlopen(Request(url, body, headers, method=method), timeout=20) as answer:
            return answer.headers

    def _answers(self) -> bool:
        try:
            self._ask("GET", "/v2/")
        except OSError:
            return False
        return True


@dataclass
class Gate:
    """What stands before the registry and writes down what it was asked.

    Args:
        rules: asked in turn about each request; the first answer wins over the registry's.
        rate: bytes a second for each blob; 0 for no limit.
        down: every connection ends at once, as if nobody were there.
    """

    registry: Registry
    port: int = 0
    rate: int = 0
    down: bool = False
    rules: list[Callable[["Asked"], "Answer | None"]] = field(default_factory=list)
    asked: list["Asked"] = field(default_factory=list)

    @property
    def host(self) -> str:
        """What stands before the image's name in a reference."""
        return f"127.0.0.1:{self.port}"

    def fetched(self, digest: str) -> int:
        """How often a blob was asked for."""
        return sum(one.path.endswith(f"/blobs/{digest}") for one in self.asked)


@dataclass(frozen=True)
class Asked:
    """One request: `GET`, `/v2/<name>/manifests/<tag>`, where it begins in a blob."""

    method: str
    path: str
    range: str = ""


@dataclass(frozen=True)
class Answer:
    """What the gate says instead of the registry."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def error(cls, status: int, code: str, said: str, **headers: str) -> "Answer":
        """An error as registries write it (distribution-spec, error codes)."""
        body = json.dumps({"errors": [{"code": code, "message": said}]}).encode()
        kept = tuple((name.replace("_", "-"), text) for name, text in headers.items())
        return cls(status, body, (("Content-Type", "application/json"), *kept))


@contextmanager
def gate(registry: Registry) -> Iterator[Gate]:
    """A gate that is open: everything goes through as it is."""
    made = Gate(registry)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _serve(made, self)

        def do_HEAD(self) -> None:
            _serve(made, self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Docker may drop a connection that it no longer needs."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def sha256(blob: bytes) -> str:
    """A digest as registries write it."""
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _serve(made: Gate, handler: BaseHTTPRequestHandler) -> None:
    asked = Asked(handler.command, handler.path, handler.headers.get("Range", ""))
    if made.down:
        handler.close_connection = True
        return
    made.asked.append(asked)
    told = next(filter(None, (rule(asked) for rule in made.rules)), None)
    if told:
        _send(handler, told.status, [*told.headers, ("Content-Length", str(len(told.body)))])
        if asked.method != "HEAD":
            handler.wfile.write(told.body)
        return
    try:
        _forward(made, handler, asked)
    except (OSError, http.client.HTTPException):
        # The registry is gone, or Docker is: both see a connection that ends.
        handler.close_connection = True


def _forward(made: Gate, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
    behind = http.client.HTTPConnection("127.0.0.1", made.registry.port, timeout=20)
    behind.putrequest(asked.method, asked.path, skip_host=True)
    # Not as a dict: Docker names each kind of manifest in an `Accept` of its own.
    for name, text in handler.headers.items():
        behind.putheader(name, text)
    behind.endheaders()
    answer = behind.getresponse()
    _send(handler, answer.status, answer.getheaders())
    rate = made.rate if "/blobs/" in asked.path else 0
    while asked.method != "HEAD" and not made.down and (piece := answer.read(PIECE)):
        handler.wfile.write(piece)
        if rate:
            time.sleep(len(piece) / rate)
    handler.close_connection = made.down
    behind.close()


def _send(handler: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]]) -> None:
    handler.send_response_only(status)
    for name, text in headers:
        handler.send_header(name, text)
    handler.end_headers()


def _described(kind: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": kind, "size": len(blob), "digest": sha256(blob)}


def _layer(name: str, size: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = size
        tar.addfile(entry, io.BytesIO(os.urandom(size)))
    return stream.getvalue()
