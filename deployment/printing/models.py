"""Registered models as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from base.times import utc_text
from featurestore.registry.models import RegisteredModel

from .output import Output
from .tables import Table


def print_models(models: Sequence[RegisteredModel], out: Output) -> None:
    """Print one line for each version of a model."""
    table = Table("model", "registered", "views", "features", "labels", "folder")
    for model in models:
        shown = model_to_json(model)
        table.add_row(
            str(model),
            utc_text(model.registered_at),
            " ".join(shown["views"]),
            " ".join([*shown["features"], *shown["columns"]]),
            f"{shown['labels']['file']} ({shown['labels']['rows']:,} rows, {shown['labels']['sha256'][:12]}…)",
            str(model.folder),
        )
    out.table(table)


def model_to_json(model: RegisteredModel) -> dict[str, Any]:
    """A version of a model and its training data, as JSON."""
    lineage = model.lineage
    return {
        "name": model.name,
        "version": model.version,
        "registered_at": utc_text(model.registered_at),
        "folder": str(model.folder),
        "views": [f"{view['name']}@v{view['version']}" for view in lineage["views"]],
        **{name: lineage[name] for name in ("service", "features", "columns", "labels", "seed")},
    }
