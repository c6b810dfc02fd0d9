"""The views that a project collects: those of its registry, or those that a file declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from deployment.errors import UsageError
from deployment.project.known_releases import registry_of
from deployment.project.view_forms import views_in_force
from featurestore.define.definitions import FeatureView
from featurestore.define.wire import collection_hash
from featurestore.errors import UnknownView

from .collected_views import CollectedView, collected_of, collected_views


def registered(directory: Path, names: Sequence[str] = ()) -> tuple[CollectedView, ...]:
    """The registered views of these names; without names, all. Raises UnknownView."""
    found = collected_views(directory)
    if unknown := set(names) - {one.view.name for one in found}:
        raise UnknownView(min(unknown), sorted({one.view.name for one in found}), named=False)
    return tuple(one for one in found if not names or one.view.name in names)


def require_registered(directory: Path, names: Sequence[str] = ()) -> tuple[CollectedView, ...]:
    """The same. Raises UsageError: no view is registered."""
    if not (found := registered(directory, names)):
        raise UsageError(
            f"no view is registered in {directory}, so nothing can be collected. `covey apply VIEWS.py` registers views"
        )
    return found


def declared(directory: Path, views: Sequence[FeatureView]) -> tuple[CollectedView, ...]:
    """What is collected of the views of a file. They need not be registered yet.

    A view whose collection is registered stands for all collections of its name: the schedule says which one has a pane. So a
    backfill opens no day twice, and a file may have the newest definition or an older one.

    Raises:
        ViewChanged: a changed definition was not applied.
    """
    in_force = views_in_force(directory, views)
    known: dict[str, list[CollectedView]] = {}
    with registry_of(directory) as registry:
        if registry is not None:
            for view in in_force:
                registry.require_registrable(view)
            for one in collected_of(registry.to_collect()):
                known.setdefault(one.view.name, []).append(one)
    return tuple(one for view in in_force for one in _of_name(view, known.get(view.name, ())))


def _of_name(view: FeatureView, known: Sequence[CollectedView]) -> list[CollectedView]:
    mine = collection_hash(view)
    if all(one.collection != mine for one in known):  # it is registered with its first plan
        return [CollectedView(view, 1)]
    return [replace(one, view=view) if one.collection == mine else one for one in known]
