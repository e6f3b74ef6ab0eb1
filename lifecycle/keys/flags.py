"""vLLM's flags as a person types them, and those that may not stand in `EXTRA_ARGS`."""

import re
import shlex

RESERVED_FLAGS = {
    "--api-key": "the key would show in the process list; it is VLLM_API_KEY in .env",
    "--host": "servers listen on 127.0.0.1 only",
    "--port": "it is PORT",
    "--model": "it is MODEL",
    "--served-model-name": "it is SERVED_NAME",
    "--uds": "clients reach the server over PORT",
    "--hf-token": "the token would show in the process list",
    "--config": "a file could bring any of the flags that must not be here",
    "--revision": "it is REVISION",
    "--download-dir": "models are kept in MODELS_DIR, and fetched before the start",
    "--ssl-keyfile": "servers speak HTTP on 127.0.0.1; inv expose brings TLS",
    "--ssl-certfile": "servers speak HTTP on 127.0.0.1; inv expose brings TLS",
    "--ssl-ca-certs": "servers speak HTTP on 127.0.0.1; inv expose brings TLS",
    "--headless": "nothing would answer at PORT",
    "--grpc": "nothing would answer at PORT over HTTP",
}


def extra_arguments(text: str) -> str:
    """Accept vLLM flags, but none of `RESERVED_FLAGS`; see `table.owned` for those of our keys."""
    try:
        flags = flags_in(text)
    except ValueError as error:
        return f"cannot be split into arguments: {error}"
    for flag in flags:
        meant = next((r for r in RESERVED_FLAGS if abbreviates(flag, r)), "")
        if meant:
            return f"must not hold {flag}: {RESERVED_FLAGS[meant]}"
    return ""


def flags_in(text: str) -> list[str]:
    """The flags among arguments, without their values, spelled with dashes.

    Raises:
        ValueError: a quote is not closed.
    """
    words = (word.split("=")[0] for word in shlex.split(text))
    # A negative number is a value.
    return [word.replace("_", "-") for word in words if re.match(r"--?[A-Za-z]", word)]


def abbreviates(flag: str, whole: str) -> bool:
    """Whether argparse takes one for the other: any unambiguous beginning of a long flag is it."""
    return flag == whole or (flag.startswith("--") and whole.startswith(flag))
