"""A set of bytes of a file, as ranges."""

from collections.abc import Iterable, Iterator


class Spans:
    """Ranges `[start, end)`, sorted, none touching another."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self._spans: list[tuple[int, int]] = []
        for start, end in spans:
            self.add(start, end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._spans)

    def __bool__(self) -> bool:
        return bool(self._spans)

    @property
    def total(self) -> int:
        """How many bytes."""
        return sum(end - start for start, end in self._spans)

    @property
    def prefix(self) -> int:
        """How many from the file's beginning on, without a gap."""
        return self._spans[0][1] if self._spans and self._spans[0][0] == 0 else 0

    def add(self, start: int, end: int) -> None:
        """Put a range in; it may overlap what is there."""
        if start >= end:
            return
        apart = []
        for one in self._spans:
            if one[1] < start or end < one[0]:
                apart.append(one)
            else:
                start, end = min(start, one[0]), max(end, one[1])
        self._spans = sorted([*apart, (start, end)])

    def gaps(self, size: int) -> Iterator[tuple[int, int]]:
        """What a file of `size` bytes has besides these."""
        at = 0
        for start, end in self._spans:
            if at < start:
                yield at, min(start, size)
            at = end
        if at < size:
            yield at, size
