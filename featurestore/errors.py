"""The errors of the feature store, in one tree. Each message is one line that names the mend."""

from __future__ import annotations

from typing import Final

from base.errors import NOT_FOUND, REFUSED, USAGE, CoveyError

DIFFERENCING: Final = (
    "a client-day is opened in one sum only, because the difference of two sums that share it reveals it (at 100 clients "
    "that costs an epsilon of 13.5 where 1 was promised)"
)


class FeatureStoreError(CoveyError):
    """Anything that this package refuses or cannot do."""


class DefinitionError(FeatureStoreError):
    """A feature view that cannot be collected as written; names the view, the feature and the mend."""

    exit_code = USAGE

    def __init__(self, view: str, message: str, feature: str | None = None) -> None:
        self.view = view
        self.feature = feature
        where = f"view {view!r}" + (f", feature {feature!r}" if feature else "")
        super().__init__(f"{where}: {message}")


class ExpressionRefused(DefinitionError):
    """A feature whose `where` is outside the closed grammar; its cause is the `ExpressionError`."""


class ExpressionError(FeatureStoreError):
    """A `where` outside the closed grammar (see `featurestore.define.expressions`)."""

    exit_code = USAGE

    def __init__(self, where: str, message: str) -> None:
        self.where = where
        super().__init__(f"where={where if len(where) <= 80 else where[:77] + '...'!r}: {message}")


class NotFoundError(FeatureStoreError):
    """Something was asked for that the store does not have."""

    exit_code = NOT_FOUND


class UnknownView(NotFoundError):
    """The store holds no view of this name; `named`: but one of its feature services speaks of it."""

    def __init__(self, view: str, known: list[str], *, named: bool = False) -> None:
        self.view, self.known, self.named = view, known, named
        hint = ". A feature service names it: an on-demand view needs the file that declares it" if named else ""
        super().__init__(f"no view {view!r} in this store; it has: {', '.join(known) or 'none yet'}{hint}")


class UnknownFeature(NotFoundError):
    """The view serves no feature of this name."""

    def __init__(self, view: str, feature: str, known: list[str]) -> None:
        self.view, self.known = view, known
        self.feature = feature
        super().__init__(f"view {view!r} serves no feature {feature!r}; it has: {', '.join(known)}")


class StoreNotFound(NotFoundError):
    """There is no store at this path."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"no store at {path}")


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

    exit_code = USAGE


class StoreInUse(FeatureStoreError):
    """Another process is writing into this store; a store has one writer."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"the store {path} is in use by another writer; wait for it to end")


class ViewMalformed(FeatureStoreError):
    """Bytes that are not the canonical encoding of a valid feature view."""


class StoreWriteFailed(FeatureStoreError):
    """A file of the store could not be written, as on a full disk; readers stay on what was published before.

    Attributes:
        path: the file; reason: `disk full`, or what the operating system says.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} could not be written ({reason}); readers stay on the last complete publication. Free some space and "
            "publish again"
        )


class StoreCorrupt(FeatureStoreError):
    """The store's files do not fit together, or were written by another version."""


class StoreOfAnotherVersion(StoreCorrupt):
    """A registry with the tables of another version of Covey."""

    def __init__(self, path: str, have: int, need: int) -> None:
        self.path, self.have, self.need = path, have, need
        super().__init__(
            f"{path} has schema {have}, this version of covey reads {need}; use the version that wrote it, or another store"
        )


class ViewChanged(FeatureStoreError):
    """A view of this name with another definition is registered already."""

    exit_code = REFUSED

    def __init__(self, view: str) -> None:
        self.view = view
        super().__init__(
            f"view {view!r} has another definition in this store; a registered view is immutable: {DIFFERENCING}. Give the "
            "changed view a new name: it is then charged by itself"
        )


class ReleaseRefused(FeatureStoreError):
    """A release that does not fit its view, or a pane that was opened before with other bytes."""

    exit_code = REFUSED


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
        super().__init__(
            f"the answer would have the column {name!r} twice; ask for each feature once, and for full names (view__feature) "
            "where views share one"
        )


class UnknownFeatureService(NotFoundError):
    """The store has no feature service of this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.name, self.known = name, known
        super().__init__(f"no feature service {name!r} in this store; it has: {', '.join(known) or 'none'}")


class AddressUnavailable(FeatureStoreError):
    """The feature server cannot listen where it was told to."""


class ConsumerInvalid(FeatureStoreError):
    """A consumer's name or limit that cannot be taken."""

    exit_code = USAGE


class ConsumerExists(FeatureStoreError):
    """A consumer of this name has a key already."""

    exit_code = USAGE

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"consumer {name!r} has a key already, and a key is shown only once; remove the consumer, or choose another name"
        )


class UnknownConsumer(NotFoundError):
    """No consumer of this name has a key."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.name, self.known = name, known
        super().__init__(f"no consumer {name[:80]!r}; there are: {', '.join(known) or 'none yet'}")


class ConsumersFileBroken(FeatureStoreError):
    """The file of consumers cannot be read as it is, so no key is taken."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class WorkersFailing(FeatureStoreError):
    """Workers of the feature server end as often as they are started."""


class SettingsInvalid(FeatureStoreError):
    """The `[online]` table of a store's covey.toml cannot be used."""

    exit_code = USAGE


class OnlineUnavailable(FeatureStoreError):
    """The online store cannot be reached, or does not hold the rows of an epoch that is being read.

    Attributes:
        retry_after_s: in how many seconds it is worth while to ask again.
    """

    retry_after_s = 1

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class NoEpoch(OnlineUnavailable):
    """Not even a first epoch of a store can be read."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"nothing of this store can be read yet ({problem})")


class UnknownModel(NotFoundError):
    """The store has no model of this name, or not this version of it."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.name, self.known = name, known
        super().__init__(f"no model {name[:80]!r} in this store; it has: {', '.join(known) or 'none'}")


class ModelInvalid(FeatureStoreError):
    """A model that cannot be registered: its name, or the names of its files."""

    exit_code = USAGE


class ServiceInvalid(FeatureStoreError):
    """A feature service that cannot be, or whose references the store does not have."""

    exit_code = USAGE

    def __init__(self, service: str, message: str) -> None:
        self.service = service
        super().__init__(f"feature service {service[:80]!r}: {message}")


class OnDemandInvalid(FeatureStoreError):
    """An on-demand transformation that cannot be as declared."""

    exit_code = USAGE

    def __init__(self, view: str, message: str) -> None:
        self.view = view
        super().__init__(f"on-demand view {view[:80]!r}: {message}")


class OnDemandFailed(FeatureStoreError):
    """The function of an on-demand transformation failed, or returned something else than it had declared."""

    def __init__(self, view: str, message: str) -> None:
        self.view = view
        super().__init__(f"on-demand view {view!r}: {message}")


class MemoryLimitRefused(FeatureStoreError):
    """A join cannot keep to the memory limit that was asked for."""

    exit_code = USAGE


class MemoryLimitUnreadable(MemoryLimitRefused):
    """A memory limit that is no size."""

    def __init__(self, limit: object) -> None:
        self.limit = limit
        super().__init__(f"a memory limit is a number of bytes, or a size such as 1GiB or 800MB, not {limit!r}")


class MemoryLimitTooSmall(MemoryLimitRefused):
    """A memory limit below what the process uses already and what this join needs at least; both in bytes."""

    def __init__(self, limit: int, need: int) -> None:
        self.limit, self.need = limit, need
        super().__init__(
            f"a memory limit of {limit / 2**20:,.0f} MiB is too small: with what the process uses already, this join needs "
            f"at least {-(-need // 2**20)}MiB"
        )


class SpillFailed(FeatureStoreError):
    """A join cannot write its temporary files."""

    def __init__(self, folder: str, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"the join's temporary files cannot be written in {folder} ({reason}); set TMPDIR to a folder with room, or "
            "raise the memory limit"
        )


class ViewsFileError(FeatureStoreError):
    """A VIEWS.py that cannot be read: a syntax error, an error inside it, or nothing declared at module level."""

    exit_code = USAGE


class RemoteFailed(FeatureStoreError):
    """A feature server that cannot be reached, refused the key, or whose answer cannot be read."""


class KeyRefused(RemoteFailed):
    """A feature server that asks for an API key, or does not know the one that was given."""


def retry_after(text: str | None) -> int:
    """Seconds to wait, as a server says; 1 where it says none that can be read, an hour at most."""
    return min(int(text), 3_600) if text is not None and text.isascii() and text.isdigit() and len(text) < 9 else 1


def error_named(name: str, message: str, retry_after_s: int = 1) -> FeatureStoreError:
    """An error of this module as another process named it; RemoteFailed where there is none of that name."""
    kind = globals().get(name)
    if not (isinstance(kind, type) and issubclass(kind, FeatureStoreError)):
        return RemoteFailed(message)
    error = kind.__new__(kind)
    error.args = (f"{message}; give it as key=…, or in COVEY_API_KEY" if kind is KeyRefused else message,)
    if isinstance(error, Throttled | OnlineUnavailable):
        error.retry_after_s = retry_after_s
    return error


class Throttled(RemoteFailed):
    """A feature server that takes no more from this reader for a while.

    Attributes:
        retry_after_s: in how many seconds it does again.
    """

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)
