"""Models of the catalogue, as the planner takes them: without a file, without the hub."""

from dataclasses import replace

from lifecycle.model import Architecture, Held, Model
from lifecycle.planner import architecture, weights
from lifecycle.planner.kv import BYTES
from lifecycle.tables.catalogue import CatalogueModel

FOUND = {"hardware", "documented", "reported"}
"""Rows whose bytes are those of real files; of the others they were reckoned."""
COPY = 0.9
"""Files that are heavier than the model by so much of a head hold a copy of the embedding."""


def model(row: CatalogueModel, dtype: str = "", online: str = "") -> Model:
    """What the planner needs to know of a row.

    Where bytes of its real files are known they count, less what vLLM does not load of them: a
    copy of a tied embedding, layers that guess tokens ahead. Else `config` says how many they are.

    Args:
        dtype: what vLLM computes with; "" for the model's own.
        online: `QUANTIZATION`: what unquantized weights become at the start.

    Raises:
        ModelUnavailable: its `config` is broken; a test keeps that from happening.
    """
    read = architecture.parse(row.config)
    held = weights.estimate(read, dtype, online)
    source = f"the catalogue ({row.verified})"
    changed = bool(online and not read.quantization.method) or dtype not in {"", "auto", read.dtype}
    if changed or row.verified not in FOUND:
        return Model(row.model, read, held, row.weights, source)
    left_out = _left_out(row, read, held)
    # What is known is the whole; that it differs a little from the sum is put to the layers.
    apart = row.size - sum(left_out.values()) - held.total
    source = ", ".join((source, *(f"without {what}" for what in left_out)))
    exact = replace(held, layers=held.layers + apart)
    return Model(row.model, read, exact, row.weights, source, exact=True)


def _left_out(row: CatalogueModel, read: Architecture, held: Held) -> dict[str, int]:
    """Bytes in the files that vLLM does not load, by what they are."""
    size = BYTES[read.dtype]
    head = read.vocab * read.hidden * size
    found = {"layers that guess ahead": read.ahead * size}
    heavier = row.size - held.total - sum(found.values())
    if read.tied and heavier > COPY * head:
        found["the copy of the embedding"] = head
    return {what: number for what, number in found.items() if number}
