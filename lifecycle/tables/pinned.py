"""What is pulled: a container image by its tag, and by its digest where one is known."""


def pinned(reference: str, digest: str) -> str:
    """The reference to pull.

    Args:
        digest: `sha256:…`; whatever else stands there says why none is known.
    """
    return f"{reference}@{digest}" if digest.startswith("sha256:") else reference
