"""The views, on-demand views and services of a store, with what a list of them shows."""

from __future__ import annotations

from deployment.inspect.freshness import freshness_of
from featurestore.define.on_demand import OnDemandView
from featurestore.define.values import ServedFeature, served_features
from featurestore.store import Store

from .listing_forms import FeatureForm, FeatureList, KeyColumn, OnDemandForm, ServiceForm, ViewForm


def feature_list(store: Store, now: int) -> FeatureList:
    """All that can be read from a store."""
    views = [view_form(store, view.name, now) for view in store.views()]
    on_demand = [_on_demand_form(one) for one in store.on_demand.values()]
    services = [ServiceForm(name=one.name, refs=one.refs) for one in store.services()]
    return FeatureList(now=now, views=tuple(views), on_demand=tuple(on_demand), services=tuple(services))


def view_form(store: Store, name: str, now: int) -> ViewForm:
    """A view as its name serves it, or the version that a name pins. Raises UnknownView, UnknownVersion."""
    base = name.partition("@")[0]
    view, found = store.view(name), freshness_of(store, name, now)
    panes, entity = found.panes, view.entity
    versions = {one: int(one.rpartition("@v")[2]) for one in store.version_names(base)}
    return ViewForm(
        name=base,
        version=panes.version,
        versions=tuple(versions.values()),
        elsewhere=tuple(
            f"{feature.name}@v{number}"
            for one, number in versions.items()
            if number != panes.version
            for feature in served_features(store.view(one))
        ),
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
        features=tuple(_feature_form(one) for one in served_features(view)),
        freshness=found.state,
        first_start=panes.first,
        newest_end=found.newest_end,
        due_at=found.due_at,
        opened=panes.opened,
        void=panes.void,
        missing=panes.missing,
    )


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
