"""`python -m tests.integration.seeder`: one fetch in a process of its own, to be killed or joined.

Reads JSON from stdin: {"repo", "commit", "items": [[path, size, digest, url], …], "stall"}. Prints
`N bytes` while it works, each event as `event …`, and `done` in the end.
"""

import json
import sys
from pathlib import Path

from lifecycle.errors import LifecycleError
from lifecycle.files import Files
from lifecycle.transfer import Item, Patience, Place, fetch


def main() -> int:
    asked = json.load(sys.stdin)
    shown: list[str] = []

    def show(files: Files) -> None:
        for line in (f"{files.fetched} bytes", f"note {files.note}"):
            if line not in shown[-2:]:
                shown.append(line)
                print(line, flush=True)

    try:
        fetch(
            [Item(*one) for one in asked["items"]],
            Place(Path(asked["repo"]), asked["commit"]),
            on_progress=show, patience=Patience(stall=asked.get("stall", 5)),
        )  # fmt: skip
    except LifecycleError as error:
        print(f"failed {error.what} | {error.why} | {error.fix}", flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        return 130
    print("done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
