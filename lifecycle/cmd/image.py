"""`inv pull`: a backend's image, fetched before it is needed."""

from invoke import Context

from lifecycle.cmd.command import GPU_HELP, command, log_of, shell_for


@command(help={
    "gpu": GPU_HELP,
    "image": "another image than the backend's: name:tag or name@sha256:…",
})  # fmt: skip
def pull(context: Context, gpu: str = "auto", image: str = "") -> None:
    """Fetch the image of a backend; what is here already is not asked for again."""
    from lifecycle import facts, report
    from lifecycle.cmd import choose
    from lifecycle.machine import Here
    from lifecycle.runner import Runner
    from lifecycle.steps import cards, docker

    where, shell = choose.places(), shell_for(context)
    backend, why = choose.to_start(gpu)
    backend = backend.with_setting("RUNTIME", "docker", "inv pull")
    if image:
        backend = backend.with_setting("IMAGE", image, "--image")
    if why:
        report.note(why)
    machine = Here(shell)
    host = facts.gather(backend, where, machine)
    cards.require(backend, host)
    for line in docker.notes(backend, host):
        report.note(line)
    progress = report.Progress(live=not shell.dry)
    runner = Runner(
        where, shell, lambda: facts.gather(backend, where, machine.again()), progress, log_of(where)
    )
    wanted = docker.image(backend, host)
    try:
        worked = runner.apply(docker.steps(backend, host, where), host)
    finally:
        progress.stop()
    if not worked:
        report.note(f"{wanted} is here already; nothing to do")
    if not shell.dry:
        # Where the registry did not have the wanted one, it is a different one by now.
        _pin(docker.image(backend, facts.gather(backend, where, machine.again())))


def _pin(wanted: str) -> None:
    """How to hold to exactly this image, where only its tag is known."""
    from lifecycle import engine, report

    # One that was built here is known to no registry.
    found = [] if "@" in wanted else engine.digests(wanted)
    for name in found:
        report.line(f"digest  {name}")
    if found:
        report.note(
            f"A tag may be moved to another image. To hold to this one: IMAGE={found[0]} in .env, "
            "or its sha256:… as digest in lifecycle/data/images.toml."
        )
