"""Table of contents: what `inv --list` shows. No logic here."""

from invoke import Collection

from lifecycle.cmd import chat, checks, doctor, server, setup

namespace = Collection(
    doctor.doctor,
    server.up,
    server.down,
    server.restart,
    server.status,
    server.logs,
    chat.chat,
    checks.test,
    Collection("setup", setup.wsl, setup.docker, setup.cuda, setup.rocm, setup.tailscale),
)
