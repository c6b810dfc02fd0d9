"""The views, on-demand views and services of a store, with what a list of them shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from deployment.inspect.view_versions import due_after
from featurestore.define.definitions import FeatureView
from featurestore.define.on_demand import OnDemandView
from featurestore.define.values import ServedFeature, served_features
from featurestore.store import Store

from .forms import FeatureForm, FeatureList, KeyColumn, OnDemandForm, ServiceForm, ViewForm

Freshness = Literal["fresh", "late", "expired", "replayed", "empty"]


def feature_list(store: Store, now: int) -> FeatureList:
    """All that can be read from a store."""
    views = [view_form(store, view.name, now) for view in store.views()]
    on_demand = [_on_demand_form(one) for one in store.on_demand.values()]
    services = [ServiceForm(name=one.name, refs=one.refs) for one in store.services()]
    return FeatureList(now=now, views=tuple(views), on_demand=tuple(on_demand), services=tuple(services))


def view_form(store: Store, name: str, now: int) -> ViewForm:
    """A view as its name serves it, or the version that a name pins. Raises UnknownView, UnknownVersion."""
    base, at, _ = name.partition("@")
    view, panes, versions = store.view(name), store.panes.span(name), store.version_names(base)
    served, entity = served_features(view), view.entity
    end = None if panes.last is None else panes.last + view.pane_us
    due_at = None if at else _due_at(store, versions)
    return ViewForm(
        name=base,
        version=panes.version,
        versions=tuple(int(one.rpartition("@v")[2]) for one in versions),
        owner=view.owner,
        description=view.description,
        tags=dict(view.tags),
        entity=tuple(KeyColumn(name=key, type=kind) for key, kind in zip(entity.keys, entity.types, strict=True)),
        keys=len(entity.domain),
        constant=entity.constant,
        pane=view.pane,
        pane_us=view.pane_us,
        windows=view.windows,
        ttl_us=view.ttl_us,
        features=tuple(_feature_form(one) for one in served),
        freshness=_freshness(store, view, f"{name}:{served[0].name}", end, due_at, now),
        first_start=panes.first,
        newest_end=end,
        due_at=due_at,
        opened=panes.opened,
        void=panes.void,
        missing=panes.missing,
    )


def _due_at(store: Store, versions: Sequence[str]) -> int | None:
    """When the pane after the newest one of any version is due, as the newest version defines it."""
    last = [panes.last for panes in map(store.panes.span, versions) if panes.last is not None]
    return due_after(store.view(versions[-1]), max(last)) if last else None


def _freshness(store: Store, view: FeatureView, ref: str, end: int | None, due_at: int | None, now: int) -> Freshness:
    if end is None:
        return "empty"
    if view.ttl_us is not None and now - end > view.ttl_us:
        return "expired"
    if not any(counts["live"] for counts in store.clocks([ref]).values()):
        return "replayed"
    return "late" if due_at is not None and now > due_at else "fresh"


def _feature_form(served: ServedFeature) -> FeatureForm:
    feature = served.feature
    return FeatureForm(
        name=served.name,
        feature=feature.name,
        kind=feature.kind,
        window=None if served.window is None else served.window.name,
        shape=served.serving.shape,
        cells=served.feature.cell_labels(served.width) if served.is_list else (),
        description=feature.description,
    )


def _on_demand_form(view: OnDemandView) -> OnDemandForm:
    return OnDemandForm(
        name=view.name, outputs=view.outputs, features=tuple(view.features.values()), inputs=dict(view.inputs)
    )
