"""`python -m tests.bench.seeding_once ours|library ENDPOINT REPO CACHE`: one seeding, measured.

In a process of its own, for its memory. Prints JSON: seconds of the seeding alone, peak bytes.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests

from lifecycle.transfer import Item, Place, fetch


def ours(endpoint: str, repo: str, cache: Path) -> Callable[[], object]:
    """Fetch and verify; the listing is asked for before, as `lifecycle/hub` does it."""
    api = f"{endpoint}/api/models/{repo}"
    sha = requests.get(f"{api}/revision/main", timeout=60).json()["sha"]
    listed = requests.get(f"{api}/tree/{sha}?recursive=true", timeout=60).json()
    items = [
        Item(
            one["path"], one["size"],
            f"sha256:{one['lfs']['oid']}" if one.get("lfs") else f"git:{one['oid']}",
            f"{endpoint}/{repo}/resolve/{sha}/{one['path']}",
        )
        for one in listed
        if one["type"] == "file"
    ]  # fmt: skip
    place = Place(cache / f"models--{repo.replace('/', '--')}", sha)
    return lambda: fetch(items, place)


def library(endpoint: str, repo: str, cache: Path) -> Callable[[], object]:
    """What `hf download` calls."""
    from huggingface_hub import snapshot_download

    return lambda: snapshot_download(repo, endpoint=endpoint, cache_dir=cache)


def main(who: str, endpoint: str, repo: str, cache: str) -> None:
    seed = {"ours": ours, "library": library}[who](endpoint, repo, Path(cache))
    begun = time.monotonic()
    seed()
    seconds = time.monotonic() - begun
    # Of this program alone; getrusage's maximum survives exec and would be the parent's.
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert peak
    print(json.dumps({"seconds": seconds, "peak": int(peak[1]) * 1024}))


if __name__ == "__main__":
    main(*sys.argv[1:])
