"""The host of the weight files: signed URLs, no tokens."""

import hashlib
from http import HTTPStatus

from tests.fake_hub.body import Part
from tests.fake_hub.request import Request

DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>%s</Message></Error>"


class CdnRequest(Request):
    """`/<owner>/<name>/<sha256>/<file>?Expires=…&Signature=…`."""

    where = "cdn"

    def answer(self) -> None:
        # A store that signs its URLs refuses a second way to authenticate, as S3 does.
        if "Authorization" in self.headers:
            self._deny(HTTPStatus.BAD_REQUEST, b"Only one auth mechanism allowed")
            return
        if not self.hub.good(self.path_only, self.query("Expires"), self.query("Signature")):
            self._deny(HTTPStatus.FORBIDDEN, b"Request has expired")
            return
        owner, name, sha256, path = self.path_only.lstrip("/").split("/", 3)
        file = self.hub.repos.file(f"{owner}/{name}", path, sha256)
        if file is None:
            self._deny(HTTPStatus.NOT_FOUND, b"The specified key does not exist.")
            return
        # 64 hex digits, too, and no sha256 of the file: it must not be taken for one.
        etag = hashlib.sha256(f"stored {file.sha256}".encode()).hexdigest()
        headers = {"ETag": f'"{etag}"', "Content-Type": "application/octet-stream"}
        self.file(Part(file.place, 0, file.size), file.size, headers)

    def _deny(self, status: int, why: bytes) -> None:
        self.reply(status, DENIED % why, {}, kind="application/xml")
