"""The errors of the feature store, in one tree. Each message is one line that names the mend."""

from __future__ import annotations

from typing import Final

DIFFERENCING: Final = (
    "a client-day is opened in one sum only, because two sums that share it tell it by their difference (at 100 clients "
    "that costs an epsilon of 13.5 where 1 was promised)"
)


class FeatureStoreError(Exception):
    """Anything that this package refuses or cannot do."""


class DefinitionError(FeatureStoreError):
    """A feature view that cannot be collected as written; names the view, the feature and the mend."""

    def __init__(self, view: str, message: str, feature: str | None = None) -> None:
        self.view = view
        self.feature = feature
        where = f"view {view!r}" + (f", feature {feature!r}" if feature else "")
        super().__init__(f"{where}: {message}")


class ExpressionRefused(DefinitionError):
    """A feature whose `where` is outside the closed grammar; its cause is the `ExpressionError`."""


class ExpressionError(FeatureStoreError):
    """A `where` outside the closed grammar (see `featurestore.expressions`)."""

    def __init__(self, where: str, message: str) -> None:
        self.where = where
        super().__init__(f"where={where if len(where) <= 80 else where[:77] + '...'!r}: {message}")


class NotFoundError(FeatureStoreError):
    """Something was asked for that the store does not have."""


class UnknownView(NotFoundError):
    """The store holds no view of this name."""

    def __init__(self, view: str, known: list[str]) -> None:
        self.view = view
        super().__init__(f"no view {view!r} in this store; it has: {', '.join(known) or 'none yet'}")


class UnknownFeature(NotFoundError):
    """The view serves no feature of this name."""

    def __init__(self, view: str, feature: str, known: list[str]) -> None:
        self.view = view
        self.feature = feature
        super().__init__(f"view {view!r} serves no feature {feature!r}; it has: {', '.join(known)}")


class StoreNotFound(NotFoundError):
    """There is no store at this path."""

    def __init__(self, path: str) -> None:
        super().__init__(f"no store at {path}; `covey run VIEWS.py --events FILE --store {path}` makes one")


class UnknownRelease(NotFoundError):
    """No pane of this store has this release id."""

    def __init__(self, release_id: bytes) -> None:
        self.release_id = release_id
        super().__init__(f"no release {release_id.hex()} in this store; `Store.releases(view)` lists those of a view")


class UnknownEvidence(NotFoundError):
    """The store keeps no bytes of this SHA-256."""

    def __init__(self, digest: bytes) -> None:
        self.digest = digest
        super().__init__(f"no evidence with SHA-256 {digest.hex()} in this store; it was published without it")


class BadReference(FeatureStoreError):
    """A feature reference or an entity key that cannot be read."""


class StoreInUse(FeatureStoreError):
    """Another process is writing into this store; a store has one writer."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the store {path} is in use by another writer; wait for it to end, or use another --store")


class ViewMalformed(FeatureStoreError):
    """Bytes that are not the canonical encoding of a valid feature view."""


class StoreCorrupt(FeatureStoreError):
    """The store's files do not fit together, or were written by another version."""


class ViewChanged(FeatureStoreError):
    """A view of this name with another definition is registered already."""

    def __init__(self, view: str) -> None:
        self.view = view
        super().__init__(
            f"view {view!r} has another definition in this store; a registered view is immutable: {DIFFERENCING}. Give the "
            "changed view a new name: it is then charged by itself"
        )


class ReleaseRefused(FeatureStoreError):
    """A release that does not fit its view, or a pane that was opened before with other bytes."""


class PaneNotOpen(ReleaseRefused):
    """A tombstone for a pane that has no release in this store: it is void, or was never published."""

    def __init__(self, view: str, pane_start: int) -> None:
        self.view, self.pane_start = view, pane_start
        super().__init__(
            f"view {view!r}, pane {pane_start}: only a release that was published can be retracted; this pane has none"
        )


class PaneRetracted(ReleaseRefused):
    """A second tombstone for a pane."""

    def __init__(self, view: str, pane_start: int, retracted_at: int) -> None:
        self.view, self.pane_start, self.retracted_at = view, pane_start, retracted_at
        super().__init__(f"view {view!r}, pane {pane_start}: retracted already, at {retracted_at} (µs)")


class BadRequest(FeatureStoreError):
    """A request to the feature server that cannot be read; names the field."""


class RequestTooLarge(BadRequest):
    """A request of more bytes, rows or numbers than the feature server answers at once."""


class NameCollision(BadReference):
    """Two columns of one answer would have the same name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"two columns of the answer would be called {name!r}; ask for full names (view__feature)")


class UnknownFeatureService(NotFoundError):
    """A feature service was asked for; this store has none."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no feature service {name!r}: this store has none; send `features` as view:feature")


class AddressUnavailable(FeatureStoreError):
    """The feature server cannot listen where it was told to."""
