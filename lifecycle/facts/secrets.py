"""The root `.env`: is it private, does it hold a key? The key itself is shown nowhere."""

import os
import stat

from lifecycle.backend import load_shared
from lifecycle.errors import ConfigError
from lifecycle.paths import Paths


def mode(paths: Paths) -> int:
    """Permission bits of the file; 0 when there is none."""
    try:
        return stat.S_IMODE(paths.secrets.stat().st_mode)
    except OSError:
        return 0


def key(paths: Paths) -> str:
    """The API key in force; "" when none is set yet."""
    try:
        setting = load_shared(paths.root, os.environ).get("VLLM_API_KEY")
    except ConfigError:
        return ""
    return setting.text if setting else ""
