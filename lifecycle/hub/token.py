"""The hub's token: where it is looked for, and in which order."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from huggingface_hub import constants, get_token
from huggingface_hub.errors import DeviceCodeError, OIDCError

from lifecycle.backend import load_shared
from lifecycle.env_file import PROCESS
from lifecycle.errors import ConfigError

KEY = "HF_TOKEN"


@dataclass(frozen=True)
class Token:
    """A token and where it came from, e.g. `.env:3`. It is shown nowhere."""

    text: str = field(default="", repr=False)
    source: str = ""

    def __bool__(self) -> bool:
        return bool(self.text)


def find_token(root: Path, environ: Mapping[str, str]) -> Token:
    """The first of: `.env` of the checkout, the process environment, the hub's own token file.

    Other keys are taken from the environment first. Not this one: an HF_TOKEN that some shell or
    container happens to export is seldom the one its owner wrote down for this checkout.

    Raises:
        ConfigError: `.env` cannot be read, or the token holds what no header may.
    """
    written = load_shared(root, environ, only=()).get(KEY)
    if written:
        return _checked(written.text, written.source)
    if environ.get(KEY, "").strip():
        return _checked(environ[KEY].strip(), PROCESS)
    return _checked(_logged_in(), constants.HF_TOKEN_PATH)


def _logged_in() -> str:
    """What `hf auth login` left behind; "" when nobody did. The library renews one that a browser
    gave out when it is near its end.
    """
    try:
        return get_token() or ""
    except (OIDCError, DeviceCodeError, httpx2.HTTPError, OSError, ValueError) as error:
        raise ConfigError(
            f"the login in {constants.HF_TOKEN_PATH} cannot be renewed",
            why=type(error).__name__,
            fix="Log in again: hf auth login; or write HF_TOKEN=… to .env.",
        ) from None


def _checked(text: str, source: str) -> Token:
    # httpx prints the header that it refuses.
    if text and not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ConfigError(
            f"{source}: HF_TOKEN=… holds spaces or signs that no token has",
            fix="Copy it anew from https://huggingface.co/settings/tokens.",
        )
    return Token(text, source if text else "")
