"""What there is to say of one key."""

from dataclasses import dataclass

from lifecycle.keys.checks import Check, anything

GPUS = ("cpu", "cuda", "rocm")
CARDS = ("cuda", "rocm")
"""Those of them that are graphics cards."""


@dataclass(frozen=True)
class Key:
    """One key.

    Args:
        doc: its meaning, with units, as the reference prints it.
        flag: the vLLM flag it becomes; "" for none.
        before: flags without a value that this one does not work without.
        also: more flags and spellings that mean the same, and so may not stand in `EXTRA_ARGS`.
        default: the value when no file gives one; "" means "decided by the program".
        gpus: the hardware it holds for. Elsewhere it is refused in the backend's own file, and
            passed by in the root `.env` and the process environment, which are for all backends.
        restart: a running server takes a new value on only when it is started again.
        secret: never shown; allowed in the root `.env` and the process environment only.
        path: it may be a path of this machine.
        everywhere: about the machine, not one backend: not allowed in `env/<name>.env`.
        with_model: belongs to the model, so that a value for one is no value for another. Only
            these may stand in the override that `inv switch` writes.
    """

    name: str
    doc: str
    check: Check = anything
    flag: str = ""
    before: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    default: str = ""
    gpus: tuple[str, ...] = GPUS
    restart: bool = True
    required: bool = False
    secret: bool = False
    path: bool = False
    everywhere: bool = False
    with_model: bool = False

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every flag that would bring this key in by another door."""
        return tuple(one for one in (self.flag, *self.before, *self.also) if one)
