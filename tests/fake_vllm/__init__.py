"""The double: a small stand-in for a vLLM 0.32.0 server that can be broken on purpose.

In a test::

    with fake_vllm(faults=["cut-stream"]) as server:
        requests.get(server.url + "/health", timeout=5)

From a shell: ``python -m tests.fake_vllm --port 8000 --model tiny`` (``--help`` lists the faults).
"""

from tests.fake_vllm.faults import FAULTS, Fault
from tests.fake_vllm.local import FakeVllm, fake_vllm
from tests.fake_vllm.settings import Settings

__all__ = ["FAULTS", "FakeVllm", "Fault", "Settings", "fake_vllm"]
