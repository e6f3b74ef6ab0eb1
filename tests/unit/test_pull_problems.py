"""Why an image did not come, from what Docker says; recorded with Engine 26.1.5 where not told."""

import pytest

from lifecycle import tables

SAID = {
    # Classic store.
    "manifest for 127.0.0.1:4212/a:nope not found: manifest unknown: manifest unknown": "absent",
    "write /var/lib/docker/tmp/GetImageBlob990037677: no space left on device": "space",
    "failed to register layer: write /exp/f2-23516-1-1: no space left on device": "space",
    'Head "http://127.0.0.1:42123/v2/exp/a/manifests/1": no basic auth credentials': "denied",
    "unauthorized: auth req": "denied",
    "unauthorized": "denied",
    "denied": "denied",
    "error pulling image configuration: download failed after attempts=6: denied": "denied",
    "toomanyrequests: You have reached your pull rate limit": "limit",
    "toomanyrequests: slow": "busy",
    "received unexpected HTTP status: 503 Service Unavailable": "server",
    "unknown: proxy auth": "proxy",
    'Get "http://127.0.0.1:42123/v2/": EOF': "network",
    'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused': "network",
    'Get "https://no-such-host.invalid/v2/": dial tcp: lookup no-such-host.invalid on '
    "10.255.255.53:53: no such host": "name",
    "manifest verification failed for digest sha256:dc35": "other",
    "filesystem layer verification failed for digest sha256:90cd": "other",
    # The containerd store.
    'failed to resolve reference "127.0.0.1:34495/none:1": 127.0.0.1:34495/none:1: not found':
        "absent",
    "failed to copy: failed to send write: write /var/lib/docker/containerd/daemon/"
    "io.containerd.content.v1.content/ingest/f911/data: no space left on device": "space",
    'failed to resolve reference "127.0.0.1:34495/a:1": pull access denied, repository does not '
    "exist or may require authorization: authorization failed: no basic auth credentials": "denied",
    'failed to resolve reference "127.0.0.1:34495/a:1": unexpected status from HEAD request to '
    "https://127.0.0.1:34495/v2/a/manifests/1: 403 Forbidden": "denied",
    'failed to resolve reference "127.0.0.1:34495/a:1": unexpected status from HEAD request to '
    "https://127.0.0.1:34495/v2/a/manifests/1: 429 Too Many Requests": "busy",
    'failed to resolve reference "127.0.0.1:34495/a:1": unexpected status from HEAD request to '
    "https://127.0.0.1:34495/v2/a/manifests/1: 503 Service Unavailable": "server",
    'failed commit on ref "layer-sha256:9c45": commit failed: unexpected commit digest sha256:7911,'
    " expected sha256:9c45: failed precondition": "other",
    'failed to do request: Head "https://127.0.0.1:42565/v2/a/manifests/1": tls: first record does '
    "not look like a TLS handshake": "tls",
    # Docker Hub and others, as people quote them.
    "toomanyrequests: You have reached your unauthenticated pull rate limit. "
    "https://www.docker.com/increase-rate-limit": "limit",
    "toomanyrequests: Rate exceeded": "busy",
    "pull access denied for vllm-cpu-local, repository does not exist or may require 'docker "
    "login': denied: requested access to the resource is denied": "denied",
    'Get "https://registry-1.docker.io/v2/": net/http: TLS handshake timeout': "network",
    'Get "https://registry-1.docker.io/v2/": context deadline exceeded (Client.Timeout exceeded '
    "while awaiting headers)": "network",
    'Get "https://registry-1.docker.io/v2/": tls: failed to verify certificate: x509: certificate '
    "signed by unknown authority": "tls",
    'Get "https://10.0.0.5:5000/v2/": http: server gave HTTP response to HTTPS client': "tls",
    'Get "https://registry-1.docker.io/v2/": proxyconnect tcp: dial tcp 127.0.0.1:3128: connect: '
    "connection refused": "proxy",
    "no matching manifest for linux/arm64/v8 in the manifest list entries": "processor",
    "Credentials store error: StoreError('docker-credential-desktop.exe not installed')":
        "credentials",
    "unexpected EOF": "network",
    "something nobody has seen": "unknown",
}  # fmt: skip


@pytest.mark.parametrize(
    "said", SAID, ids=[f"{name}-{at}" for at, name in enumerate(SAID.values())]
)
def test_what_docker_says_is_told_apart(said: str) -> None:
    assert tables.pull.problem(said).name == SAID[said]


@pytest.mark.parametrize(
    "said", SAID, ids=[f"{name}-{at}" for at, name in enumerate(SAID.values())]
)
def test_only_what_may_pass_by_itself_is_tried_again(said: str) -> None:
    known = tables.pull.problem(said)
    assert known.again == (known.name in {"busy", "name", "server", "network"})
    assert known.fix
