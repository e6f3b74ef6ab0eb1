"""`python -m tests.fake_hub --root DIR`: the stand-in as a server of its own."""

import argparse
import json
import signal
import threading
from dataclasses import asdict
from pathlib import Path

from tests.fake_hub.faults import Fault
from tests.fake_hub.gate import Token
from tests.fake_hub.server import FakeHub


def main() -> None:
    """Serve until SIGTERM or SIGINT, then print every request as a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.fake_hub", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the folder of repos")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--faults", type=Path, help="JSON: a list of objects like Fault")
    parser.add_argument("--tokens", type=Path, help="JSON: an object, token to Token")
    parser.add_argument("--url-seconds", type=float, default=3600)
    options = parser.parse_args()
    tokens = json.loads(options.tokens.read_text()) if options.tokens else {}
    hub = FakeHub(
        options.root, port=options.port, url_seconds=options.url_seconds,
        tokens={name: _token(**given) for name, given in tokens.items()},
    )  # fmt: skip
    for given in json.loads(options.faults.read_text()) if options.faults else ():
        hub.fault(Fault(**given))
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    with hub:
        print(f"fake hub: {hub.url}", flush=True)
        end.wait()
    for seen in hub.log.all():
        print(json.dumps(asdict(seen)), flush=True)


def _token(*, reads_gated: bool = True, **repos: list[str]) -> Token:
    return Token(**{key: frozenset(ids) for key, ids in repos.items()}, reads_gated=reads_gated)


if __name__ == "__main__":
    main()
