"""Table of contents: what `inv --list` shows. No logic here."""

from invoke import Collection

from lifecycle.cmd import (
    chat,
    checks,
    doctor,
    image,
    models,
    onboard,
    plan,
    render,
    seed,
    server,
    setup,
    switch,
)

namespace = Collection(
    onboard.onboard,
    doctor.doctor,
    plan.plan,
    image.pull,
    seed.seed_models,
    models.models,
    render.render,
    server.up,
    server.down,
    server.restart,
    switch.switch,
    server.status,
    server.logs,
    chat.chat,
    checks.test,
    Collection("setup", setup.wsl, setup.docker, setup.cuda, setup.rocm, setup.tailscale),
)
