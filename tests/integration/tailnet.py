"""A tailnet of one machine: a `tailscale` that keeps what it serves in a file, and its outside.

The program answers as Tailscale's does, by its source (cmd/tailscale/cli/serve_v2.go and
serve_legacy.go, 005a356) and by what people recorded of 1.96 to 1.102; `outside` routes as
tailscaled does (getServeHandler and serveWebHandler of ipn/ipnlocal/serve.go). Not pretended:
WireGuard.
"""

import abc
import http.client
import http.server
import json
import os
import posixpath
import socket
import ssl
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "box.tail1a2b3c.ts.net"
ADDRESS = "127.0.0.2"
"""Where the name leads: another address than the one servers listen on."""
CONSENT = "https://login.tailscale.com/f/serve?node=nDistinctive11CNTRL"
RUNNING: dict[str, Any] = {
    "Version": "1.102.4-t3caf7d9e7-g084ee3b64",
    "BackendState": "Running",
    "AuthURL": "",
    "Self": {"HostName": "box", "DNSName": f"{NAME}.", "Online": True},
    "CurrentTailnet": {"Name": "scrubbed", "MagicDNSEnabled": True},
    "CertDomains": None,
    "Peer": None,
}
PROGRAM = f"""#!/bin/sh
# What only looks is answered without a Python: that is most of what is asked.
me=${{0%/*}}
echo "${{0##*/}} $*" >> "$me/argv.txt"
[ -e "$me/hangs" ] && exec sleep 600
case "$*" in
    "status --json --peers=false") exec cat "$me/status.json" ;;
    "debug prefs") exec cat "$me/prefs.json" ;;
    "serve status --json") exec cat "$me/serve.json" ;;
esac
exec "{sys.executable}" -IS "$me/change.py" "$@"
"""
CHANGE = f"""
import json, os, pathlib, signal, sys, time
me = pathlib.Path(__file__).parent
state = json.loads((me / "state.json").read_text())
kept = me / "serve.json"
words = sys.argv[1:]
assert words[0] == "serve", words

def dies(when):
    # As kill -9 of who asked, with the change not made yet, or just made.
    if state.get("dies") == when:
        os.kill(os.getppid(), signal.SIGKILL)
        if when == "before":
            sys.exit(1)

dies("before")
if state.get("old"):
    sys.exit("flag provided but not defined: -bg\\nUSAGE\\n  serve https:<port> …")
if "reset" in words:
    kept.write_text("null")
    sys.exit()
flags = dict(word.partition("=")[::2] for word in words[1:] if word.startswith("--"))
(rest,) = [word for word in words[1:] if not word.startswith("--")]
kind = "http" if "--http" in flags else "https"
port, path = flags["--" + kind], flags.get("--set-path", "/")
name = (state["status"]["Self"] or {{}}).get("DNSName", "").removesuffix(".")
config = json.loads(kept.read_text()) or {{}}
address = name + ":" + port

def fail(text):
    sys.exit("error: " + text + "\\n\\ntry `tailscale serve --help` for usage info")

if rest != "off":
    if kind == "https" and not state["status"].get("CertDomains"):
        print("\\nServe is not enabled on your tailnet.\\nTo enable, visit:\\n")
        print("         {CONSENT}\\n", flush=True)
        if state.get("waits", True):
            time.sleep(600)
        sys.exit()
    for session in (config.get("Foreground") or {{}}).values():
        if port in (session.get("TCP") or {{}}):
            sys.exit("foreground already exists under this port")
    there = (config.get("TCP") or {{}}).get(port)
    if there is not None:
        now = "http" if there.get("HTTP") else "https" if there.get("HTTPS") else "tcp"
        if now != kind:
            sys.exit(f'want to serve "{{kind}}" but port is already serving "{{now}}"')
    config.setdefault("TCP", {{}})[port] = {{kind.upper(): True}}
    config.setdefault("Web", {{}}).setdefault(address, {{"Handlers": {{}}}})
    config["Web"][address]["Handlers"][path] = {{"Proxy": rest}}
    if (config.get("AllowFunnel") or {{}}).pop(address, False):
        print(f"Removing Funnel for {{name}}:{{address}}", file=sys.stderr)
else:
    handlers = (config.get("Web") or {{}}).get(address, {{}}).get("Handlers", {{}})
    if path not in handlers:
        fail("failed to remove web serve: handler does not exist")
    del handlers[path]
    if not handlers:
        del config["Web"][address], config["TCP"][port]
if state.get("denied"):
    sys.exit("sending serve config: Access denied: serve config denied\\n\\n"
             "Use 'sudo tailscale serve'.\\n"
             "To not require root, use 'sudo tailscale set --operator=$USER' once.")
kept.write_text(json.dumps(config, indent=2))
dies("after")
print("Available within your tailnet:\\n\\n" + address)
"""
RESOLVER = f"""\
import os, socket
real = socket.getaddrinfo
def getaddrinfo(host, *rest, **more):
    return real({ADDRESS!r} if host == {NAME!r} else host, *rest, **more)
socket.getaddrinfo = getaddrinfo
if os.environ.get("TEST_CA"):
    import certifi
    certifi.where = lambda: os.environ["TEST_CA"]
"""


_getaddrinfo = socket.getaddrinfo


def resolved(host: Any, *rest: Any, **more: Any) -> Any:
    """`socket.getaddrinfo` where the name is known, for commands that run in this process."""
    return _getaddrinfo(ADDRESS if host == NAME else host, *rest, **more)


@dataclass
class Tailnet:
    """The stand-in's folder: what it is to say, what it serves, what it was asked."""

    bin: Path

    @classmethod
    def make(cls, bin_: Path, program: str = "tailscale") -> "Tailnet":
        """A machine that is logged in, in a tailnet without certificates."""
        bin_.mkdir(parents=True)
        made = cls(bin_)
        (bin_ / "change.py").write_text(CHANGE)
        (bin_ / program).write_text(PROGRAM)
        (bin_ / program).chmod(0o755)
        (bin_ / "sitecustomize.py").write_text(RESOLVER)
        made.serve(None)
        made.say()
        return made

    def say(self, *, status: dict[str, Any] | None = None, **more: Any) -> None:
        """What it says from now on: parts of `status --json`, and how it behaves."""
        state = {"status": {**RUNNING, **(status or {})}, **more}
        (self.bin / "state.json").write_text(json.dumps(state))
        (self.bin / "status.json").write_text(json.dumps(state["status"], indent=2))
        (self.bin / "prefs.json").write_text(json.dumps({"OperatorUser": more.get("operator", "")}))
        (self.bin / "hangs").unlink(missing_ok=True)
        if more.get("hangs"):
            (self.bin / "hangs").touch()

    def serve(self, config: dict[str, Any] | None) -> None:
        """Somebody else changes what is served."""
        (self.bin / "serve.json").write_text(json.dumps(config))

    @property
    def config(self) -> Any:
        """What is served."""
        return json.loads((self.bin / "serve.json").read_text())

    @property
    def asked(self) -> list[str]:
        """Every change it was asked for, in words."""
        log = self.bin / "argv.txt"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if " serve " in line and " status " not in line]

    @property
    def environment(self) -> dict[str, str]:
        """What a program in this tailnet is started with."""
        return {"PATH": f"{self.bin}:{os.environ['PATH']}", "PYTHONPATH": str(self.bin)}


class Quiet(http.server.BaseHTTPRequestHandler, abc.ABC):
    """A page is what `answer` says of it; nothing is logged."""

    @abc.abstractmethod
    def answer(self) -> tuple[int, bytes]:
        """Status and body."""

    def do_GET(self) -> None:
        status, body = self.answer()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def listening(
    handler: type[Quiet], port: int = 0, address: str = "127.0.0.1", tls: Path | None = None
) -> Iterator[int]:
    """A server in a thread; its port."""
    server = http.server.ThreadingHTTPServer((address, port), handler)
    server.daemon_threads = True
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "cert.pem", tls / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def guarded(key: str, *, closed: bool) -> type[Quiet]:
    """What stands behind: a gateway, of which nothing but `/v1` is there, or a server like vLLM."""

    class Guarded(Quiet):
        def answer(self) -> tuple[int, bytes]:
            if self.path.startswith("/v1/"):
                right = self.headers["Authorization"] == f"Bearer {key}"
                return (200, b'{"data": []}') if right else (401, b'{"error": "Unauthorized"}')
            return (404, b"") if closed else (200, b"open")

    return Guarded


def outside(tailnet: Tailnet, port: int) -> type[Quiet]:
    """What other machines of the tailnet meet on one port of this one."""

    class Outside(Quiet):
        def answer(self) -> tuple[int, bytes]:
            web = (tailnet.config or {}).get("Web") or {}
            handlers = web.get(f"{NAME}:{port}", {}).get("Handlers", {})
            path = urllib.parse.unquote(self.path.partition("?")[0])
            for mount in _mounts(path):
                if mount in handlers:
                    return self.passed_on(handlers[mount]["Proxy"], path, mount)
            return 404, b"404 page not found"

        def passed_on(self, target: str, path: str, mount: str) -> tuple[int, bytes]:
            if not path.startswith(mount.rstrip("/")):
                return 404, b"404 page not found"
            parts = urllib.parse.urlsplit(target)
            rest = self.path[len(mount.rstrip("/")) :]
            there = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
            try:
                there.request("GET", (parts.path + rest) or "/", headers=dict(self.headers))
                with there.getresponse() as answer:
                    return answer.status, answer.read()
            except OSError:
                return 502, b""
            finally:
                there.close()

    return Outside


def _mounts(path: str) -> Iterator[str]:
    yield path
    clean = posixpath.normpath(path)
    while True:
        yield f"{clean}/"
        yield clean
        if clean == "/":
            return
        clean = posixpath.dirname(clean)


def certificate(folder: Path) -> Path:
    """A certificate for the name, which is its own authority."""
    folder.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "1", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
         "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder
