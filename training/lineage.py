"""The lineage of a model: labels, features, and the version, definition and releases of each view."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from base.times import utc_text
from deployment.errors import ModelOutdated
from featurestore.define.release import Clock
from featurestore.define.wire import definition_hash
from featurestore.errors import StoreCorrupt
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store

FORMAT: Final = 1
_T = TypeVar("_T")


def file_hash(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def views_of(
    store: Store, refs: Sequence[str], seen_by_us: int | None = None, clock: Clock | None = None
) -> list[dict[str, Any]]:
    """Return the views of references, also through on-demand views, with their releases until a time.

    Args:
        seen_by_us: time of the last label, µs; None: all releases count.
        clock: only releases of this clock count; None: of both.
    """
    snapshot = store.blocks.snapshot
    views: list[dict[str, Any]] = []
    for name in dict.fromkeys(name_of(ref) for ref in stored_refs(store, refs)):
        joined = _ids_of(store, name, clock)
        published = [
            one
            for one in store.published(name, 0)
            if (seen_by_us is None or one.released_at <= seen_by_us) and one.release_id.hex() in joined
        ]
        opened = [one.release_id.hex() for one in published if one.state == "opened"]
        views.append(
            {
                "name": name.partition("@")[0],
                "version": snapshot.find(name).header.version,
                "definition_hash": definition_hash(store.view(name)).hex(),
                "publication": max((one.seq for one in published), default=0),
                "newest_pane_end": utc_text(max(one.pane_end for one in published)) if published else None,
                "releases_sha256": hashlib.sha256("".join(sorted(opened)).encode()).hexdigest(),
                "releases": opened,
                "retracted": [one.release_id.hex() for one in published if one.state == "retracted"],
            }
        )
    return views


def _ids_of(store: Store, view: str, clock: Clock | None) -> frozenset[str]:
    """Return the ids of a view's releases of a clock, in hex."""
    releases = store.releases(view)
    rows = zip(releases["release_id"].to_pylist(), releases["clock"].to_pylist(), strict=True)
    return frozenset(ident for ident, of in rows if clock is None or of == clock)


def stored_refs(store: Store, refs: Sequence[str]) -> list[str]:
    """Return the references, with the inputs of an on-demand feature instead of the feature."""
    found: list[str] = []
    for ref in refs:
        transformation = store.on_demand.get(name_of(ref))
        found += [ref] if transformation is None else transformation.features.values()
    return found


def name_of(ref: str) -> str:
    """Return the view of a reference as it is spelled: `view` or `view@v1`."""
    return ref.partition(":")[0]


def pinned(store: Store, refs: Sequence[str]) -> list[str]:
    """Return the references with the current version of each view; a named version stays.

    Raises:
        UnknownView: the view or the version does not exist.
    """
    snapshot = store.blocks.snapshot
    split = [ref.partition(":") for ref in refs]
    return [
        ref if view in store.on_demand else f"{snapshot.find(view).header.name}:{feature}"
        for ref, (view, _, feature) in zip(refs, split, strict=True)
    ]


@dataclass(frozen=True)
class _Trained:
    """What a lineage says about views.

    Attributes:
        features: references.
        views: the name, version and definition hash of each view.
        views_file: the hex SHA-256 of the file of on-demand views.
    """

    features: tuple[str, ...]
    views: tuple[tuple[str, int, str], ...]
    views_file: str | None

    @classmethod
    def of(cls, model: RegisteredModel) -> Self:
        """Read a model's lineage, which somebody else may have written. Raises StoreCorrupt."""
        lineage = model.lineage
        try:
            views = tuple(
                (_typed(one["name"], str), _typed(one["version"], int), _typed(one["definition_hash"], str))
                for one in lineage["views"]
            )
            file = lineage["views_file_sha256"]
            features = tuple(_typed(ref, str) for ref in lineage["features"])
            return cls(features, views, None if file is None else _typed(file, str))
        except (KeyError, TypeError) as error:
            raise StoreCorrupt(
                f"the lineage of model {model} does not say which views it reads ({type(error).__name__}: {error}); "
                "register it again"
            ) from None


def _typed(given: Any, kind: type[_T]) -> _T:
    if not isinstance(given, kind):
        raise TypeError(f"{given!r:.40} is no {kind.__name__}")
    return given


def require_same(model: RegisteredModel, store: Store, views_file: Path | None) -> None:
    """Check that the store's views and the file of on-demand views are those of the lineage.

    A model reads the versions that it was trained on, so a newer version of a view does not matter. On-demand views read the
    version that the name serves, which must then be the one of the training.

    Raises:
        ModelOutdated. StoreCorrupt: the lineage does not have them.
    """
    trained = _Trained.of(model)
    served = {view.name: view for view in store.views()}
    definitions = store.definitions()
    follows = {name_of(ref) for ref in stored_refs(store, trained.features)}
    for name, trained_version, definition in trained.views:
        if name not in served:
            raise ModelOutdated(str(model), f"the store has no view {name!r} any more")
        version, current = store.blocks.snapshot.find(name).header.version, definition_hash(served[name]).hex()
        is_there = definitions.get(definition) == f"{name}@v{trained_version}"
        if not is_there or (name in follows and version != trained_version):
            raise ModelOutdated(
                str(model),
                f"view {name!r} is v{version}, {current[:12]}…; it was trained on v{trained_version}, "
                f"{definition[:12]}…",
            )
    wanted = trained.views_file
    if wanted is not None and views_file is None:
        raise ModelOutdated(
            str(model), "it reads on-demand views; name the file that declares them", settings=("views",)
        )
    if wanted is not None and views_file is not None and file_hash(views_file) != wanted:
        raise ModelOutdated(str(model), f"{views_file} is not the file of on-demand views that it was trained with")
