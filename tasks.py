"""Table of contents: what `inv --list` shows. No logic here."""

from invoke import Collection

from lifecycle.cmd import chat, checks, server

namespace = Collection(
    server.up,
    server.down,
    server.restart,
    server.status,
    server.logs,
    chat.chat,
    checks.test,
)
