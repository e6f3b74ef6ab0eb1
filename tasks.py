"""Table of contents: what `inv --list` shows. No logic here. `./inv` runs this file."""

import lifecycle.cmd  # noqa: F401, I001 - first: from here on Ctrl-C and the streams are in hand
from invoke import Collection

from lifecycle.cmd import (
    chat,
    checks,
    doctor,
    expose,
    gateway,
    image,
    key,
    models,
    onboard,
    plan,
    render,
    seed,
    server,
    setup,
    switch,
    tune,
    verify,
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
    verify.verify,
    tune.tune,
    checks.test,
    expose.expose,
    expose.unexpose,
    Collection("key", key.add, key.list_, key.rotate, key.remove),
    Collection("gateway", gateway.up, gateway.down, gateway.status, gateway.reload_),
    Collection("setup", setup.wsl, setup.docker, setup.cuda, setup.rocm, setup.tailscale),
)

if __name__ == "__main__":
    from lifecycle.cmd.program import Program

    Program(namespace).run()
