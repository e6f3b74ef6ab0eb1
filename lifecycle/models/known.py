"""Models of the catalogue, as the planner takes them: without a file, without the hub."""

from lifecycle.model import Model
from lifecycle.models import architecture, weights
from lifecycle.tables.catalogue import CatalogueModel


def model(row: CatalogueModel) -> Model:
    """What the planner needs to know of a row.

    What vLLM holds is reckoned from `config`, and not the sum of `weights`: files hold copies of
    tied embeddings and layers that predict more tokens, which are not loaded.

    Raises:
        ModelUnavailable: its `config` is broken; a test keeps that from happening.
    """
    read = architecture.parse(row.config)
    return Model(
        name=row.model,
        architecture=read,
        held=weights.estimate(read),
        by_dtype=row.weights,
        source=f"the catalogue ({row.verified})",
    )
