"""The hub itself: what it knows of a repo, and where its files are."""

import gzip
import re
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from tests.fake_hub import gate
from tests.fake_hub.body import Part
from tests.fake_hub.faults import NONE
from tests.fake_hub.gate import Token
from tests.fake_hub.repos import File, Repo
from tests.fake_hub.request import Request

REPO = r"(?P<repo>[^/]+/[^/]+)"
API = re.compile(rf"/api/models/{REPO}(/(?P<what>revision|tree|auth-check)(/(?P<rev>.+))?)?")
RESOLVE = re.compile(rf"/{REPO}/resolve/(?P<rev>[^/]+)/(?P<path>.+)")
CACHED = re.compile(rf"/api/resolve-cache/models/{REPO}/(?P<rev>[0-9a-f]{{40}})/(?P<path>.+)")


class HubRequest(Request):
    """The API, and the resolving of files."""

    where = "hub"

    def answer(self) -> None:
        sent = self.headers.get("Authorization", "").removeprefix("Bearer ")
        token = self.hub.tokens.get(sent)
        if sent and token is None:
            self.refuse(gate.INVALID)
        elif self.path_only == "/api/whoami-v2":
            self.json({"type": "user", "name": "somebody"}) if token else self.refuse(gate.INVALID)
        elif match := API.fullmatch(self.path_only):
            self._api(match["repo"], match["what"] or "", match["rev"] or "main", token)
        elif match := RESOLVE.fullmatch(self.path_only):
            self._resolve(match["repo"], match["rev"], match["path"], token)
        elif match := CACHED.fullmatch(self.path_only):
            self._resolve(match["repo"], match["rev"], match["path"], token, cached=True)
        else:
            self.refuse(gate.NO_ENTRY)

    def _found(self, repo_id: str, revision: str, token: Token | None) -> Repo | None:
        """The repo; None when the refusal has been sent."""
        any_revision = self.hub.repos.find(repo_id)
        refusal = gate.unseen(any_revision, token)
        if refusal:
            self.refuse(refusal)
            return None
        # tree/<rev>/<folder> is not asked for by anybody here; a revision may hold slashes.
        repo = self.hub.repos.find(repo_id, revision)
        if repo is None:
            self.refuse(gate.NO_REVISION)
        return repo

    def _api(self, repo_id: str, what: str, revision: str, token: Token | None) -> None:
        repo = self._found(repo_id, revision, token)
        if repo is None:
            return
        if what == "auth-check":
            refusal = gate.closed(repo, token)
            self.refuse(refusal) if refusal else self.reply(HTTPStatus.OK, b"OK", {})
        elif what == "tree":
            self._tree(repo)
        else:
            self.json(self._about(repo))

    def _about(self, repo: Repo) -> dict[str, Any]:
        blobs = self.query("blobs").lower() in {"true", "1"}
        return {
            "_id": repo.sha[:24],
            "id": repo.id,
            "modelId": repo.id,
            "sha": repo.sha,
            "private": repo.private,
            "gated": repo.gated,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "lastModified": "2026-11-01T00:00:00.000Z",
            "createdAt": "2026-10-01T00:00:00.000Z",
            "siblings": [_sibling(one, blobs=blobs) for one in repo.files.values()],
        }

    def _tree(self, repo: Repo) -> None:
        start = int(self.query("cursor") or 0)
        entries = [_entry(one) for one in repo.files.values()]
        end = start + self.hub.page
        headers = {}
        if end < len(entries):
            following = f"{self.hub.url}{quote(self.path_only)}?recursive=true&cursor={end}"
            headers["Link"] = f'<{following}>; rel="next"'
        self.json(entries[start:end], headers)

    def _resolve(
        self, repo_id: str, revision: str, path: str, token: Token | None, *, cached: bool = False
    ) -> None:
        repo = self._found(repo_id, revision, token)
        if repo is None:
            return
        refusal = gate.closed(repo, token, path)
        file = repo.files.get(path)
        if refusal or file is None:
            self.refuse(refusal or gate.NO_ENTRY)
            return
        if file.sha256:
            self._redirect_to_cdn(repo, file)
        elif cached:
            self._content(repo, file)
        else:
            self._redirect_to_cache(repo, file)

    def _redirect_to_cdn(self, repo: Repo, file: File) -> None:
        target = self.hub.signed(f"/{repo.id}/{file.sha256}/{file.path}")
        headers = {
            "Location": target,
            "X-Repo-Commit": repo.sha,
            "X-Linked-Size": str(file.size),
            "X-Linked-Etag": self.fault.etag or f'"{file.sha256}"',
            "Accept-Ranges": "bytes",
        }
        self.reply(HTTPStatus.FOUND, f"Found. Redirecting to {target}".encode(), headers)

    def _redirect_to_cache(self, repo: Repo, file: File) -> None:
        target = (
            f"/api/resolve-cache/models/{repo.id}/{repo.sha}/{quote(file.path)}"
            f"?{quote(self.path_only, safe='')}=&etag=%22{file.oid}%22"
        )
        headers = {"Location": target, "X-Repo-Commit": repo.sha, "Accept-Ranges": "bytes"}
        content = f"Temporary Redirect. Redirecting to {target}".encode()
        self.reply(HTTPStatus.TEMPORARY_REDIRECT, content, headers)

    def _content(self, repo: Repo, file: File) -> None:
        headers = {
            "ETag": f'"{file.oid}"',
            "X-Repo-Commit": repo.sha,
            "Content-Type": "text/plain; charset=utf-8",
        }
        packs = "gzip" in self.headers.get("Accept-Encoding", "")
        if not packs or "Range" in self.headers or self.fault != NONE:
            self.file(Part(file.place, 0, file.size), file.size, headers)
            return
        content = gzip.compress(file.place.read_bytes(), 1)
        packed = {**headers, "ETag": f'W/"{file.oid}"', "Content-Encoding": "gzip"}
        self.head(HTTPStatus.OK, {**packed, "Transfer-Encoding": "chunked"})
        if self.command == "GET":
            end = b"\r\n0\r\n\r\n" if content else b"0\r\n\r\n"
            self.wfile.write(b"%x\r\n%s%s" % (len(content), content, end))
            self.sent = len(content)


def _sibling(file: File, *, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": file.path}
    entry: dict[str, Any] = {"rfilename": file.path, "size": file.size, "blobId": file.oid}
    if file.sha256:
        entry["lfs"] = {
            "sha256": file.sha256, "size": file.size, "pointerSize": file.pointer_size,
        }  # fmt: skip
    return entry


def _entry(file: File) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": "file", "path": file.path, "size": file.size, "oid": file.oid,
    }  # fmt: skip
    if file.sha256:
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return entry
