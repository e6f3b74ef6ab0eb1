"""Every key an env file may hold."""

from lifecycle.keys.checks import (
    auth_key,
    backend_keys,
    devices,
    git_revision,
    header_secret,
    image_reference,
    number,
    one_of,
    origins,
    server_root,
    spelled,
    whole_number,
)
from lifecycle.keys.flags import abbreviates, extra_arguments, flags_in
from lifecycle.keys.key import CARDS, GPUS, Key

TABLE = (
    Key(
        "GPU",
        "What computes: `cpu`, `cuda` or `rocm`.",
        one_of(*GPUS),
        required=True,
    ),
    Key(
        "RUNTIME",
        "`venv` (no Docker) or `docker`. Unset: `venv` on cpu, else `docker`.",
        one_of("venv", "docker"),
        restart=False,  # a server of another runtime is another server
    ),
    Key(
        "PORT",
        "Port on 127.0.0.1. Every backend has its own.",
        whole_number(1024, 65535),
        required=True,
    ),
    Key(
        "MODEL",
        "A name from the catalogue (`inv models`), a local folder, or a repo id of the Hugging "
        "Face hub, which `inv up` fetches.",
        required=True,
        path=True,
        with_model=True,
    ),
    Key(
        "REVISION",
        "Branch, tag or commit of a model on the hub. Unset: the catalogue's commit, else `main`.",
        git_revision,
        with_model=True,
    ),
    Key(
        "SERVED_NAME",
        "The model name clients use. Unset: `MODEL` itself, of a folder its last part.",
        with_model=True,
    ),
    Key(
        "MAX_MODEL_LEN",
        "Longest prompt plus answer, in tokens. Unset: the longest that fits, by `inv plan`, and "
        "no more than the model allows.",
        whole_number(16, 16_777_216),
        flag="--max-model-len",
        with_model=True,
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
        with_model=True,
    ),
    Key(
        "GPU_MEMORY_UTILIZATION",
        "Part of the card's whole memory that vLLM takes, for weights, working space and KV cache. "
        "So much must be free at the start. Unset: 0.85 under WSL2, where the card also draws "
        "Windows' desktop, else vLLM's own 0.92.",
        number(0.05, 1.0),
        flag="--gpu-memory-utilization",
        also=("--device-memory-utilization",),
        gpus=CARDS,
    ),
    Key(
        "KV_CACHE_DTYPE",
        "Type of the KV cache. `fp8` holds twice as many tokens in the same memory and costs a "
        "little accuracy; on NVIDIA cards it needs compute capability 8.9. Unset: as the weights.",
        one_of(
            "auto",
            "bfloat16",
            "float16",
            "fp8",
            "fp8_e4m3",
            "fp8_e5m2",
            "fp8_per_token_head",
            "int8_per_token_head",
            "int4_per_token_head",
            "nvfp4",
            "turboquant_k8v4",
            "turboquant_4bit_nc",
            "turboquant_k3v4_nc",
            "turboquant_3bit_nc",
        ),
        flag="--kv-cache-dtype",
        gpus=CARDS,
        with_model=True,
    ),
    Key(
        "QUANTIZATION",
        "How the weights are quantized. Leave it out for models that come quantized (AWQ, GPTQ, "
        "FP8, …): vLLM reads it in the model's `config.json`, and another word here is an error. "
        "It is for quantizing at the start, e.g. `fp8` on an RTX 4090.",
        spelled(r"[a-z0-9][a-z0-9_-]*", "fp8 or compressed-tensors"),
        flag="--quantization",
        also=("-q",),
        gpus=CARDS,
        with_model=True,
    ),
    Key(
        "TOOL_PARSER",
        "Lets the model call tools: how its calls are written, e.g. `hermes` (Qwen), "
        "`llama3_json`, `mistral`, `qwen3_coder`. Unset: requests with `tool_choice=auto` are "
        "refused.",
        spelled(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "hermes or llama3_json"),
        flag="--tool-call-parser",
        before=("--enable-auto-tool-choice",),
        also=("--disable-auto-tool-choice", "--no-enable-auto-tool-choice"),
        with_model=True,
    ),
    Key(
        "REASONING_PARSER",
        "Puts what the model thinks beside its answer and not into it, e.g. `qwen3`, "
        "`deepseek_r1`, `openai_gptoss`. Unset: both arrive as one text.",
        spelled(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "qwen3 or deepseek_r1"),
        flag="--reasoning-parser",
        with_model=True,
    ),
    Key(
        "CHAT_TEMPLATE",
        "A Jinja file that turns messages into a prompt, instead of the model's own; its path, "
        "in full or from the checkout's root.",
        spelled(r"[^{}]+", "templates/mine.jinja"),  # vLLM takes braces for the template itself
        flag="--chat-template",
        path=True,
        with_model=True,
    ),
    Key(
        "ATTENTION_BACKEND",
        "Which attention kernels, e.g. `TRITON_ATTN`, `FLASH_ATTN`, `FLASHINFER`, `ROCM_ATTN`. "
        "Unset: vLLM chooses by card and model.",
        spelled(r"[A-Z0-9][A-Z0-9_]*", "TRITON_ATTN"),
        flag="--attention-backend",
        gpus=CARDS,
    ),
    Key(
        "DEVICES",
        "Numbers of the cards the server may use, e.g. `1` or `0,1`: as `nvidia-smi` counts, or "
        "the cards in `rocminfo` from 0. Unset: all of them; where they differ, the newest first.",
        devices,
        gpus=CARDS,
    ),
    Key(
        "TENSOR_PARALLEL",
        "Cards that share one model. Unset: 1.",
        whole_number(1, 64),
        flag="--tensor-parallel-size",
        also=("-tp",),
        gpus=CARDS,
    ),
    Key(
        "KV_CACHE_GIB",
        "RAM for the KV cache on the CPU, in GiB. vLLM would otherwise take 92 % of the machine.",
        number(0.1, 4096),
        also=("--kv-cache-memory-bytes",),
        default="1",
        gpus=("cpu",),
    ),
    Key(
        "CPU_SETTINGS",
        "How a CPU server uses its cores. `lean`: few processes, threads that sleep while they "
        "wait. "
        "`spread`: vLLM's own processes. `tuned` picks one of the two by the number of cores; `inv "
        "tune` measures them and keeps the faster. `default` leaves everything to vLLM, which then "
        "compiles for minutes at each start.",
        one_of("tuned", "lean", "spread", "default"),
        default="tuned",
        gpus=("cpu",),
    ),
    Key(
        "IMAGE",
        "Container image instead of the pinned one.",
        image_reference,
        restart=False,  # compared by itself: it depends on what is on the machine, too
    ),
    Key("EXTRA_ARGS", "More vLLM flags, as on a command line.", extra_arguments),
    Key(
        "KNOWN_ISSUES_OFF",
        "Names of known issues (known-issues.md) whose settings are not wanted, with commas "
        "between them.",
        spelled(r"[a-z0-9-]+(,[a-z0-9-]+)*", "wsl-uva or wsl-uva,wsl-spawn"),
    ),
    Key(
        "ENDPOINT",
        "Where a backend on another machine is reached, without `/v1`, e.g. "
        "`http://workstation:8000`. Only the gateway has to do with it; it is started there.",
        server_root,
        restart=False,
    ),
    Key(
        "TIER",
        "Whom the gateway asks first for a model that several backends serve: `gpu`, then `cpu`. "
        "Unset: by `GPU`.",
        one_of("gpu", "cpu"),
        restart=False,
    ),
    Key(
        "MAX_IN_FLIGHT",
        "Requests at once that the gateway gives this backend; more go to the next one. "
        "Unset: 32 on a card, 8 on the CPU.",
        whole_number(1, 65_536),
        restart=False,
    ),
    Key(
        "START_STALL_SECONDS",
        "A start without any progress for so long counts as stuck.",
        whole_number(10, 86_400),
        default="600",
        restart=False,  # shapes only the wait
    ),
    Key(
        "DRAIN_SECONDS",
        "Seconds that requests in flight get to finish when the server is stopped: by `inv down`, "
        "`restart` and `switch`, by Docker, and when the machine shuts down. New requests are "
        "refused meanwhile. 0 cuts them off at once.",
        whole_number(0, 3600),
        also=("--shutdown-timeout",),
        default="30",
    ),
    Key(
        "VLLM_API_KEY",
        "The key clients send. Made by the first `inv up`.",
        header_secret,
        secret=True,
        everywhere=True,
    ),
    Key(
        "HF_TOKEN",
        "Hugging Face token for gated models; servers never get it. The root `.env` comes first "
        "for it, then the process environment, then what `hf auth login` left behind.",
        secret=True,
        everywhere=True,
    ),
    Key(
        "HF_ENDPOINT",
        "A mirror of the Hugging Face hub. Unset: `https://huggingface.co`.",
        spelled(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", "https://hub.example.org"),
        everywhere=True,
    ),
    Key(
        "TS_AUTHKEY",
        "Tailscale auth key. `inv setup.tailscale` joins with it, without a browser.",
        auth_key,
        secret=True,
        everywhere=True,
    ),
    Key(
        "GATEWAY_PORT",
        "Port of the gateway; the two above it, on 127.0.0.1, are for itself.",
        whole_number(1024, 65_533),
        default="8080",
        everywhere=True,
    ),
    Key(
        "GATEWAY_BIND",
        "Where the gateway listens: `loopback` is 127.0.0.1; `tailnet` is this Linux's address on "
        "the tailnet, with a firewall rule that keeps the local network out.",
        one_of("loopback", "tailnet"),
        default="loopback",
        everywhere=True,
    ),
    Key(
        "GATEWAY_RUNTIME",
        "How the gateway runs: `venv` is a program of its own environment, `docker` a container "
        "with this machine's network.",
        one_of("venv", "docker"),
        default="venv",
        everywhere=True,
    ),
    Key(
        "GATEWAY_IMAGE",
        "Container image with Traefik instead of the known one, e.g. of a mirror; for "
        "`GATEWAY_RUNTIME=docker`.",
        image_reference,
        everywhere=True,
    ),
    Key(
        "GATEWAY_CORS_ORIGINS",
        "Pages whose browsers may ask the gateway, e.g. "
        "`https://chat.example.org,http://localhost:3000`; `*` for all. They need a key all the "
        "same. Unset: none.",
        origins,
        everywhere=True,
    ),
    Key(
        "REMOTE_KEYS",
        "What the gateway sends to backends with keys of their own, by their names, e.g. "
        "`4090=sk-…,7900xtx=sk-…`. Unset: `VLLM_API_KEY` to all.",
        backend_keys,
        secret=True,
        everywhere=True,
    ),
    Key(
        "LIFECYCLE_HOME",
        "Folder for engines, models, state and logs. Unset: `~/.local/share/vllm-lifecycle`.",
        path=True,
        everywhere=True,
    ),
    Key(
        "MODELS_DIR",
        "Folder for model weights. Unset: `models` in `LIFECYCLE_HOME`.",
        path=True,
        everywhere=True,
    ),
)

KEYS = {key.name: key for key in TABLE}

SHAPING = tuple(key.name for key in TABLE if key.restart and not key.everywhere)
"""Keys that a running server cannot take on without a restart."""

WITH_MODEL = tuple(key.name for key in TABLE if key.with_model)
"""Keys whose values are for one model, `MODEL` itself first."""


def owned(text: str, gpu: str) -> str:
    """Says which flag among extra arguments has a key of its own on this hardware."""
    for flag in flags_in(text):
        for key in TABLE:
            if gpu in key.gpus and any(abbreviates(flag, one) for one in key.spellings):
                return f"must not hold {flag}: it is {key.name}"
    return ""
