"""Registered models as tables, sentences and JSON. The texts of a lineage may come from somebody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from base.times import utc_text
from deployment.inspect.models import ModelVersion, ReportedMetric
from featurestore.registry.models import RegisteredModel
from featurestore.registry.serving_versions import Newest

from .output import Output, printable
from .tables import Cell, Table

_FACTS: Final = ("kind", "task", "service", "made_at", "covey", "torch", "seed")
"""What `covey models show` prints of a lineage as it is."""


def print_models(versions: Sequence[ModelVersion], out: Output) -> None:
    """Print one line for each version of a model."""
    table = Table("model", "in force", "registered", "kind", "views", "features", "labels", "folder")
    for one in versions:
        shown = model_to_json(one)
        table.add_row(
            str(one.model),
            Cell(_share(one), one.share),
            shown["registered_at"],
            _text(shown["kind"]),
            _text(shown["views"]),
            _text([*shown["features"], *shown["columns"]]),
            Cell(_labels(one.model), shown["labels"]),
            shown["folder"],
        )
    out.table(table)


def model_to_json(one: ModelVersion) -> dict[str, Any]:
    """A version of a model, its share, and its training data, as JSON."""
    model, lineage = one.model, one.model.lineage
    return {
        "name": model.name,
        "version": model.version,
        "share": one.share,
        "serving": str(one.history.serving),
        "registered_at": utc_text(model.registered_at),
        "folder": str(model.folder),
        "kind": lineage.get("kind"),
        "views": _views(model),
        "features": _texts(lineage.get("features")),
        "columns": _texts(lineage.get("columns")),
        **{name: lineage.get(name) for name in ("service", "labels", "seed")},
    }


def details_to_json(one: ModelVersion, metrics: Mapping[str, Mapping[str, ReportedMetric]]) -> dict[str, Any]:
    """Everything about a version of a model, as JSON."""
    return model_to_json(one) | {
        "lineage": dict(one.model.lineage),
        "metrics": {kind: {name: asdict(metric) for name, metric in of.items()} for kind, of in metrics.items()},
        "files": dict(one.model.files),
        "versions": list(one.history.versions),
        "in_force": {f"v{version}": share for version, share in one.history.in_force.shares},
        "promotions": [
            {"at": utc_text(each.at), "serving": str(each.serving), "rollback": each.is_rollback}
            for each in one.history.promotions
        ],
    }


def print_model(one: ModelVersion, metrics: Mapping[str, Mapping[str, ReportedMetric]], out: Output) -> None:
    """Print a version of a model: its lineage, the metrics of its test, its files, and the promotions of its name."""
    model, lineage, history = one.model, one.model.lineage, one.history
    followed = ", the newest version; a registration takes over" if isinstance(history.serving, Newest) else ", pinned"
    facts = [
        ("model", str(model)),
        ("in force", f"{history.in_force}{followed}"),
        ("versions", " ".join(f"v{version}" for version in history.versions)),
        ("registered", utc_text(model.registered_at)),
        ("folder", str(model.folder)),
        *((name, _text(lineage[name])) for name in _FACTS if lineage.get(name) is not None),
        ("views", _text(_views(model))),
        ("features", _text(lineage.get("features"))),
        ("columns", _text(lineage.get("columns"))),
        ("labels", _labels(model)),
    ]  # fmt: skip
    out.facts([(name, text or "–") for name, text in facts])
    if metrics:
        names = list(dict.fromkeys(name for of in metrics.values() for name in of))
        table = Table("tested", *map(printable, names), caption="intervals of 95 %, over resampled days of the test")
        for kind, of in metrics.items():
            table.add_row(printable(kind), *(_metric(of.get(name)) for name in names))
        out.table(table)
    files = Table("file", "SHA-256")
    for file, digest in model.files.items():
        files.add_row(file, digest)
    out.table(files, aside=True)
    if history.promotions:
        promotions = Table("at", "in force from then on", "by")
        for each in history.promotions:
            promotions.add_row(
                utc_text(each.at),
                str(each.serving),
                "covey models rollback" if each.is_rollback else "covey models promote",
            )
        out.table(promotions, aside=True)


def _share(one: ModelVersion) -> str:
    if not one.share:
        return "–"
    return f"{one.share:.4g}" if one.share < 1 else "newest" if isinstance(one.history.serving, Newest) else "pinned"


def _metric(metric: ReportedMetric | None) -> Cell:
    if metric is None:
        return Cell("–", None)
    interval = "" if metric.low is None or metric.high is None else f" [{metric.low:.4f}, {metric.high:.4f}]"
    return Cell(f"{metric.value:.4f}{interval}", asdict(metric))


def _views(model: RegisteredModel) -> list[str]:
    views = model.lineage.get("views")
    found = [one for one in views if isinstance(one, Mapping)] if isinstance(views, list) else []
    return [f"{one.get('name')}@v{one.get('version')}" for one in found]


def _labels(model: RegisteredModel) -> str:
    labels = model.lineage.get("labels")
    if not isinstance(labels, Mapping) or not isinstance(labels.get("rows"), int):
        return "–"
    return printable(f"{labels.get('file')} ({labels['rows']:,} rows, {str(labels.get('sha256'))[:12]}…)")


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _text(value: object) -> str:
    """A value of a lineage in one line."""
    return printable(" ".join(map(str, value)) if isinstance(value, list) else "–" if value is None else str(value))
