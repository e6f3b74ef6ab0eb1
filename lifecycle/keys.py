"""Every key an env file may hold: one table that drives parsing, vLLM's flags and the docs."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

Check = Callable[[str], str]
"""Says what is wrong with a value; "" when nothing is."""


def anything(_: str) -> str:
    """Accept every value."""
    return ""


def one_of(*choices: str) -> Check:
    """Accept only the given words."""
    return lambda text: "" if text in choices else f"must be one of {', '.join(choices)}"


def whole_number(low: int, high: int) -> Check:
    """Accept a whole number in a closed range."""

    def check(text: str) -> str:
        if re.fullmatch(r"[0-9]+", text) and low <= int(text) <= high:
            return ""
        return f"must be a whole number from {low} to {high}"

    return check


def number(low: float, high: float) -> Check:
    """Accept a decimal number in a closed range."""

    def check(text: str) -> str:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) and low <= float(text) <= high:
            return ""
        return f"must be a number from {low:g} to {high:g}"

    return check


RESERVED_FLAGS = {
    "--api-key": "the key would show in the process list; it is VLLM_API_KEY in .env",
    "--host": "servers listen on 127.0.0.1 only",
    "--port": "it is PORT",
    "--model": "it is MODEL",
    "--served-model-name": "it is SERVED_NAME",
    "--uds": "clients reach the server over PORT",
    "--hf-token": "the token would show in the process list",
    "--config": "a file could bring any of the flags that must not be here",
}


def extra_arguments(text: str) -> str:
    """Accept vLLM flags that no key of ours owns."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        return f"cannot be split into arguments: {error}"
    for word in words:
        flag = word.split("=")[0].replace("_", "-")
        # argparse takes any unambiguous beginning of a flag for the flag.
        meant = next((r for r in RESERVED_FLAGS if _abbreviates(flag, r)), "")
        if meant:
            return f"must not hold {flag}: {RESERVED_FLAGS[meant]}"
    return ""


def auth_key(text: str) -> str:
    """Accept what Tailscale (and Headscale) make keys of: the shell that hands it over needs it."""
    if re.fullmatch(r"[A-Za-z0-9_?=&.:-]+", text):
        return ""
    return "must be an auth key: letters, digits and _?=&.:- only"


def _abbreviates(flag: str, whole: str) -> bool:
    return flag.startswith("--") and len(flag) > len("--") and whole.startswith(flag)


@dataclass(frozen=True)
class Key:
    """One key.

    Args:
        doc: its meaning, with units, as the reference prints it.
        flag: the vLLM flag it becomes; "" for none.
        default: the value when no file gives one; "" means "decided by the program".
        secret: never shown; allowed in the root `.env` and the process environment only.
        everywhere: about the machine, not one backend: not allowed in `env/<name>.env`.
    """

    name: str
    doc: str
    check: Check = anything
    flag: str = ""
    default: str = ""
    required: bool = False
    secret: bool = False
    everywhere: bool = False


TABLE = (
    Key(
        "GPU",
        "What computes: `cpu`, `cuda` or `rocm`.",
        one_of("cpu", "cuda", "rocm"),
        required=True,
    ),
    Key(
        "RUNTIME",
        "`venv` (no Docker) or `docker`. Unset: `venv` on cpu, else `docker`.",
        one_of("venv", "docker"),
    ),
    Key(
        "PORT",
        "Port on 127.0.0.1. Every backend has its own.",
        whole_number(1024, 65535),
        required=True,
    ),
    Key(
        "MODEL",
        "A name from the catalogue, a local folder, or a Hugging Face repo id that is "
        "in the cache already.",
        required=True,
    ),
    Key("SERVED_NAME", "The model name clients use. Unset: the last part of `MODEL`."),
    Key(
        "MAX_MODEL_LEN",
        "Longest prompt plus answer, in tokens. Unset: what the model allows.",
        whole_number(16, 16_777_216),
        flag="--max-model-len",
    ),
    Key(
        "MAX_NUM_SEQS",
        "Requests computed at once. Unset: vLLM's default.",
        whole_number(1, 65_536),
        flag="--max-num-seqs",
    ),
    Key(
        "DTYPE",
        "Type of the weights and activations.",
        one_of("auto", "bfloat16", "float16", "float32"),
        flag="--dtype",
        default="auto",
    ),
    Key(
        "KV_CACHE_GIB",
        "RAM for the KV cache on the CPU, in GiB. vLLM would otherwise take 92 % of the machine.",
        number(0.1, 4096),
        default="1",
    ),
    Key(
        "CPU_SETTINGS",
        "`tuned` picks processes and core binding by the number of cores; "
        "`default` leaves them to vLLM. On two cores `tuned` binds to the first one: two CPU "
        "servers at once would share it.",
        one_of("tuned", "default"),
        default="tuned",
    ),
    Key("IMAGE", "Container image instead of the pinned one."),
    Key("EXTRA_ARGS", "More vLLM flags, as on a command line.", extra_arguments),
    Key(
        "START_STALL_SECONDS",
        "A start without any progress for so long counts as stuck.",
        whole_number(10, 86_400),
        default="600",
    ),
    Key(
        "VLLM_API_KEY",
        "The key clients send. Made by the first `inv up`.",
        secret=True,
        everywhere=True,
    ),
    Key("HF_TOKEN", "Hugging Face token for gated models.", secret=True, everywhere=True),
    Key(
        "TS_AUTHKEY",
        "Tailscale auth key. `inv setup.tailscale` joins with it, without a browser.",
        auth_key,
        secret=True,
        everywhere=True,
    ),
    Key(
        "LIFECYCLE_HOME",
        "Folder for engines, models, state and logs. Unset: `~/.local/share/vllm-lifecycle`.",
        everywhere=True,
    ),
    Key(
        "MODELS_DIR",
        "Folder for model weights. Unset: `models` in `LIFECYCLE_HOME`.",
        everywhere=True,
    ),
)

KEYS = {key.name: key for key in TABLE}
