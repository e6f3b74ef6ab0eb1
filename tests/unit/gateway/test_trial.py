import json
from pathlib import Path

from lifecycle.gateway import trial


def test_only_errors_are_complaints(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = [
        {"level": "warn", "message": "Health check failed."},
        {"level": "error", "routerName": "m0@file", "error": "no such rule", "message": "adding"},
    ]
    log.write_text("\n".join(["starting", *map(json.dumps, lines), "panic: gone"]))
    assert trial.complaints(log) == ["m0@file adding no such rule", "panic: gone"]
