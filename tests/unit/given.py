"""What tests are given: a checkout, a backend, a machine; good ones, to change one thing of."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lifecycle import backend as backends
from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.env_file import Setting
from lifecycle.host import (
    GIB,
    Answers,
    Cpu,
    Disk,
    Docker,
    Host,
    Memory,
    Os,
    Sanity,
    Server,
    Venv,
    Weights,
)
from lifecycle.keys import KEYS
from lifecycle.paths import Paths, paths
from lifecycle.step import Action, Step
from lifecycle.steps import serve
from lifecycle.steps.venv import Tools

KEY = "sk-local-distinctive-7Q3Jk0"
PATHS = Paths(root=Path("/checkout"), home=Path("/data"), models=Path("/data/models"))
TOOLS = Tools(uv="/checkout/.venv/bin/uv", python="/usr/bin/python3.11", python_version="3.11")
MODEL = PATHS.models / "smollm2-135m-instruct"
LOCAL_IMAGE = "vllm-cpu-local:0.32.0"
CPU = {
    "GPU": "cpu",
    "PORT": "8000",
    "MODEL": "smollm2-135m-instruct",
    "MAX_MODEL_LEN": "4096",
    "DTYPE": "bfloat16",
    "VLLM_API_KEY": KEY,
}


@dataclasses.dataclass(frozen=True)
class Checkout:
    """A checkout's env files."""

    root: Path

    @property
    def paths(self) -> Paths:
        return paths({"LIFECYCLE_HOME": "home"}, self.root)

    def env(self, name: str, content: str | bytes) -> "Checkout":
        return self._write(self.root / "env" / f"{name}.env", content)

    def secrets(self, content: str | bytes) -> "Checkout":
        return self._write(self.root / ".env", content)

    def load(self, name: str = "cpu", **environ: str) -> Backend:
        return backends.load(name, self.root, environ)

    def _write(self, file: Path, content: str | bytes) -> "Checkout":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return self


def backend(name: str = "cpu", **changes: str) -> Backend:
    """A CPU backend; a key set to "" is left out."""
    values = {key.name: key.default for key in KEYS.values()} | CPU | changes
    return Backend(name, {key: Setting(text, "a test") for key, text in values.items() if text})


def host(cores: int = 2, **changes: Any) -> Host:
    """A machine on which all is prepared and nothing runs yet."""
    good = Host(
        os=Os("linux", "x86_64", "Linux", user="1000:1000"),
        cpu=Cpu("a processor", tuple(range(cores)), frozenset({"avx2", "avx512f", "avx512_bf16"})),
        memory=Memory(16 * GIB, 12 * GIB),
        disks={
            "home": Disk(PATHS.home, 100 * GIB, writable=True),
            "models": Disk(PATHS.models, 100 * GIB, writable=True),
        },
        docker=Docker("26.1", "2.26", "", frozenset({LOCAL_IMAGE})),
        libraries=frozenset(row.file for row in tables.serving.libraries("cpu")),
        venv=Venv(tables.serving.engine("cpu").fingerprint()),
        weights=Weights(MODEL, MODEL, 272_600_000),
        secrets_mode=0o600,
        api_key=KEY,
    )
    return dataclasses.replace(good, **changes)


def running(wanted: Backend, on: Host | None = None, **changes: Any) -> Server:
    """The server of a backend, ready, and its answers sane."""
    launched = serve.launched(wanted, on or host())
    sane = Answers(Sanity.SANE, checked=2.0)
    good = Server("ready", launched, 42, since=1.0, models=(wanted.served_name,), answers=sane)
    return dataclasses.replace(good, **changes)


def missing(steps: Iterable[Step], on: Host) -> dict[str, str]:
    """What each step that is not reached says about it, by the step's id."""
    return {step.id: why for step in steps if (why := step.missing(on))}


def actions(steps: Iterable[Step]) -> Iterator[Action]:
    for step in steps:
        yield from step.actions
