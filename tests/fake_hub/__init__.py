"""A stand-in for the Hugging Face hub: the real protocol on loopback, with faults to switch on.

    from tests.fake_hub import FakeHub, Fault, Token

    with FakeHub(root) as hub:                   # hub.url is the HF_ENDPOINT
        hub.fault(Fault(path="*.safetensors", cut_after=1 << 20, times=1))
        ...
        assert hub.log.of("cdn")[0].range == "bytes=0-"

or `python -m tests.fake_hub --root DIR --port 0`.

`root` holds one folder for each repo, `<owner>/<name>/…`, which is its `main`; a folder
`<owner>/<name>@<revision>` is another revision of it. `.hub.json` in a folder says what the hub
knows of the repo: `{"gated": "manual", "private": false}`.

Served: `/api/models/<repo>[/revision/<rev>][?blobs=true]`, `/api/models/<repo>/tree/<rev>` in
pages, `/api/models/<repo>/auth-check`, `/api/whoami-v2`, and HEAD and GET of
`/<repo>/resolve/<rev>/<file>`. As on the real hub a small text file is one more redirect away
(307 to `/api/resolve-cache/…`, gzip for who accepts it), and a weight file lies on another host
(302 to a signed URL that expires; here another port, `hub.cdn`). That host has ETags of its own,
and it answers 400 to whoever brings it the token. The sha256 of a weight file is in the hub's
answer (X-Linked-Etag), never in the CDN's.

The proof that it is honest: huggingface_hub's `snapshot_download` and `hf download` work against
it (tests/integration/test_hub.py). Texts and codes are those of the real hub.
"""

from tests.fake_hub.faults import Fault
from tests.fake_hub.gate import Token
from tests.fake_hub.log import Log, Seen
from tests.fake_hub.server import FakeHub

__all__ = ["FakeHub", "Fault", "Log", "Seen", "Token"]
