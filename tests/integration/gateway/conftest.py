"""One Traefik for all modules that are content with the same doubles."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.fake_vllm import Settings, fake_vllm
from tests.integration.gateway.running import OWN, Gateway

ELSEWHERE = {"g2", "single"}
"""Treated as on another machine; the others are local to the gateway."""


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = Gateway.prepare(tmp_path_factory.mktemp("gateway"))
    with ExitStack() as stack:
        for name, model, cap, gpu in (
            ("g1", "shared", 4, "cuda"),
            ("g2", "shared", 4, "rocm"),
            ("c1", "shared", 16, "cpu"),
            ("f1", "org/faulty", 64, "cuda"),
            ("f2", "org/faulty", 64, "cuda"),
            ("single", "alone", 2, "cuda"),
        ):
            settings = Settings(model=model, api_key=OWN, token_seconds=0.02)
            one = stack.enter_context(fake_vllm(settings))
            made.doubles[name] = one
            made.member(name, one.url, model, cap, gpu, elsewhere=name in ELSEWHERE)
        stack.enter_context(made.up())
        yield made


@pytest.fixture(autouse=True)
def healthy(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test leaves a double broken."""
    yield
    if "gateway" in request.fixturenames:
        for one in request.getfixturevalue("gateway").doubles.values():
            one.become()
