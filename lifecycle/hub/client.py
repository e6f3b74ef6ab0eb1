"""Asking the hub: each question bounded in time, repeated where that helps, refused in words."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import get_session, hf_raise_for_status

from lifecycle.backend import load_shared
from lifecycle.errors import HostNotReady, LifecycleError, ModelUnavailable
from lifecycle.hub.refusals import Asked, Refusal, explain
from lifecycle.hub.repo import ENDPOINT, File, Repo
from lifecycle.hub.token import Token, find_token
from lifecycle.hub.waiting import Waiting

QUICK = 10.0
"""Seconds until the hub must have said something."""
SMALL_FILE = 64 << 20
"""Bytes a config, an index or a tokenizer may have; it is held in memory."""
HEADER_FIRST = 128 << 10
"""Bytes asked for at first: nearly every safetensors header fits (most are below 100 kB, see
`parse_safetensors_file_metadata` in huggingface_hub)."""
HEADER_MOST = 100_000_000
"""https://github.com/huggingface/safetensors: longer headers are refused."""
AT_ONCE = 8
PAGES = 100
"""Of a thousand files each."""

Answer = TypeVar("Answer")
Tell = Callable[[str], None]

# What is said to people is said by report/, and no request is sent but those asked for here: the
# library would also ask which coding agent runs it.
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
constants.HF_HUB_DISABLE_TELEMETRY = True


def connect(root: Path, environ: Mapping[str, str], tell: Tell = lambda _: None) -> "Hub":
    """The hub as `.env` and the environment name it: HF_ENDPOINT, and the token.

    Raises:
        ConfigError: what they say cannot be used.
    """
    mirror = load_shared(root, environ).get("HF_ENDPOINT")
    return Hub(mirror.text if mirror else ENDPOINT, find_token(root, environ), tell)


def offline() -> bool:
    """Whether the user forbade every request (HF_HUB_OFFLINE)."""
    return bool(constants.is_offline_mode())


class Hub:
    """One hub and the token for it.

    Args:
        tell: gets a sentence whenever an answer has to be waited for.
    """

    def __init__(
        self, endpoint: str = ENDPOINT, token: Token | None = None, tell: Tell = lambda _: None
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        token = token or Token()
        exposed = bool(token) and not _unread(self.endpoint)
        self.token = Token() if exposed else token
        self.withheld = (
            f"the token from {token.source} is not sent over plain http to {self.endpoint}"
            if exposed
            else ""
        )
        self._tell = tell
        # False, not None: None would make the library look for a token of its own.
        self._api = HfApi(self.endpoint, token=self.token.text or False)

    @property
    def authorization(self) -> dict[str, str]:
        """The header that proves who asks; for this endpoint's own host alone."""
        return {"Authorization": f"Bearer {self.token.text}"} if self.token else {}

    def info(self, repo: str, revision: str = "main", known: Iterable[str] = ()) -> Repo:
        """What a repo holds at a branch, a tag or a commit: one request.

        Args:
            known: names to compare a wrong one with.

        Raises:
            ModelUnavailable: there is none, or none that we may see.
            HostNotReady: the hub cannot be reached or does not answer as one.
        """

        def ask() -> Repo:
            found = self._api.model_info(
                repo, revision=revision, files_metadata=True, timeout=QUICK
            )
            siblings = found.siblings or ()
            if any(file.size is None for file in siblings):  # a mirror that knows names only
                files = self._tree(repo, found.sha or revision)
            else:
                files = [_sibling(file) for file in siblings]
            gated = found.gated if isinstance(found.gated, str) else ""
            if not found.sha:
                raise ValueError("it names no commit")
            return Repo(found.id, found.sha, gated, tuple(files))

        return self._patiently(ask, self._asked(repo, revision, known=tuple(known)))

    def access(self, repo: str) -> None:
        """Make sure that we may read the files of a gated repo: one request. What a repo holds the
        hub shows to everybody.

        Raises:
            ModelUnavailable: we may not, and why.
            HostNotReady: the hub cannot be reached.
        """

        def ask() -> None:
            url = f"{self.endpoint}/api/models/{repo}/auth-check"
            answer = get_session().get(url, headers=self.authorization, timeout=QUICK)
            hf_raise_for_status(answer)

        self._patiently(ask, self._asked(repo))

    def url(self, repo: str, sha: str, path: str) -> str:
        """Where a file is asked for; the hub sends weights on to another host."""
        return hf_hub_url(repo, path, revision=sha, endpoint=self.endpoint)

    def explain(
        self, refusal: Refusal, repo: str, revision: str = "main", path: str = ""
    ) -> LifecycleError:
        """The failure to raise for a refusal that somebody else met, e.g. the transfer."""
        return explain(refusal, self._asked(repo, revision, path))

    def read(self, repo: str, sha: str, path: str, limit: int = SMALL_FILE) -> bytes:
        """The beginning of a file, or all of one that is no longer than `limit` bytes.

        Raises:
            ModelUnavailable: there is none, or we may not read it.
            HostNotReady: the hub cannot be reached.
        """
        return self._part(repo, sha, path, 0, limit)

    def config(self, repo: str, sha: str, path: str = "config.json") -> dict[str, Any]:
        """A JSON file of a repo, e.g. its `config.json` or the index of its weights.

        Raises:
            ModelUnavailable: it has none, or a broken one.
            HostNotReady: the hub cannot be reached.
        """
        try:
            config = json.loads(self.read(repo, sha, path))
        except ValueError as error:
            raise _broken(repo, path, str(error)) from None
        if not isinstance(config, dict):
            raise _broken(repo, path, "it holds no object")
        return config

    def headers(self, repo: str, sha: str, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The headers of safetensors files: name, type and shape of each tensor. Kilobytes a file.

        The library has `get_safetensors_metadata`. It asks two more questions a file, and holds the
        whole file in memory where a proxy ignores the range.

        Raises:
            ModelUnavailable: a file is missing, closed to us, or no safetensors file.
            HostNotReady: the hub cannot be reached.
        """
        wanted = tuple(paths)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(lambda path: self._header(repo, sha, path), wanted)
            return dict(zip(wanted, found, strict=True))

    def _tree(self, repo: str, sha: str) -> list[File]:
        """Every file of a repo, page by page: the library sets no time limit here, and waits for a
        rate limit without a word.
        """
        files: list[File] = []
        url = f"{self.endpoint}/api/models/{repo}/tree/{sha}"
        query = {"recursive": "true"}
        for _ in range(PAGES):
            answer = get_session().get(url, params=query, headers=self.authorization, timeout=QUICK)
            hf_raise_for_status(answer)
            files += [_entry(entry) for entry in answer.json() if entry["type"] == "file"]
            following = answer.links.get("next", {}).get("url")
            if not following:
                return files
            # Of a link only the query is followed: a mirror may pass on the hub's own address, and
            # the token is for the mirror alone.
            query = dict(httpx2.URL(following).params)
        raise ValueError(f"its list of files has more than {PAGES} pages")

    def _header(self, repo: str, sha: str, path: str) -> dict[str, Any]:
        start = self.read(repo, sha, path, HEADER_FIRST)
        length = int.from_bytes(start[:8], "little")
        if len(start) < 8 or length > HEADER_MOST:
            raise _broken(repo, path, "it does not begin like a safetensors file")
        content = start[8 : 8 + length]
        if len(content) < length:
            rest = length - len(content)
            content += self._part(repo, sha, path, len(start), rest)
        try:
            header = json.loads(content)
        except ValueError as error:
            raise _broken(repo, path, str(error)) from None
        if not isinstance(header, dict):
            raise _broken(repo, path, "its header is no object")
        return header

    def _part(self, repo: str, sha: str, path: str, first: int, count: int) -> bytes:
        headers = {
            **self.authorization,
            "Range": f"bytes={first}-{first + count - 1}",
            "Accept-Encoding": "identity",
        }

        def ask() -> bytes:
            url = self.url(repo, sha, path)
            with get_session().stream("GET", url, headers=headers, timeout=QUICK) as answer:
                if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    return b""  # an empty file has no first byte
                hf_raise_for_status(answer)
                skipped = 0 if answer.status_code == HTTPStatus.PARTIAL_CONTENT else first
                return _first(answer, skipped + count)[skipped:]

        return self._patiently(ask, self._asked(repo, sha, path))

    def _asked(
        self, repo: str, revision: str = "main", path: str = "", known: tuple[str, ...] = ()
    ) -> Asked:
        return Asked(repo, revision, path, self.token, self.withheld, known)

    def _patiently(self, ask: Callable[[], Answer], asked: Asked) -> Answer:
        """Ask until there is an answer, or a reason why there will be none."""
        if offline():
            raise HostNotReady(
                "no request is allowed", why="HF_HUB_OFFLINE is set in the environment",
                fix="Unset it, or take a model that is here already.",
            )  # fmt: skip
        waiting = Waiting(self.endpoint, self._tell)
        while True:
            try:
                return ask()
            except HfHubHTTPError as error:
                if not waiting.for_answer(error.response.status_code, error.response.headers):
                    raise explain(_refusal(error), asked) from None
            except HFValidationError:
                raise ModelUnavailable(
                    f"{asked.repo} cannot be the name of a repo",
                    fix="Write it like Qwen/Qwen3-8B, or give the path of a folder.",
                ) from None
            except httpx2.TransportError as error:
                waiting.for_network(error)
            except (ValueError, KeyError, TypeError, httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise _no_hub(self.endpoint, error) from None


def _sibling(file: RepoSibling) -> File:
    if file.lfs is not None:
        return File(file.rfilename, file.lfs.size, f"sha256:{file.lfs.sha256}")
    return File(file.rfilename, file.size or 0, f"git:{file.blob_id}")


def _entry(entry: Mapping[str, Any]) -> File:
    if entry.get("lfs"):
        return File(entry["path"], entry["lfs"]["size"], f"sha256:{entry['lfs']['oid']}")
    return File(entry["path"], entry["size"], f"git:{entry['oid']}")


def _first(answer: httpx2.Response, count: int) -> bytes:
    """The first bytes of a body, however long it is and however slowly it comes."""
    content, end = bytearray(), time.monotonic() + 6 * QUICK
    for piece in answer.iter_bytes(1 << 16):
        content += piece
        if len(content) >= count:
            break
        if time.monotonic() > end:
            raise httpx2.ReadTimeout(f"{len(content)} bytes in {6 * QUICK:.0f} s")
    return bytes(content[:count])


def _refusal(error: HfHubHTTPError) -> Refusal:
    headers = error.response.headers
    message = headers.get("X-Error-Message") or error.server_message or ""
    return Refusal(error.response.status_code, headers.get("X-Error-Code", ""), message)


def _broken(repo: str, path: str, why: str) -> LifecycleError:
    return ModelUnavailable(
        f"{path} of {repo} is broken", why=why,
        fix=f"Tell its authors ({ENDPOINT}/{repo}/discussions), or take another revision or model.",
    )  # fmt: skip


def _no_hub(endpoint: str, error: Exception) -> LifecycleError:
    return HostNotReady(
        f"{endpoint} does not answer like a Hugging Face hub",
        why=f"{type(error).__name__}: {error}",
        fix="A captive portal or a proxy may be in the way. Check HF_ENDPOINT.",
    )


def _unread(endpoint: str) -> bool:
    """Whether nobody between reads what is sent."""
    parts = urlsplit(endpoint)
    return parts.scheme == "https" or parts.hostname in {"127.0.0.1", "localhost", "::1"}
