from lifecycle.facts import gateway

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
