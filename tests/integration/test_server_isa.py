"""Right on every processor: the first answer, the check and the live suites, whatever instructions
the kernels may use. What a processor does not have is skipped, with the reason.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lifecycle.facts import cpu
from lifecycle.machine import Here
from lifecycle.shell import Shell
from tests.integration.checkout import Checkout, free_port
from tests.integration.live_suite import assert_suite_passes

FRANCE = "What is the capital of France?"


@dataclass(frozen=True)
class Kernels:
    """How far oneDNN and PyTorch may go, and what the processor must have for it.

    https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html,
    https://docs.pytorch.org/docs/stable/miscellaneous_environment_variables.html
    """

    onednn: str
    aten: str
    flag: str


ISAS = {
    "avx2": Kernels("AVX2", "avx2", "avx2"),
    "avx512": Kernels("AVX512_CORE", "avx512", "avx512f"),
    "avx512-bf16": Kernels("AVX512_CORE_BF16", "avx512", "avx512_bf16"),
    "amx": Kernels("AVX512_CORE_AMX", "avx512", "amx_bf16"),
}
SETTINGS = Path("lifecycle") / "data" / "cpu_settings.toml"


def limit_to(kernels: Kernels, server: Checkout) -> None:
    """Have the copy's settings name the instructions, for the server gets a clean environment."""
    file = server.root / SETTINGS
    told = f'ONEDNN_MAX_CPU_ISA = "{kernels.onednn}", ATEN_CPU_CAPABILITY = "{kernels.aten}", '
    text = file.read_text().replace("env = { ", f"env = {{ {told}")
    assert told in text
    file.write_text(text)


@pytest.fixture
def server(engine: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Checkout]:
    assert engine
    name = f"isa-{request.node.callspec.id}-{os.getpid()}"
    made = Checkout.copy(tmp_path / "checkout", name, free_port())
    yield made
    made.inv("down", "--gpu", name, limit=60)


def assert_right(server: Checkout) -> None:
    done = server.up()
    assert done.returncode == 0, done.stderr
    assert "answers   are sane (perplexity " in done.stdout
    chat = server.inv("chat", FRANCE, "--gpu", server.backend, limit=90)
    assert chat.stdout == "The capital of France is Paris.\n", chat.stderr
    assert_suite_passes(server)


@pytest.mark.parametrize("isa", ISAS)
def test_bfloat16_is_right_with(isa: str, server: Checkout) -> None:
    kernels = ISAS[isa]
    if kernels.flag not in cpu.look(Here(Shell())).flags:
        pytest.skip(f"this processor does not have {kernels.flag}")
    limit_to(kernels, server)
    server.env["DTYPE"] = "bfloat16"
    assert_right(server)


@pytest.mark.parametrize("dtype", ["float32"])
def test_the_processors_own_kernels_are_right_in(dtype: str, server: Checkout) -> None:
    server.env["DTYPE"] = dtype
    assert_right(server)
