"""The command line: `python -m tests.integration.image --engine DIR --tag NAME`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from tests.integration.image.build import build
from tests.integration.image.processes import ImageError

INTERRUPTED = 130


def default_cache() -> Path:
    """Return where caches belong on this machine."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "vllm-test-image"


def main() -> int:
    """Build the image; print one line for each phase."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.image", description=__doc__)
    parser.add_argument("--engine", type=Path, required=True, help="the virtual environment")
    parser.add_argument("--tag", required=True, help="the image's name")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="the Debian's place")
    options = parser.parse_args()
    # So that children are stopped and temporary files removed, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        build(options.engine, options.tag, options.cache)
    except ImageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
