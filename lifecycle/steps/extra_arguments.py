"""`EXTRA_ARGS` on one machine: what its version of vLLM makes of it, and what it needs here."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from lifecycle.arguments import (
    Arguments,
    Place,
    Refused,
    Table,
    memory,
    parse,
    places,
    table,
    value,
    with_places,
    words,
)
from lifecycle.arguments.places import ON_HUB
from lifecycle.backend import Backend
from lifecycle.errors import ConfigError
from lifecycle.host import Host
from lifecycle.step import Step

INSIDE = "/extra"
"""Where a container finds what extra arguments name."""
WRITABLE = ("/cache", "/tmp")  # noqa: S108 - of the container
NAMES = {
    "TOOL_PARSER": ("tool", "--tool-parser-plugin"),
    "REASONING_PARSER": ("reasoning", "--reasoning-parser-plugin"),
    "ATTENTION_BACKEND": ("attention", ""),
    "QUANTIZATION": ("quantization", ""),
}
"""Keys whose value is one of a list of vLLM's, and the flag that adds to that list."""


@dataclass(frozen=True)
class Mount:
    """A file or folder that a container gets to see, read-only."""

    source: Path
    target: str


def read(backend: Backend, version: str) -> Arguments:
    """The arguments as a version reads them; what it refuses says nothing about memory."""
    try:
        return parse(backend.get("EXTRA_ARGS"), version)
    except Refused:
        return Arguments()


def require(backend: Backend, host: Host, version: str) -> None:
    """Refuse what the version that will run, or its container, does not take.

    Raises:
        ConfigError: with where it is written, and the spelling that works.
    """
    refused = _refusal(backend, host, version)
    if refused:
        source, what, fix = refused
        raise ConfigError(f"{source}: {what}", fix=fix)


def steps(backend: Backend, host: Host, version: str) -> list[Step]:
    """The same as a state that `up` and the doctor ask for."""
    if not backend.get("EXTRA_ARGS") and not _refusal(backend, host, version):
        return []

    def missing(now: Host) -> str:
        refused = _refusal(backend, now, version)
        return "\n".join((f"{refused[0]}: {refused[1]}", refused[2])).strip() if refused else ""

    return [
        Step(
            id="arguments.taken",
            name=f"vLLM {version} takes its arguments".replace("  ", " "),
            missing=missing,
            failure=ConfigError,
            phase="plan",
        )
    ]


def told(backend: Backend, host: Host, version: str) -> tuple[str, ...]:
    """The arguments as the server gets them: repos as folders, paths as a container sees them."""
    text = backend.get("EXTRA_ARGS")
    found = read(backend, version)
    other = {place: _handed_over(place, backend, host, found) for place in places(found)}
    if all(place.word == word for place, word in other.items()):
        return tuple(shlex.split(text))
    return words(with_places(found, other.__getitem__), version)


def mounts(backend: Backend, host: Host, version: str) -> list[Mount]:
    """What its container must see beside the model; none for a plain server."""
    if backend.runtime != "docker":
        return []
    found = read(backend, version)
    return [Mount(root, target) for root, target in _targets(found, host).items()]


def companions(backend: Backend, version: str = "") -> list[Place]:
    """Models, adapters and tokenizers among the arguments, each once."""
    found = places(read(backend, version))
    return list(dict.fromkeys(one for one in found if one.holds in ON_HUB))


def _refusal(backend: Backend, host: Host, version: str) -> tuple[str, str, str] | None:
    """Where it is written, what is wrong, and what to write."""
    try:
        found = parse(backend.get("EXTRA_ARGS"), version)
    except Refused as refused:
        return _source(backend, "EXTRA_ARGS"), f"EXTRA_ARGS: {refused.what}", refused.fix
    named = _no_such_name(backend, found, table(version))
    if named:
        return named
    why = (
        _adapters(found, host) or _speculation(found, table(version)) or _unwritable(backend, found)
    )
    return (_source(backend, "EXTRA_ARGS"), f"EXTRA_ARGS: {why[0]}", why[1]) if why else None


def _source(backend: Backend, key: str) -> str:
    return backend.settings[key].source if key in backend.settings else key


def _no_such_name(backend: Backend, found: Arguments, known: Table) -> tuple[str, str, str] | None:
    """A parser or kernel that this version does not have."""
    for key, (kind, plugin) in NAMES.items():
        name, names = backend.get(key), known.names.get(kind, ())
        if not name or not names or not known.exact or name in names or found.get(plugin):
            continue
        near = value.nearest(name, names)
        fix = f"Did you mean {near}?" if near else f"It has: {', '.join(names)}"
        return _source(backend, key), f"{key}={name}: vLLM {known.version} has no such one", fix
    return None


def _adapters(found: Arguments, host: Host) -> tuple[str, str] | None:
    named = [flag for flag in ("--lora-modules", "--default-mm-loras") if found.get(flag)]
    if named and not found.get("--enable-lora"):
        return f"{named[0]} does nothing without --enable-lora", "Add --enable-lora."
    most, kept = found.number("--max-loras") or 1, found.number("--max-cpu-loras")
    if kept and kept < most:
        return (f"--max-cpu-loras {kept} is less than --max-loras {most}",
                f"Write --max-cpu-loras {most}.")  # fmt: skip
    limit = found.number("--max-lora-rank") or 16
    for place in places(found):
        rank = host.companions[place.word].rank if place.word in host.companions else 0
        if rank > limit:
            return (f"the adapter {place.word} has rank {rank}, and --max-lora-rank is {limit}",
                    f"Add --max-lora-rank {_rank(rank)}.")  # fmt: skip
    return None


def _rank(least: int) -> int:
    """The smallest rank that vLLM takes for it (`MaxLoRARanks`)."""
    choices = [int(one) for one in table("").flags["--max-lora-rank"].choices]
    return min((one for one in choices if one >= least), default=max(choices))


def _speculation(found: Arguments, known: Table) -> tuple[str, str] | None:
    """What `SpeculativeConfig` refuses before it loads anything."""
    held, flag = found.held("--speculative-config"), known.flags.get("--spec-method")
    for short, key in memory.SPEC.items():
        if found.get(short) is not None and key in held:
            return f"{short} and --speculative-config.{key} say the same", f"Remove {short}."
    said = memory.speculation(found)
    if not said:
        return None
    named = said.get("method")
    choices = list(flag.choices) if flag and known.exact else []
    if named and choices and named not in choices:
        near = value.nearest(str(named), choices)
        fix = f"Did you mean {near}?" if near else f"It has: {', '.join(map(str, choices))}"
        return f"vLLM {known.version} has no way to guess ahead called {named!r}", fix
    tokens = said.get("num_speculative_tokens")
    if tokens is not None and float(tokens) <= 0:
        return "num_speculative_tokens must be above 0", ""
    if memory.method(said) in {"draft_model", "eagle", "eagle3"} and not said.get("model"):
        return (
            "--speculative-config names neither a model nor a method that needs none",
            "Add --speculative-config.method mtp (or ngram), or --speculative-config.model MODEL.",
        )
    return None


def _unwritable(backend: Backend, found: Arguments) -> tuple[str, str] | None:
    """A place to write that a container cannot write to."""
    if backend.runtime != "docker":
        return None
    for place in places(found):
        inside = any(Path(place.word).is_relative_to(folder) for folder in WRITABLE)
        if place.holds == "writes" and not inside:
            fix = f"Name a folder below {' or '.join(WRITABLE)}, or set RUNTIME=venv."
            return f"{place.flag}: the container cannot write to {place.word}", fix
    return None


def _handed_over(place: Place, backend: Backend, host: Host, found: Arguments) -> str:
    """The word for a place that the server understands."""
    if place.holds == "writes":
        return place.word
    path, root = _on_disk(place, host)
    if path is None or root is None:
        return place.word
    if backend.runtime != "docker":
        return str(path)
    target = _targets(found, host)[root]
    return f"{target}/{path.relative_to(root).as_posix()}".removesuffix("/.")


def _targets(found: Arguments, host: Host) -> dict[Path, str]:
    """Where in a container each folder comes to lie, in the order of the flags."""
    roots = [_on_disk(one, host)[1] for one in places(found) if one.holds != "writes"]
    known = list(dict.fromkeys(root for root in roots if root is not None))
    return {root: f"{INSIDE}/{number}/{root.name}" for number, root in enumerate(known)}


def _on_disk(place: Place, host: Host) -> tuple[Path | None, Path | None]:
    """Where it is, and what to mount so that its links lead somewhere; None when it is not here."""
    seen = host.companions.get(place.word)
    if seen:
        return (None, None) if seen.problem else (seen.path, seen.root)
    if not place.path:
        return None, None
    path = Path(place.word)
    return path, path
