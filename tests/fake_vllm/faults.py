"""Every way in which the double can be broken: one table."""

import difflib
from collections.abc import Iterable
from enum import StrEnum


class Fault(StrEnum):
    """The name of one deliberate defect."""

    # Starting
    CRASH_AT_BOOT = "crash-at-boot"
    SLOW_BOOT = "slow-boot"
    CRASH_ON_REQUEST = "crash-on-request"
    DROP_CONNECTION = "drop-connection"
    # Reaching it
    HEALTH_503 = "health-503"
    HANG = "hang"
    SLOW_FIRST_BYTE = "slow-first-byte"
    STATUS_429 = "status-429"
    STATUS_500 = "status-500"
    STATUS_502 = "status-502"
    STATUS_503 = "status-503"
    STATUS_504 = "status-504"
    # Who may come in
    OPEN_DOOR = "open-door"
    WRONG_KEY_ACCEPTED = "wrong-key-accepted"
    # What it refuses
    OTHER_NAME = "other-name"
    ANY_MODEL = "any-model"
    LONG_PROMPT_200 = "long-prompt-200"
    LONG_PROMPT_500 = "long-prompt-500"
    ACCEPTS_ANYTHING = "accepts-anything"
    REJECTS_SAMPLING = "rejects-sampling"
    # What it answers
    WRONG_ANSWER = "wrong-answer"
    GARBAGE = "garbage"
    STUCK_TOKEN = "stuck-token"
    NOT_A_NUMBER = "not-a-number"
    CHAT_GARBAGE = "chat-garbage"
    NO_SCORES = "no-scores"
    NONDETERMINISTIC = "nondeterministic"
    IGNORES_TEMPERATURE = "ignores-temperature"
    IGNORES_SEED = "ignores-seed"
    IGNORES_N = "ignores-n"
    IGNORES_MAX_TOKENS = "ignores-max-tokens"
    IGNORES_STOP = "ignores-stop"
    IGNORES_SYSTEM = "ignores-system"
    FORGETS = "forgets"
    NO_USAGE = "no-usage"
    WRONG_USAGE = "wrong-usage"
    # How it streams
    NO_STREAM = "no-stream"
    BUFFERED_STREAM = "buffered-stream"
    CUT_STREAM = "cut-stream"
    # Many at once
    SERIALISES = "serialises"
    FAILS_UNDER_LOAD = "fails-under-load"
    MIXES_UNDER_LOAD = "mixes-under-load"
    # What it counts
    NO_METRICS = "no-metrics"
    RENAMED_METRICS = "renamed-metrics"
    FROZEN_METRICS = "frozen-metrics"


FAULTS: dict[Fault, str] = {
    Fault.CRASH_AT_BOOT: "prints a real traceback (no room for the KV cache) and exits 1",
    Fault.SLOW_BOOT: "takes --fault-seconds longer until it listens",
    Fault.CRASH_ON_REQUEST: "dies at the first generation, without an answer",
    Fault.DROP_CONNECTION: "closes the connection of each generation without an answer",
    Fault.HEALTH_503: "/health says 503, as vLLM does once its engine is dead",
    Fault.HANG: "takes every request and never answers",
    Fault.SLOW_FIRST_BYTE: "waits --fault-seconds before the first byte of a generation",
    Fault.STATUS_429: "refuses every generation: too many requests",
    Fault.STATUS_500: "fails every generation: internal error",
    Fault.STATUS_502: "fails every generation as a proxy in front of it does: bad gateway",
    Fault.STATUS_503: "refuses every generation: the model is scaling",
    Fault.STATUS_504: "fails every generation as a proxy in front of it does: timed out",
    Fault.OPEN_DOOR: "needs no key at all",
    Fault.WRONG_KEY_ACCEPTED: "needs a key, but any will do",
    Fault.OTHER_NAME: "lists a model of another name",
    Fault.ANY_MODEL: "answers for models it does not have",
    Fault.LONG_PROMPT_200: "takes a prompt longer than the model's length",
    Fault.LONG_PROMPT_500: "breaks on a prompt longer than the model's length",
    Fault.ACCEPTS_ANYTHING: "takes parameters out of range",
    Fault.REJECTS_SAMPLING: "refuses every sampling parameter except the temperature",
    Fault.WRONG_ANSWER: "is fluent and wrong",
    Fault.GARBAGE: "answers with random words, and scores every text as noise",
    Fault.STUCK_TOKEN: "answers !!!!!!!! to everything, though it scores texts well",
    Fault.NOT_A_NUMBER: "computes NaN: refuses to score, and answers !!!!!!!!",
    Fault.CHAT_GARBAGE: "continues texts well, and writes marks of a template in chat",
    Fault.NO_SCORES: "refuses to score prompts, as some kinds of speculation do",
    Fault.NONDETERMINISTIC: "answers differently each time at temperature 0",
    Fault.IGNORES_TEMPERATURE: "is always greedy",
    Fault.IGNORES_SEED: "samples differently with the same seed",
    Fault.IGNORES_N: "always gives one choice",
    Fault.IGNORES_MAX_TOKENS: "writes past max_tokens",
    Fault.IGNORES_STOP: "writes past the stop string",
    Fault.IGNORES_SYSTEM: "never sees the system prompt",
    Fault.FORGETS: "sees the last message only",
    Fault.NO_USAGE: "leaves the usage out, plain and streamed",
    Fault.WRONG_USAGE: "counts tokens that do not add up",
    Fault.NO_STREAM: "sends the whole answer as one chunk",
    Fault.BUFFERED_STREAM: "sends the right chunks, but all at the end",
    Fault.CUT_STREAM: "breaks the connection in the middle of a stream",
    Fault.SERIALISES: "works on one request at a time",
    Fault.FAILS_UNDER_LOAD: "500 for every request beside another one",
    Fault.MIXES_UNDER_LOAD: "gives a request beside another one a wrong answer",
    Fault.NO_METRICS: "/metrics is not there",
    Fault.RENAMED_METRICS: "the metrics' names have another prefix",
    Fault.FROZEN_METRICS: "the metrics never move",
}


def parse_faults(names: Iterable[str]) -> set[Fault]:
    """Return the faults of these names; a wrong name says which one is near."""
    return {_parse(name) for name in names}


def _parse(name: str) -> Fault:
    try:
        return Fault(name)
    except ValueError:
        near = difflib.get_close_matches(name, list(Fault), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(Fault)}"
        raise ValueError(f"no fault {name!r}; {hint}") from None
