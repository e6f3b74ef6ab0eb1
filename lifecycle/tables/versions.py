"""Version numbers, compared as numbers."""


def numbers(version: str) -> tuple[int, ...]:
    """A version as numbers that compare: `7.2.1-81` is (7, 2, 1)."""
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdecimal())


def between(version: str, first: str, below: str) -> bool:
    """Whether first <= version < below; a `below` of "" is no end."""
    return numbers(first) <= numbers(version) and (not below or numbers(version) < numbers(below))
