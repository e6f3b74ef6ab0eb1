"""Table of contents: what `inv --list` shows. No logic here."""

from invoke import Collection

from lifecycle.cmd import chat, checks, doctor, image, onboard, render, server, setup

namespace = Collection(
    onboard.onboard,
    doctor.doctor,
    image.pull,
    render.render,
    server.up,
    server.down,
    server.restart,
    server.status,
    server.logs,
    chat.chat,
    checks.test,
    Collection("setup", setup.wsl, setup.docker, setup.cuda, setup.rocm, setup.tailscale),
)
