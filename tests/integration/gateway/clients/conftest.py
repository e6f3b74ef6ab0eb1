"""One real vLLM on the CPU, reached directly and through the gateway."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration import prepared
from tests.integration.checkout import free_triple
from tests.integration.gateway.running import Gateway
from tests.integration.gateway.test_real import checkout

SERVER, OTHER = "first", "second"


@dataclass(frozen=True)
class Way:
    """How a client reaches the server; `url` is without `/v1`."""

    url: str
    key: str
    model: str = prepared.MODEL


@dataclass(frozen=True)
class Ways:
    direct: Way
    through: Way

    def __iter__(self) -> Iterator[Way]:
        return iter((self.direct, self.through))


@pytest.fixture(scope="package")
def ways(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    """The gateway gives the server one request at once, while another would have room."""
    made = Gateway(
        checkout(tmp_path_factory.mktemp("clients"), engine.parent.parent), free_triple()
    )
    made.file(OTHER).unlink()
    with (made.checkout.root / ".env").open("a") as file:
        file.write(f"GATEWAY_PORT={made.port}\n")
    try:
        done = made.checkout.inv("up", "--gpu", SERVER, limit=600)
        assert done.returncode == 0, done.stderr
        with made.up():
            made.until(SERVER, up=True)
            port = made.file(SERVER).read_text().partition("PORT=")[2].split()[0]
            secrets = (made.checkout.root / ".env").read_text()
            own = secrets.partition("VLLM_API_KEY=")[2].split()[0]
            (key,) = [
                word for word in made.inv("key.add", "a-client").split()
                if word.startswith("sk-vllm-")
            ]  # fmt: skip
            yield Ways(
                Way(f"http://127.0.0.1:{port}", own), Way(f"http://127.0.0.1:{made.port}", key)
            )
    finally:
        made.checkout.inv("down", "--gpu", SERVER, limit=60)
