"""The project's checks. `nox -l` lists them; standard library and nox only."""

import os
import re
import tomllib
from pathlib import Path

import nox

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "unit", "integration"]

ROOT = Path(__file__).parent
DATA = ROOT / "lifecycle" / "data"
# The machine's bytecode setting must not make every session compile pytest anew.
CLEAN = {"PYTHONDONTWRITEBYTECODE": None, "PYTHONPATH": None}
# A file's tests stay together, in their order. More workers would need more memory: 3 GB for each
# real vLLM, and a file may start two.
TWO_WORKERS = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
# After Ctrl-C tests take down the servers they started (tests/integration/conftest.py).
DOWN_SECONDS = 90


def install(session: nox.Session, lock: str) -> None:
    """Install a hash-checked lock; nothing that is not in it gets in."""
    session.install("--require-hashes", "-r", f"requirements/{lock}.txt")


def run_tests(session: nox.Session, folder: str) -> None:
    """Run a folder's tests, or what was typed after `--`.

    That runs in one process: it prints as it goes, and --pdb works.
    """
    typed = session.posargs
    where = () if any(word.startswith(folder) for word in typed) else (folder,)
    options = typed or TWO_WORKERS
    session.run("pytest", *where, *options, env=CLEAN, interrupt_timeout=DOWN_SECONDS)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, import rules, shell scripts."""
    install(session, "dev")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")
    session.run("shellcheck", "inv", *map(str, sorted(ROOT.glob(".ci/*"))))


@nox.session
def types(session: nox.Session) -> None:
    """Strict types, tests included."""
    install(session, "dev")
    session.run("mypy")


@nox.session
def unit(session: nox.Session) -> None:
    """Parsers, decisions, golden files: no processes, no sockets."""
    install(session, "dev")
    run_tests(session, "tests/unit")


@nox.session
def integration(session: nox.Session) -> None:
    """Real vLLM on the CPU, a real Docker Engine; the double for faults."""
    install(session, "dev")
    run_tests(session, "tests/integration")


@nox.session(default=False)
def clients(session: nox.Session) -> None:
    """Programs of others against a real vLLM, directly and through the gateway."""
    install(session, "clients")
    env = {**CLEAN, "CLIENTS": "1"}
    where = "tests/integration/gateway/clients"
    session.run("pytest", where, *session.posargs, env=env, interrupt_timeout=DOWN_SECONDS)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Write docs/reference/ anew from the task list and the table of keys."""
    install(session, "dev")
    session.run("python", "-m", "docs.generate")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """One table of ratios, measured side by side (takes half an hour)."""
    install(session, "dev")
    session.run("python", "-m", "tests.bench", *session.posargs, env=CLEAN)


@nox.session(name="local-image", default=False, venv_backend="none")
def local_image(session: nox.Session) -> None:
    """Build the CPU image from the engine venv, without any registry."""
    rows = tomllib.loads((DATA / "engines.toml").read_text())["engine"]
    row = next(row for row in rows if row["gpu"] == "cpu")
    data_home = os.environ.get("XDG_DATA_HOME", "~/.local/share")
    home = os.environ.get("LIFECYCLE_HOME", f"{data_home}/vllm-lifecycle")
    engine = Path(home).expanduser() / "engines" / f"{row['gpu']}-{row['version']}"
    if not engine.is_dir():
        session.error(f"there is no engine in {engine}: make it with ./inv up")
    tag = f"vllm-cpu-local:{row['version']}"
    session.run("python", "-m", "tests.integration.image", "--engine", str(engine), "--tag", tag)


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Resolve all locks anew (no registry host gets into them)."""
    session.install("uv>=0.13")
    compile_ = ("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11")
    plain = ("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links")
    for name, what in {
        "inv": ("pyproject.toml",),
        "smoke": ("--group", "pyproject.toml:smoke"),
        "dev": ("pyproject.toml", "--group", "dev"),
        "clients": ("pyproject.toml", "--group", "clients"),
    }.items():
        target = f"requirements/{name}.txt"
        session.run(*compile_, *plain, "--generate-hashes", *what, "-o", target)
    for gpu in ("cpu", "cuda"):
        # PyTorch for CUDA is in the default index, that for the CPU in its own or on this machine.
        wheels = os.environ.get("PIP_FIND_LINKS")
        cpu_torch = ("--find-links", wheels) if wheels else ("--torch-backend", "cpu")
        overrides = ("--override", str(DATA / f"engine-{gpu}.overrides"))
        engine = DATA / f"engine-{gpu}.lock"
        session.run(
            *compile_, *plain, "--generate-hashes", *(cpu_torch if gpu == "cpu" else ()),
            *overrides, str(DATA / f"engine-{gpu}.in"), "-o", str(engine),
        )  # fmt: skip
        if gpu == "cpu":
            engine.write_text(loosen_torch(engine.read_text()))
    gateway = str(DATA / "gateway.in"), "-o", str(DATA / "gateway.lock")
    session.run(*compile_, *plain, "--generate-hashes", *gateway)


def loosen_torch(text: str) -> str:
    """Drop torch's hashes and the packages the overrides exclude.

    A machine may hold its own build of the pinned torch, so its version is the pin.
    """
    kept = [
        block
        for block in re.split(r"\n(?=\S)", text.strip())
        if "== 'never'" not in block and not block.startswith("torch==2.13.0 ;")
    ]
    return "\n".join(re.sub(r"^(torch==\S+).*", r"\1", b, flags=re.DOTALL) for b in kept) + "\n"


def live(backend: str, kind: str) -> None:
    """Register `<kind>-<backend>`: the live suite against that backend's running server."""

    @nox.session(name=f"{kind}-{backend}", default=False, tags=[kind])
    def session_(session: nox.Session) -> None:
        install(session, "smoke")
        env = {**CLEAN, "SMOKE_BACKEND": backend}
        session.run("pytest", "smoke", "-m", kind, *session.posargs, env=env)

    session_.__doc__ = f"The {kind} tests against the running server of {backend}."


for env_file in sorted((ROOT / "env").glob("[a-z0-9]*.env")):
    live(env_file.stem, "smoke")
    live(env_file.stem, "functional")
