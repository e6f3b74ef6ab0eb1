"""/metrics: the recorded text of a real vLLM with this server's own numbers in it."""

import re
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

RECORDED = Path(__file__).parent / "recorded" / "metrics-0.32.0.txt"
RECORDED_MODEL = "smollm2-135m"
SAMPLE = re.compile(r"^(?P<name>[^{ ]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
LABEL = re.compile(r'(\w+)="([^"]*)"')
# The labels that tell samples of one name apart; the others say whose they are.
TELLING = ("finished_reason", "source", "reason")

RUNNING = "vllm:num_requests_running"
WAITING = "vllm:num_requests_waiting"
KV_CACHE = "vllm:kv_cache_usage_perc"
PROMPT_TOKENS = "vllm:prompt_tokens_total"
GENERATION_TOKENS = "vllm:generation_tokens_total"
SUCCESS = "vllm:request_success_total"
REQUEST_PROMPT_TOKENS = "vllm:request_prompt_tokens"
REQUEST_GENERATION_TOKENS = "vllm:request_generation_tokens"
FIRST_TOKEN = "vllm:time_to_first_token_seconds"
BETWEEN_TOKENS = "vllm:inter_token_latency_seconds"
END_TO_END = "vllm:e2e_request_latency_seconds"
QUEUED = "vllm:request_queue_time_seconds"


@dataclass(frozen=True)
class Line:
    """One recorded line; comments have no name."""

    text: str
    name: str = ""
    labels: str = ""
    telling: str = ""
    bucket: str = ""


def read_template(path: Path) -> list[Line]:
    """Return the recorded lines, samples taken apart."""
    return [_read_line(text) for text in path.read_text(encoding="utf-8").splitlines()]


def _read_line(text: str) -> Line:
    found = SAMPLE.match(text)
    if text.startswith("#") or found is None:
        return Line(text)
    labels = found["labels"] or ""
    values = dict(LABEL.findall(labels))
    telling = next((values[name] for name in TELLING if name in values), "")
    return Line(text, found["name"], labels, telling, values.get("le", ""))


class Metrics:
    """The counters, gauges and histograms of one server."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._started = time.time()
        self._template = read_template(RECORDED)
        self._values: dict[tuple[str, str], float] = {}
        self._sums: dict[str, float] = defaultdict(float)
        self._buckets: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for line in self._template:
            if line.name.endswith("_bucket"):
                base = line.name.removesuffix("_bucket")
                self._buckets[base].append((line.bucket, float(line.bucket)))
        self._counts: dict[tuple[str, str], int] = defaultdict(int)

    def add(self, name: str, amount: float = 1, telling: str = "") -> None:
        """Let a counter or a gauge grow (or, by a negative amount, shrink)."""
        self._values[name, telling] = self._values.get((name, telling), 0.0) + amount

    def observe(self, name: str, value: float) -> None:
        """Put one observation into a histogram."""
        self._sums[name] += value
        for label, limit in self._buckets[name]:
            self._counts[name, label] += value <= limit

    def value(self, name: str, telling: str = "") -> float:
        """Return what a counter or gauge stands at."""
        return self._values.get((name, telling), 0.0)

    def render(self) -> str:
        """Return the text Prometheus reads."""
        return "".join(f"{self._render_line(line)}\n" for line in self._template)

    def _render_line(self, line: Line) -> str:
        value = self._value_of(line)
        if value is None:
            return line.text.replace(f'"{RECORDED_MODEL}"', f'"{self._model}"')
        labels = line.labels.replace(f'"{RECORDED_MODEL}"', f'"{self._model}"')
        return f"{line.name}{{{labels}}} {value}"

    def _value_of(self, line: Line) -> float | None:
        """Return this server's number for a line, or None where the recorded one stays."""
        if (line.name, line.telling) in self._values:
            return self._values[line.name, line.telling]
        if line.name.startswith("vllm:") and line.name.endswith("_created"):
            return self._started
        base, _, part = line.name.rpartition("_")
        if base not in self._sums:
            return None
        if part == "sum":
            return self._sums[base]
        return float(self._counts[base, line.bucket or "+Inf"])
