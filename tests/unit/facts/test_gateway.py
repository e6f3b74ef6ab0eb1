from pathlib import Path

from lifecycle.facts import gateway, network
from lifecycle.gateway import files, traefik
from lifecycle.paths import Paths

LOG = """\
{"level":"error","message":"an older one"}
{"level":"error","error":"cannot parse","message":"Cannot start"}
{"level":"warn","message":"Health check failed."}
no JSON at all
[1]
"""


def test_the_last_error_is_told_and_a_warning_is_none() -> None:
    assert gateway.last_error(LOG) == "Cannot start cannot parse"
    assert gateway.last_error("") == ""


def test_where_it_listens_is_what_its_files_say(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path, tmp_path)
    assert network.gateway_address(paths) == ""
    files.folder(paths).mkdir()
    (files.folder(paths) / files.STATIC).write_text(traefik.text(8080, "100.64.0.1"))
    assert network.gateway_address(paths) == "100.64.0.1"
