"""Which server the tests are about, and whether it is there at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import requests
from dotenv import dotenv_values

ROOT = Path(__file__).parent.parent
DEFAULT_PORT = "8000"
DEFAULT_TIMEOUT = "60"
ALIVE_SECONDS = 10


class NoTargetError(Exception):
    """There is no server to test; the message says what to type."""


@dataclass(frozen=True)
class Target:
    """One live server and what its configuration promises."""

    backend: str
    url: str
    model: str
    max_model_len: str
    timeout: float
    api_key: str = field(repr=False)

    @property
    def start(self) -> str:
        """The command that starts this server."""
        return f"inv up --gpu {self.backend}" if self.backend else "inv up"


def read_target(environ: Mapping[str, str], root: Path = ROOT) -> Target:
    """Return the server that the environment, the root `.env` and the backend's file name."""
    backend = environ.get("SMOKE_BACKEND", "")
    if not backend and "SMOKE_URL" not in environ:
        raise NoTargetError(
            "which server? Say so by its backend:\n"
            f"  nox -s smoke-NAME         NAME is one of: {', '.join(backends(root))}\n"
            "  SMOKE_BACKEND=NAME pytest smoke"
        )
    values = {**read_files(backend, root), **environ}
    url = values.get("SMOKE_URL") or f"http://127.0.0.1:{values.get('PORT', DEFAULT_PORT)}"
    target = Target(
        backend=backend,
        url=url.rstrip("/"),
        model=values.get("SERVED_NAME") or last_part(values.get("MODEL", "")),
        max_model_len=values.get("MAX_MODEL_LEN", ""),
        timeout=float(values.get("SMOKE_TIMEOUT", DEFAULT_TIMEOUT)),
        api_key=values.get("VLLM_API_KEY", ""),
    )
    check_complete(target)
    return target


def backends(root: Path = ROOT) -> list[str]:
    """Return the names of all backends."""
    return sorted(path.stem for path in (root / "env").glob("[a-z0-9]*.env"))


def read_files(backend: str, root: Path) -> dict[str, str]:
    """Return the values of the backend's files under those of the root `.env`."""
    values: dict[str, str | None] = {}
    if backend:
        path = root / "env" / f"{backend}.env"
        if not path.exists():
            known = ", ".join(backends(root))
            raise NoTargetError(f"env/{backend}.env does not exist; the backends are: {known}")
        values |= dotenv_values(path, interpolate=False)
        # What `inv switch` chose. An empty value here takes that of the backend's file away.
        values |= dotenv_values(root / "env" / "local" / path.name, interpolate=False)
    machine = dotenv_values(root / ".env", interpolate=False)
    values |= {key: value for key, value in machine.items() if value}
    return {key: value for key, value in values.items() if value}


def last_part(model: str) -> str:
    """Return the name a model is served under unless it is given another."""
    return model.rstrip("/").rsplit("/", 1)[-1]


def check_complete(target: Target) -> None:
    """Refuse a configuration that cannot be tested."""
    if not target.api_key:
        raise NoTargetError(
            f"no API key for {target.url}: VLLM_API_KEY is neither in .env nor in the environment\n"
            f"  {target.start}    makes one"
        )
    if not target.model:
        raise NoTargetError(
            f"no model name for {target.url}: set SERVED_NAME or MODEL in the backend's env file"
        )


def is_gateway(target: Target) -> bool:
    """Whether a gateway stands before the server: there the models are all there is to see."""
    limit = min(target.timeout, ALIVE_SECONDS)
    answer = requests.get(f"{target.url}/version", timeout=limit)
    return answer.status_code == HTTPStatus.UNAUTHORIZED


def check_alive(target: Target) -> None:
    """Refuse to test a server that is not there; a sick one is left to the tests."""
    try:
        requests.get(f"{target.url}/health", timeout=min(target.timeout, ALIVE_SECONDS))
    except requests.ConnectionError:
        raise NoTargetError(
            f"no server answers at {target.url}\n"
            f"  {target.start}    starts it (these tests never do)\n"
            "  inv status    shows what runs"
        ) from None
    except requests.Timeout:
        raise NoTargetError(
            f"the server at {target.url} takes connections but does not answer\n"
            "  inv logs -f    shows what it is doing\n"
            "  inv restart    starts it anew"
        ) from None
