"""Which known issues of vLLM a start meets, and what is done against them."""

from dataclasses import dataclass

from lifecycle.backend import Backend
from lifecycle.env_file import nearest
from lifecycle.errors import ConfigError
from lifecycle.host import Host
from lifecycle.keys import KEYS
from lifecycle.steps import amd, cards, extra_arguments
from lifecycle.tables.issues import Issue, issues
from lifecycle.tables.versions import numbers


@dataclass(frozen=True)
class Applied:
    """A known issue that is met, and what is set against it here."""

    issue: Issue
    environment: dict[str, str]
    flags: dict[str, str]


def applied(backend: Backend, host: Host, vllm: str) -> list[Applied]:
    """The issues this backend meets on this machine and nobody turned off.

    Args:
        vllm: the version that will run; "" when it is not known, as of an image of the user's.

    Raises:
        ConfigError: `KNOWN_ISSUES_OFF` names one that there is not.
    """
    off = _off(backend)
    rows = [row for row in issues() if row.id not in off and _met(row, backend, host, vllm)]
    met = [
        Applied(row, _environment(row, backend, host), _flags(row, backend, vllm)) for row in rows
    ]
    return [one for one in met if one.environment or one.flags or one.issue.advice]


def lines(backend: Backend, host: Host, vllm: str) -> list[str]:
    """One line an issue, as `up` prints them before it starts anything."""
    told = [_line(one) for one in applied(backend, host, vllm)]
    if backend.gpu != "cpu" and not numbers(vllm):
        told.append(
            "the version of vLLM in this image is not known: settings for single versions are "
            "left out"
        )
    return told


def _line(met: Applied) -> str:
    settings = [f"{name}={text}" for name, text in met.environment.items()]
    settings += [f"{flag} {text}" for flag, text in met.flags.items()]
    done = f"{', '.join(settings)}, because " if settings else ""
    advice = f". {_sentence(met.issue.advice)}" if met.issue.advice else ""
    return f"{met.issue.id}: {done}{met.issue.why}{advice} ({met.issue.links[0]})"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _off(backend: Backend) -> set[str]:
    setting = backend.settings.get("KNOWN_ISSUES_OFF")
    if setting is None:
        return set()
    off, known = set(setting.text.split(",")), [row.id for row in issues()]
    for name in sorted(off - set(known)):
        raise ConfigError(
            f"{setting.source}: KNOWN_ISSUES_OFF={setting.text}: there is no known issue {name}",
            fix=nearest(name, known, "Did you mean {}?") or f"Known are: {', '.join(known)}.",
        )
    return off


def _met(row: Issue, backend: Backend, host: Host, vllm: str) -> bool:
    return (
        backend.gpu in row.gpus
        and backend.runtime in row.runtimes
        and row.system in {"", "wsl" if host.os.wsl else "native"}
        and row.in_version(vllm)
        and (
            not row.archs or any(arch.startswith(tuple(row.archs)) for arch in archs(backend, host))
        )
        and (not row.models or any(part in backend.model.lower() for part in row.models))
        and (not row.asks or any(_asked(what, backend, vllm) for what in row.asks))
    )


def archs(backend: Backend, host: Host) -> set[str]:
    """Architectures of the cards the server would use, as far as they are known."""
    if backend.gpu == "rocm":
        row = amd.best(cards.as_used(backend, host))
        return {row.arch} if row else set()
    return {gpu.arch for gpu in cards.of(backend, host).used if gpu.arch}


def _environment(row: Issue, backend: Backend, host: Host) -> dict[str, str]:
    chosen = _chosen(backend, host)
    values = {name: text.replace("{cards}", chosen) for name, text in row.environment.items()}
    return {name: text for name, text in values.items() if text}


def _chosen(backend: Backend, host: Host) -> str:
    """Numbers of the cards where other graphics are listed, too; "" where there is no choice."""
    mine = cards.of(backend, host)
    if backend.devices or not host.amd.agents or not 0 < len(mine.numbers) < len(mine.listed):
        return ""
    return ",".join(map(str, mine.numbers))


def _flags(row: Issue, backend: Backend, vllm: str) -> dict[str, str]:
    """Without those the user decided about."""
    return {flag: text for flag, text in row.flags.items() if not _decided(flag, backend, vllm)}


def _asked(what: str, backend: Backend, vllm: str) -> bool:
    """Whether a flag (`--flag`, or `--flag=value` by its beginning) is among the server's."""
    wanted, _, beginning = what.partition("=")
    pairs = zip(words := backend.vllm_flags(), (*words[1:], ""), strict=True)
    by_key = any(flag == wanted and text.startswith(beginning) for flag, text in pairs)
    value = extra_arguments.read(backend, vllm).get(wanted)
    return by_key or (value is not None and value is not False and str(value).startswith(beginning))


def _decided(flag: str, backend: Backend, vllm: str) -> bool:
    """Whether the user set a flag, by its key or among the extra arguments."""
    by_key = any(backend.chosen(key.name) for key in KEYS.values() if flag in key.spellings)
    return by_key or flag in extra_arguments.read(backend, vllm).values
