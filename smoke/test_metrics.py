"""The numbers that dashboards and the gateway live on."""

import re
import time

import pytest

from smoke.server import Server
from smoke.target import is_gateway
from smoke.test_chat import FRANCE

pytestmark = pytest.mark.smoke

METRICS = {
    "vllm:num_requests_running": "gauge",
    "vllm:num_requests_waiting": "gauge",
    "vllm:kv_cache_usage_perc": "gauge",
    "vllm:prompt_tokens_total": "counter",
    "vllm:generation_tokens_total": "counter",
    "vllm:request_success_total": "counter",
    "vllm:time_to_first_token_seconds": "histogram",
    "vllm:inter_token_latency_seconds": "histogram",
    "vllm:e2e_request_latency_seconds": "histogram",
}
GENERATED = re.compile(r"^vllm:generation_tokens_total\{.*\} (\S+)$", re.MULTILINE)
# The counters are written after the answer, by another task of the server.
COUNTED_WITHIN = 3.0


@pytest.fixture(autouse=True)
def shown(server: Server) -> None:
    """A gateway shows no numbers of the servers behind it; a server that hides its own is sick."""
    if is_gateway(server.target):
        pytest.skip("a gateway shows nobody's /metrics: run this at the server itself")


def test_metrics_have_the_known_names(server: Server) -> None:
    answer = server.get("/metrics")
    assert answer.status_code == 200, f"/metrics says {answer.status_code}"
    shown = dict(re.findall(r"^# TYPE (\S+) (\S+)$", answer.text, re.MULTILINE))
    missing = {name: kind for name, kind in METRICS.items() if shown.get(name) != kind}
    assert not missing, f"not in /metrics by this name and type: {missing}"


def test_generated_tokens_are_counted(server: Server) -> None:
    before = generated(server)
    usage = server.ask(FRANCE).usage
    assert usage is not None, "the answer has no usage"
    wanted = before + usage.completion_tokens
    deadline = time.monotonic() + min(COUNTED_WITHIN, server.target.timeout)
    while (now := generated(server)) < wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert now >= wanted, (
        f"vllm:generation_tokens_total was {before:g}, the answer had"
        f" {usage.completion_tokens} tokens, and it is {now:g}"
    )


def generated(server: Server) -> float:
    values = GENERATED.findall(server.get("/metrics").text)
    assert values, "vllm:generation_tokens_total is not in /metrics"
    return sum(map(float, values))
