"""The little Markdown that written pages need."""

from collections.abc import Iterable

HEADER = "<!-- Written by `nox -s docs` from the code. Change the code, not this page. -->\n"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """A table, a line a row."""
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def between(page: str, name: str, lines: Iterable[str]) -> str:
    """The page with the part between its two marks of that name written anew.

    Raises:
        ValueError: it has no such marks.
    """
    begin, end = f"<!-- {name}: written by `nox -s docs` -->", f"<!-- end of {name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no marks for {name}")
    return "\n".join([before + begin, "", *lines, "", end + after])
