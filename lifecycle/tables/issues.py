"""What goes wrong with vLLM on some hardware, and what helps (`data/known_issues.toml`)."""

from dataclasses import dataclass

from lifecycle.tables.rows import load_rows
from lifecycle.tables.versions import between, numbers


@dataclass(frozen=True)
class Issue:
    """A known issue: when it is met, and the setting that avoids it, or the advice.

    Args:
        id: its name, as `KNOWN_ISSUES_OFF` takes it.
        gpus: kinds of hardware.
        system: `wsl`, `native`, or "" for both.
        runtimes: `docker`, `venv`.
        archs: beginnings of architectures (`7.` is Turing and Volta, `gfx11` is RDNA 3); none
            means every card.
        since: the first version of vLLM that has it; "" for all from the beginning.
        below: the first version without it; "" while there is none.
        models: parts of the model's name, in small letters; none means every model.
        asks: what must have been asked for: flags, or flags with the beginning of their value
            (`--dtype=bfloat16`); none means it is met without asking.
        environment: variables that are set against it; `{cards}` stands for the numbers of the
            cards among all graphics, and where there are only cards the issue is not met.
        flags: vLLM flags that are set against it, unless the user set them.
        why: what happens otherwise, in a clause after "because".
        advice: what a person should do; "" when the settings are all.
        links: where it is reported or written down.
        verified: as for `Card`.
    """

    id: str
    gpus: list[str]
    system: str
    runtimes: list[str]
    archs: list[str]
    since: str
    below: str
    models: list[str]
    asks: list[str]
    environment: dict[str, str]
    flags: dict[str, str]
    why: str
    advice: str
    links: list[str]
    verified: str

    @property
    def versioned(self) -> bool:
        """Whether only some versions of vLLM have it."""
        return bool(self.since or self.below)

    def in_version(self, vllm: str) -> bool:
        """Whether a version has it; of an unknown one only what all versions have is said."""
        if not numbers(vllm):
            return not self.versioned
        return between(vllm, self.since or "0", self.below)


def issues() -> list[Issue]:
    """Every known issue, in the table's order."""
    return load_rows(Issue, "known_issues.toml", "issue")
