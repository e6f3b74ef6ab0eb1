"""What one double is like: its name, its key, its pace, its defects."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.fake_vllm.faults import Fault

VERSION = "0.32.0"


@dataclass
class Settings:
    """The faults may change while the server runs; the rest is fixed at its start."""

    model: str = "fake-model"
    api_key: str = ""
    max_model_len: int = 4096
    host: str = "127.0.0.1"
    port: int = 0
    faults: set[Fault] = field(default_factory=set)
    # A fast small model: 200 tokens a second for each request.
    token_seconds: float = 0.005
    prefill_seconds: float = 0.01
    boot_seconds: float = 0.0
    fault_seconds: float = 5.0
    # What requests in flight get when the server is told to end, as vLLM's --shutdown-timeout.
    shutdown_timeout: float = 0.0
    max_num_seqs: int = 256
    log: bool = False
    # A PEM file with a certificate and its key: then it speaks HTTPS.
    certificate: Path | None = None

    def has(self, fault: Fault) -> bool:
        """Whether the server is broken in this way at this moment."""
        return fault in self.faults
