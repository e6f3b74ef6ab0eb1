"""Doubles in processes of their own: what can be killed, frozen, or put on another machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from tests.integration.checkout import ROOT
from tests.integration.gateway.running import OWN


@dataclass
class Behind:
    """A backend; it is killed by its process, never by a name."""

    name: str
    port: int
    model: str
    host: str = "127.0.0.1"
    netns: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def lives(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def begin(self) -> None:
        """Start it, and do not wait."""
        within = ["ip", "netns", "exec", self.netns] if self.netns else []
        asked = ["--host", self.host, "--port", str(self.port), "--model", self.model]
        self.process = subprocess.Popen(
            [*within, sys.executable, "-m", "tests.fake_vllm", *asked],
            cwd=ROOT, env={**os.environ, "VLLM_API_KEY": OWN}, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def listens(self) -> None:
        """Wait until it does."""
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((self.host, self.port)) == 0:
                    return
            assert self.lives, "the double died"
            assert time.monotonic() < deadline, "the double did not come up"
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        """`kill -9`; nothing where it is dead."""
        if self.process:
            self.process.kill()
            self.process.wait()
