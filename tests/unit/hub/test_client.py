"""Questions to the hub, answered in this process: what is asked, how long, and what is said."""

import json
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import close_session, constants, set_client_factory

from lifecycle.errors import ConfigError, HostNotReady, ModelUnavailable
from lifecycle.hub import client, waiting
from lifecycle.hub.client import Hub, connect
from lifecycle.hub.repo import ENDPOINT, File
from lifecycle.hub.token import Token
from tests.unit.given import Checkout

SHA = "a" * 40
TOKEN = Token("hf_distinctive9Xw2", ".env:3")
SIBLINGS = [
    {"rfilename": "config.json", "size": 5, "blobId": "b" * 40},
    {
        "rfilename": "model.safetensors", "size": 9, "blobId": "c" * 40,
        "lfs": {"sha256": "d" * 64, "size": 9, "pointerSize": 134},
    },
]  # fmt: skip
Handler = Callable[[httpx2.Request], httpx2.Response]


class Net:
    """All requests of one test, and what they are answered with."""

    def __init__(self) -> None:
        self.seen: list[httpx2.Request] = []
        self.answers: list[Handler | httpx2.Response | Exception] = []
        self.slept: list[float] = []
        self.said: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx2.Response) else answer(request)

    def hub(self, token: Token | None = None, endpoint: str = ENDPOINT) -> Hub:
        return Hub(endpoint, token, self.said.append)


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Iterator[Net]:
    made = Net()
    monkeypatch.setattr(time, "sleep", made.slept.append)
    for name in waiting.PROXIES:
        monkeypatch.delenv(name, raising=False)
    set_client_factory(
        lambda: httpx2.Client(transport=httpx2.MockTransport(made), follow_redirects=True)
    )
    yield made
    close_session()


def about(**changes: object) -> httpx2.Response:
    body = {"id": "org/model", "sha": SHA, "gated": False, "siblings": SIBLINGS, **changes}
    return httpx2.Response(200, json=body)


def test_a_repo_is_one_request(net: Net) -> None:
    net.answers = [about(gated="manual")]
    found = net.hub(TOKEN).info("org/model", "v1.0/x")
    assert found.files == (
        File("config.json", 5, "git:" + "b" * 40),
        File("model.safetensors", 9, "sha256:" + "d" * 64),
    )
    assert (found.id, found.sha, found.gated) == ("org/model", SHA, "manual")
    (seen,) = net.seen
    assert str(seen.url) == f"{ENDPOINT}/api/models/org/model/revision/v1.0%2Fx?blobs=true"
    assert seen.headers["Authorization"] == f"Bearer {TOKEN.text}"


def test_nobody_elses_token_is_sent(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_exported")
    net.answers = [about()]
    net.hub().info("org/model")
    assert "Authorization" not in net.seen[0].headers


@pytest.mark.parametrize(
    ("endpoint", "sent"),
    [
        ("https://mirror.example", True),
        ("http://127.0.0.1:8000", True),
        ("http://mirror.example", False),
    ],
)
def test_the_token_is_sent_only_where_nobody_reads_along(
    net: Net, endpoint: str, *, sent: bool
) -> None:
    net.answers = [about()]
    hub = net.hub(TOKEN, endpoint)
    hub.info("org/model")
    assert ("Authorization" in net.seen[0].headers) == sent
    assert bool(hub.authorization) == sent
    assert bool(hub.withheld) != sent


def test_a_mirror_that_knows_only_names_is_asked_for_the_tree(net: Net) -> None:
    folder = {"type": "directory", "path": "sub", "size": 0, "oid": "e" * 40}
    tree = [folder, {"type": "file", "path": "config.json", "size": 5, "oid": "b" * 40}]
    elsewhere = '<https://elsewhere.example/api/tree?cursor=xyz&recursive=true>; rel="next"'
    net.answers = [
        about(siblings=[{"rfilename": "config.json"}]),
        httpx2.Response(200, json=tree, headers={"Link": elsewhere}),
        httpx2.Response(200, json=[]),
    ]  # fmt: skip
    assert net.hub().info("org/model").files == (File("config.json", 5, "git:" + "b" * 40),)
    assert f"/tree/{SHA}" in str(net.seen[1].url)
    assert net.seen[2].url.host == "huggingface.co"
    assert net.seen[2].url.params["cursor"] == "xyz"


def test_a_rate_limit_is_waited_for_as_told(net: Net) -> None:
    net.answers = [
        httpx2.Response(429, headers={"Retry-After": "7"}),
        httpx2.Response(429, headers={"RateLimit": '"api";r=0;t=55'}),
        httpx2.Response(429),
        about(),
    ]
    net.hub().info("org/model")
    assert net.slept == [7, 56, waiting.RATE_WINDOW]
    assert "waiting 7 s" in net.said[0]


def test_a_rate_limit_that_asks_for_too_much_is_told(net: Net) -> None:
    net.answers = [httpx2.Response(429, headers={"Retry-After": "4000"})]
    with pytest.raises(HostNotReady, match="wait 4000 s"):
        net.hub().info("org/model")
    assert net.slept == []


def test_a_rate_limit_without_end_is_left(net: Net) -> None:
    net.answers = [httpx2.Response(429, headers={"Retry-After": "300"})]
    with pytest.raises(HostNotReady, match="limits requests"):
        net.hub().info("org/model")
    assert sum(net.slept) <= waiting.PATIENCE


def test_a_hub_that_fails_is_asked_again_and_then_left(net: Net) -> None:
    net.answers = [httpx2.Response(503), about()]
    net.hub().info("org/model")
    assert net.slept == [1]
    net.answers = [httpx2.Response(503)]
    with pytest.raises(HostNotReady, match="HTTP 503"):
        net.hub().info("org/model")
    assert net.slept[1:] == list(waiting.PAUSES)


def test_a_network_that_is_gone(net: Net) -> None:
    net.answers = [httpx2.ConnectError("no route"), httpx2.ReadTimeout("slow"), about()]
    net.hub().info("org/model")
    assert net.slept == [1, 2]
    net.answers = [httpx2.ConnectError("Name or service not known")]
    with pytest.raises(HostNotReady, match="cannot reach https:"):
        net.hub().info("org/model")


def test_a_proxy_that_refuses_is_named_but_not_shown(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy:3128")
    net.answers = [httpx2.ProxyError("407 Proxy Authentication Required")]
    with pytest.raises(HostNotReady, match="proxy") as caught:
        net.hub().info("org/model")
    assert "HTTPS_PROXY" in caught.value.fix
    assert "secret" not in f"{caught.value.what}{caught.value.why}{caught.value.fix}"
    assert net.slept == []


def test_a_certificate_nobody_knows(net: Net) -> None:
    net.answers = [httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")]
    with pytest.raises(HostNotReady, match="certificate") as caught:
        net.hub().info("org/model")
    assert "SSL_CERT_FILE" in caught.value.fix


@pytest.mark.parametrize("body", ["<html>Log in to this hotel</html>", "[]", "{}"])
def test_something_else_that_answers(net: Net, body: str) -> None:
    net.answers = [httpx2.Response(200, text=body)]
    with pytest.raises(HostNotReady, match="does not answer like"):
        net.hub().info("org/model")


def test_a_name_that_is_none(net: Net) -> None:
    net.answers = [about()]
    with pytest.raises(ModelUnavailable, match="cannot be the name"):
        net.hub().info("org/model/extra/--")
    assert net.seen == []


def test_offline_means_no_request(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert client.offline()
    with pytest.raises(HostNotReady, match="no request"):
        net.hub().info("org/model")
    assert net.seen == []


def test_a_config_that_is_broken(net: Net) -> None:
    for text in ("{", "[]"):
        net.answers = [httpx2.Response(206, text=text)]
        with pytest.raises(ModelUnavailable, match=r"config\.json of org/model is broken"):
            net.hub().config("org/model", SHA)


def header(size: int) -> bytes:
    tensors = {"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}, "pad": "x" * size}
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 4


def ranged(content: bytes) -> Handler:
    def answer(request: httpx2.Request) -> httpx2.Response:
        first, last = request.headers["Range"].removeprefix("bytes=").split("-")
        return httpx2.Response(206, content=content[int(first) : int(last) + 1])

    return answer


@pytest.mark.parametrize(("size", "requests"), [(10, 1), (client.HEADER_FIRST, 2)])
def test_a_header_is_kilobytes(net: Net, size: int, requests: int) -> None:
    net.answers = [ranged(header(size))]
    found = net.hub(TOKEN).headers("org/model", SHA, ["model.safetensors"])
    assert found["model.safetensors"]["w"]["shape"] == [2]
    assert len(net.seen) == requests


def test_a_range_that_is_ignored_is_cut_here(net: Net) -> None:
    content = header(client.HEADER_FIRST)
    net.answers = [httpx2.Response(200, content=content)]
    found = net.hub().headers("org/model", SHA, ["model.safetensors"])
    assert found["model.safetensors"]["pad"] == "x" * client.HEADER_FIRST


@pytest.mark.parametrize(
    "content",
    [b"", b"abc", b"\xff" * 100, struct.pack("<Q", 4) + b"[12]", b"\4" + b"\0" * 7 + b"{,}"],
)
def test_a_file_that_is_no_safetensors(net: Net, content: bytes) -> None:
    net.answers = [ranged(content)]
    with pytest.raises(ModelUnavailable, match=r"model\.safetensors of org/model is broken"):
        net.hub().headers("org/model", SHA, ["model.safetensors"])


def test_the_settings_name_hub_and_token(checkout: Checkout) -> None:
    checkout.secrets("HF_ENDPOINT=https://mirror.example/\nHF_TOKEN=hf_written\n")
    hub = connect(checkout.root, {})
    assert hub.endpoint == "https://mirror.example"
    assert hub.token.source == ".env:2"
    assert hub.url("org/model", SHA, "a b.json") == (
        f"https://mirror.example/org/model/resolve/{SHA}/a%20b.json"
    )


def test_no_settings_are_the_hub_itself(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    hub = connect(checkout.root, {})
    assert (hub.endpoint, hub.authorization) == (ENDPOINT, {})


@pytest.mark.parametrize("text", ["huggingface.co", "ftp://x", "https://me:key@mirror"])
def test_an_endpoint_must_be_an_address(checkout: Checkout, text: str) -> None:
    checkout.secrets(f"HF_ENDPOINT={text}\n")
    with pytest.raises(ConfigError, match="HF_ENDPOINT"):
        connect(checkout.root, {})
