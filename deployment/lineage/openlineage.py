"""The lineage of a store as OpenLineage events (specification 2-0-2), built from public terms only.

job `collect.VIEW`, a run a plan    in: the source; out: the view. The run's facets have the terms of its manifest
job `serve.SERVICE`, without runs   in: views; out: the feature service
job `train.MODEL`, a run a version  in: views and service; out: the model

Run ids follow from the namespace and the plan or model, so events that are sent again replace themselves. No event has a value,
a key of an entity, a site, a client, a file's name, or a text that a user wrote into a definition.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from base.times import utc_text
from deployment.errors import UsageError
from deployment.project.project import Project
from featurestore.define.on_demand import OnDemandView
from featurestore.define.records import RegisteredView
from featurestore.define.services import FeatureService
from featurestore.errors import StoreCorrupt
from featurestore.registry.lineage import Lineage
from featurestore.registry.models import RegisteredModel
from featurestore.registry.release_pages import PlanTally
from featurestore.store import Store

from .facets import (
    SPEC,
    Dataset,
    column_lineage,
    dataset_facets,
    engine_facets,
    job_facets,
    plan_facets,
    source_columns,
)
from .trained_on import TrainedOn

SCHEMA: Final = f"{SPEC}/2-0-2/OpenLineage.json"
SOURCE: Final = "source"
"""The name of the dataset of the events. Where they are is not said: each site knows its own."""
_NAMESPACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}", re.ASCII)
_RUNS: Final = uuid.UUID("7b0cf5b6-6a0b-5f0c-9d9e-2f1a6f6f7a11")
"""The namespace of run ids (RFC 9562, version 5)."""

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Emitter:
    """Who sends events, and for which store.

    Attributes:
        namespace: of all jobs and datasets, such as `covey://shop`.
        version: of Covey.
    """

    namespace: str
    version: str

    @property
    def producer(self) -> str:
        """The URI that names this program."""
        return f"urn:covey:{self.version}"

    @classmethod
    def of(cls, directory: Path, version: str, namespace: str | None = None) -> Emitter:
        """The emitter of a project or store. Default of `namespace`: `covey://` and the project's name, or the folder's.

        Raises:
            UsageError: the namespace has characters that none may have, or none can be made of the folder's name.
        """
        project = Project.find(directory)
        own = directory.absolute().name if project is None else project.name
        chosen = namespace or f"covey://{own}"
        if not _NAMESPACE.fullmatch(chosen):
            raise UsageError(
                f"the namespace {chosen[:80]!r}: use 1 to 128 letters, digits and '.', '_', ':', '/', '-'",
                settings=("namespace",),
            )
        return cls(chosen, version)


def events_of(store: Store, emitter: Emitter, now: int) -> Iterator[Event]:
    """All events of a store: of its plans by time, then of its services and its models.

    Args:
        now: µs since the epoch; services have no time of their own.
    """
    tallies = sorted(store.panes.tallies(), key=lambda tally: tally.panes.first_published)
    for tally in tallies:
        yield from plan_events(tally, emitter)
    lineages = {lineage.name: lineage for lineage in store.lineages()}
    for service in store.services():
        yield service_event(service, _views_read(service.refs, lineages, store.on_demand), emitter, now)
    for model in store.models():
        try:
            yield from model_events(model, TrainedOn.of(model), emitter)
        except StoreCorrupt:
            continue  # the lineage in the console and in `covey lineage` says so


def plan_events(tally: PlanTally, emitter: Emitter) -> tuple[Event, Event]:
    """The start and the end of the run of a plan for one view: when its first and its last pane were published."""
    view, terms = tally.keeper.view, tally.manifest
    run = _run(emitter, f"plan/{terms.plan_hash}/{terms.view}", plan_facets(emitter.producer, emitter.version, tally))
    job = _job(emitter, f"collect.{terms.view}", "COLLECTION")
    columns = source_columns(view)
    source = _dataset(emitter, SOURCE, dataset_facets(emitter.producer, "STREAM", columns))
    opened = _view(emitter, tally.keeper, terms.view_version)
    opened["facets"]["columnLineage"] = column_lineage(
        emitter.producer, view, emitter.namespace, SOURCE, is_masked=terms.noisers > 0
    )
    both = {"run": run, "job": job, "inputs": [source], "outputs": [opened]}
    return (
        _event(emitter, "RunEvent", tally.panes.first_published, {"eventType": "START", **both}),
        _event(emitter, "RunEvent", tally.panes.last_published, {"eventType": "COMPLETE", **both}),
    )


def service_event(service: FeatureService, read: Sequence[RegisteredView], emitter: Emitter, now: int) -> Event:
    """A feature service, as a job without runs. `read`: the versions of views whose features it reads."""
    inputs = [_view(emitter, one, one.version) for one in read]
    job = _job(emitter, f"serve.{service.name}", "SERVICE", "SERVICE")
    out = _dataset(emitter, f"services.{service.name}", dataset_facets(emitter.producer, "VIEW", service.refs))
    return _event(emitter, "JobEvent", now, {"job": job, "inputs": inputs, "outputs": [out]})


def model_events(model: RegisteredModel, trained: TrainedOn, emitter: Emitter) -> tuple[Event, Event]:
    """The training of a version of a model. Of its start only the end is known: when it was registered."""
    run = _run(emitter, f"model/{model}/{model.registered_at}", engine_facets(emitter.producer, emitter.version))
    job = _job(emitter, f"train.{model.name}", "TRAINING")
    inputs = [
        _dataset(emitter, f"views.{one.name}", dataset_facets(emitter.producer, "TABLE", version=one.version))
        for one in trained.views
    ]
    if trained.service is not None:
        inputs.append(_dataset(emitter, f"services.{trained.service}", dataset_facets(emitter.producer, "VIEW")))
    out = _dataset(emitter, f"models.{model.name}", dataset_facets(emitter.producer, "MODEL", version=model.version))
    both = {"run": run, "job": job, "inputs": inputs, "outputs": [out]}
    return (
        _event(emitter, "RunEvent", model.registered_at, {"eventType": "START", **both}),
        _event(emitter, "RunEvent", model.registered_at, {"eventType": "COMPLETE", **both}),
    )


def _views_read(
    refs: Sequence[str], lineages: Mapping[str, Lineage], on_demand: Mapping[str, OnDemandView]
) -> tuple[RegisteredView, ...]:
    """The versions of views that references read, themselves or by way of an on-demand view, each once."""
    views = [ref.partition(":")[0] for ref in refs]
    by_way = [ref.partition(":")[0] for view in views if view in on_demand for ref in on_demand[view].features.values()]
    found: dict[str, RegisteredView] = {}
    for view in (*views, *by_way):
        name, _, pinned = view.partition("@v")
        if (lineage := lineages.get(name)) is not None:
            version = lineage.number(int(pinned)) if pinned else lineage.served
            if version is not None:
                found[version.registered.name] = version.registered
    return tuple(found.values())


def _event(emitter: Emitter, kind: str, at_us: int, fields: Mapping[str, Any]) -> Event:
    return {
        "eventTime": utc_text(at_us),
        "producer": emitter.producer,
        "schemaURL": f"{SCHEMA}#/$defs/{kind}",
        **fields,
    }


def _run(emitter: Emitter, name: str, facets: Mapping[str, Any]) -> dict[str, Any]:
    return {"runId": str(uuid.uuid5(_RUNS, f"{emitter.namespace}\n{name}")), "facets": dict(facets)}


def _job(emitter: Emitter, name: str, kind: str, processing: str = "BATCH") -> dict[str, Any]:
    return {"namespace": emitter.namespace, "name": name, "facets": job_facets(emitter.producer, kind, processing)}


def _dataset(emitter: Emitter, name: str, facets: Mapping[str, Any]) -> Dataset:
    return {"namespace": emitter.namespace, "name": name, "facets": dict(facets)}


def _view(emitter: Emitter, registered: RegisteredView, version: int) -> Dataset:
    fields = _fields(registered)
    return _dataset(
        emitter, f"views.{registered.view.name}", dataset_facets(emitter.producer, "TABLE", fields, version)
    )


def _fields(registered: RegisteredView) -> Sequence[str]:
    view = registered.view
    return (*view.entity.keys, *(feature.name for feature in view.pane_features))
