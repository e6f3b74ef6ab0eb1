"""What `inv tune` measured."""

from collections.abc import Iterable
from typing import Protocol

from rich.table import Table

from lifecycle.report.terminal import out


class Trial(Protocol):
    """One row of settings, measured."""

    @property
    def name(self) -> str:
        """As `CPU_SETTINGS` takes it."""

    @property
    def dtype(self) -> str:
        """`DTYPE` where that differs; "" else."""

    @property
    def seconds(self) -> float:
        """Until it answered."""

    @property
    def speed(self) -> float:
        """Tokens a second."""


def trials(measured: Iterable[Trial], choice: Trial) -> None:
    """Side by side, as measured in one run on this machine."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("CPU_SETTINGS", "start", "8 streams", "ratio", ""):
        table.add_column(name)
    for trial in measured:
        table.add_row(
            f"{trial.name}, DTYPE={trial.dtype}" if trial.dtype else trial.name,
            f"{trial.seconds:.0f} s",
            f"{trial.speed:.0f} tokens/s",
            f"{trial.speed / choice.speed:.2f}",
            "chosen" if trial is choice else "",
        )
    out.print(table)
