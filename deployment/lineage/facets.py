"""Facets of OpenLineage events: those of its specification that Covey fills, and one of its own. All are public terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, assert_never

from base.times import utc_text
from edge_client.columns import columns_read
from featurestore.define.definitions import FeatureView
from featurestore.define.encoding import EachClient, EachEvent, OffsetSum, OneHot, TrueOrFalse
from featurestore.define.feature import PaneFeature
from featurestore.registry.release_pages import PlanTally

SPEC: Final = "https://openlineage.io/spec"
PRIVACY_SCHEMA: Final = "urn:covey:openlineage:1-0-0:CoveyPrivacyRunFacet"
"""The schema of the facet `covey_privacy`. docs/lineage.md describes it."""

_SUMMED: Final = ("DIRECT", "AGGREGATION")
_TESTED: Final = ("INDIRECT", "CONDITIONAL")
_GROUPED: Final = ("INDIRECT", "GROUP_BY")
"""Types and subtypes of transformations, as the facet's documentation defines them. A pane and a key are a group."""

Facets = dict[str, dict[str, Any]]
Dataset = dict[str, Any]


def standard(producer: str, name: str, version: str, /, **fields: Any) -> dict[str, Any]:
    """A facet of the specification, such as `SchemaDatasetFacet` in version `1-2-0`."""
    url = f"{SPEC}/facets/{version}/{name}.json#/$defs/{name}"
    return {"_producer": producer, "_schemaURL": url, **fields}


def job_facets(producer: str, kind: str, processing: str = "BATCH") -> Facets:
    """What a job is. `kind`: COLLECTION, TRAINING or SERVICE."""
    typed = {"processingType": processing, "integration": "COVEY", "jobType": kind}
    return {"jobType": standard(producer, "JobTypeJobFacet", "2-0-4", **typed)}


def plan_facets(producer: str, version: str, tally: PlanTally) -> Facets:
    """The run of a plan: the time that its panes cover, and the terms under which they were opened.

    No count of events or clients is in it, and no name of a site.
    """
    terms = tally.manifest
    end = utc_text(tally.panes.last + tally.keeper.view.pane_us)
    nominal = {"nominalStartTime": utc_text(tally.panes.first), "nominalEndTime": end}
    return {
        "nominalTime": standard(producer, "NominalTimeRunFacet", "1-0-1", **nominal),
        "processing_engine": standard(producer, "ProcessingEngineRunFacet", "1-1-1", version=version, name="covey"),
        "covey_privacy": {
            "_producer": producer,
            "_schemaURL": PRIVACY_SCHEMA,
            "planHash": terms.plan_hash,
            "definitionHash": terms.definition_hash,
            "protection": terms.protection,
            "validity": terms.validity,
            "noise": terms.noise,
            "noiseSplit": terms.noise_split,
            "microRho": terms.micro_rho,
            "microEpsilon": terms.micro_epsilon,
            "delta": terms.delta,
            "minClients": terms.min_clients,
            "participation": terms.participation,
            "outsideClaim": list(terms.outside_claim),
            "trust": terms.trust,
            "openedPanes": tally.panes.opened,
            "voidPanes": tally.panes.void,
            "retractedPanes": tally.panes.retracted,
        },
    }


def engine_facets(producer: str, version: str) -> Facets:
    """The run of a training."""
    return {"processing_engine": standard(producer, "ProcessingEngineRunFacet", "1-1-1", version=version, name="covey")}


def dataset_facets(producer: str, kind: str, fields: Sequence[str] = (), version: int | None = None) -> Facets:
    """What a dataset is. `kind`: STREAM, TABLE, VIEW or MODEL."""
    facets = {"datasetType": standard(producer, "DatasetTypeDatasetFacet", "1-0-1", datasetType=kind)}
    if fields:
        named = [{"name": name} for name in fields]
        facets["schema"] = standard(producer, "SchemaDatasetFacet", "1-2-0", fields=named)
    if version is not None:
        numbered = {"datasetVersion": f"v{version}"}
        facets["version"] = standard(producer, "DatasetVersionDatasetFacet", "1-0-1", **numbered)
    return facets


def source_columns(view: FeatureView) -> tuple[str, ...]:
    """The columns of the events that a view reads, as its definition names them."""
    read = columns_read(view)
    time = () if read.time is None else (read.time,)
    return tuple(dict.fromkeys((*time, *read.join_keys, *read.values, *read.where)))


def column_lineage(producer: str, view: FeatureView, namespace: str, source: str, *, is_masked: bool) -> dict[str, Any]:
    """Which columns of the events each feature of a view comes from.

    Args:
        is_masked: whether noise hides the values of the columns.
    """

    def of(column: str, kind: str, subtype: str) -> dict[str, Any]:
        transformed = {"type": kind, "subtype": subtype, "masking": is_masked}
        return {"namespace": namespace, "name": source, "field": column, "transformations": [transformed]}

    fields = {
        feature.name: {"inputFields": [of(column, *how) for column, how in _columns(feature).items()]}
        for feature in view.pane_features
    }
    read = columns_read(view)
    time = () if read.time is None else (read.time,)
    whole = [of(column, *_GROUPED) for column in (*time, *read.join_keys)]
    return standard(producer, "ColumnLineageDatasetFacet", "1-2-0", fields=fields, dataset=whole)


def _columns(feature: PaneFeature) -> dict[str, tuple[str, str]]:
    """The columns of a feature, each with the type and subtype of its transformation."""
    match feature.encoding:
        case OffsetSum(column=column) | OneHot(column=column):
            return {column: _SUMMED}
        case TrueOrFalse() as condition:
            return {column: _TESTED for column, _ in condition.columns}
        case EachEvent() | EachClient():
            return {}
        case encoding:
            assert_never(encoding)
