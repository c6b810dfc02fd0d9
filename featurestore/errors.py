"""The errors of the feature store, in one tree. Each message is one line; most name the mend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from base.disk import mend_of
from base.errors import NOT_FOUND, REFUSED, USAGE, CoveyError
from base.times import utc_text

DIFFERENCING: Final = (
    "a client-day may be opened in one sum only, because the difference of two sums that share it reveals it (at 100 "
    "clients that costs an epsilon of 13.5 instead of 1)"
)


class FeatureStoreError(CoveyError):
    """The root of the feature store's errors."""


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
    """A `where` outside the closed grammar (see `featurestore.define.expressions`).

    Attributes:
        why: what is wrong with it, without the text.
        span: the characters [from, to) of `where` that it is about; None: the whole text.
    """

    exit_code = USAGE

    def __init__(self, where: str, message: str, span: tuple[int, int] | None = None) -> None:
        self.where, self.why, self.span = where, message, span
        super().__init__(f"where={where if len(where) <= 80 else where[:77] + '...'!r}: {message}")


class NotFoundError(FeatureStoreError):
    """The store does not have the requested thing."""

    exit_code = NOT_FOUND


class UnknownView(NotFoundError):
    """The store holds no view of this name; `named`: one of its feature services refers to it."""

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


class ReleaseExpired(NotFoundError):
    """A release whose sums have left the store by its view's `retention`. It stays published, with its hash and signature."""

    def __init__(self, view: str, pane_start: int) -> None:
        self.view, self.pane_start = view, pane_start
        super().__init__(
            f"view {view!r}, pane {utc_text(pane_start)}: its sums have left the store, because it is older than the view's "
            "`retention`; a backup of that time has them"
        )


class UnknownEvidence(NotFoundError):
    """The store keeps no bytes of this SHA-256."""

    def __init__(self, digest: bytes) -> None:
        self.digest = digest
        super().__init__(
            f"no evidence with SHA-256 {digest.hex()} in this store; its release was published without evidence"
        )


class BadReference(FeatureStoreError):
    """A feature reference or an entity key that cannot be read."""

    exit_code = USAGE


class UnknownKey(NotFoundError):
    """The domain of a view has no such join key."""

    def __init__(self, view: str, key: str) -> None:
        self.view, self.key = view, key
        super().__init__(f"the domain of view {view!r} has no key {key!r}")


class SeriesTooLong(FeatureStoreError):
    """A series of values over time that would take too long to read, or too much memory."""

    exit_code = USAGE

    def __init__(self, view: str, rows: int, most_rows: int, numbers: int, most_numbers: int) -> None:
        self.view, self.rows, self.most_rows = view, rows, most_rows
        self.numbers, self.most_numbers = numbers, most_numbers
        super().__init__(
            f"view {view!r}: this series has {numbers:,} values from {rows:,} stored rows; one request may have "
            f"{most_numbers:,} values from {most_rows:,} rows. Ask for a shorter time, or for fewer keys"
        )


class StoreInUse(FeatureStoreError):
    """Another process writes to this store; a store has one writer."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"the store {path} is in use by another writer; wait for it to end")


class ViewMalformed(FeatureStoreError):
    """Bytes that are not the canonical encoding of a valid feature view."""


class PublicationLate(FeatureStoreError):
    """The store was written later than the time from which its new releases count as readable; they were not published."""

    def __init__(self, late_us: int) -> None:
        self.late_us = late_us
        super().__init__(
            f"the store was written {late_us / 1e6:.1f} s too late, so nothing was published: joins would read values before they "
            "could be read. Repeat the publication when the disk is less busy"
        )


class StoreWriteFailed(FeatureStoreError):
    """A file of the store could not be written, for example on a full disk; readers keep the last complete publication.

    Attributes:
        path: the file; reason: `disk full`, or the operating system's message.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} could not be written ({reason}); readers keep the last complete publication. To publish again, first "
            f"{mend_of(reason)}"
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
    """The store already has a view of this name with another definition.

    Attributes:
        changes: each changed field, with its old and its new value.
    """

    exit_code = REFUSED

    def __init__(self, view: str, changes: Sequence[str]) -> None:
        self.view, self.changes = view, tuple(changes)
        super().__init__(f"view {view!r} has another definition in this store: {'; '.join(self.changes)}")


class UnknownVersion(NotFoundError):
    """The store has the view, but not this version of it."""

    def __init__(self, view: str, version: int, known: Sequence[int]) -> None:
        self.view, self.version, self.known = view, version, tuple(known)
        versions = ", ".join(f"{view}@v{one}" for one in known)
        super().__init__(f"no view {view}@v{version} in this store; it has: {versions}")


class ViewGivenTwice(FeatureStoreError):
    """Two definitions of one name are applied together."""

    exit_code = USAGE

    def __init__(self, view: str) -> None:
        self.view = view
        super().__init__(
            f"two views are called {view!r}; a name has one definition at a time. Rename or remove one of them"
        )


class HandOverRefused(FeatureStoreError):
    """A new collection cannot begin at this time.

    Attributes:
        start: the wanted beginning, µs; earliest: the first possible one, or None if only the time of day is wrong.
    """

    exit_code = REFUSED

    def __init__(self, view: str, start: int, earliest: int | None) -> None:
        self.view, self.start, self.earliest = view, start, earliest
        why = "a collection begins at a UTC midnight"
        if earliest is not None:
            why = f"days before {utc_text(earliest)} are opened already, and {DIFFERENCING}"
        mend = (
            "leave the time out to begin at the next one"
            if earliest is None
            else f"begin at {utc_text(earliest)} or later"
        )
        super().__init__(f"view {view!r}: a new collection cannot begin at {utc_text(start)}: {why}; {mend}")


class OverlapRefused(FeatureStoreError):
    """Two collections of a view cannot overlap for this number of days."""

    exit_code = USAGE

    def __init__(self, days: int, most: int) -> None:
        self.days, self.most = days, most
        super().__init__(f"an overlap has 0 to {most} days, not {days}; each of them is charged for both collections")


class VersionInUse(FeatureStoreError):
    """A version that cannot be deprecated."""

    exit_code = REFUSED

    def __init__(self, view: str, version: int, why: str) -> None:
        self.view, self.version, self.why = view, version, why
        super().__init__(f"version {version} of view {view!r} cannot be deprecated: {why}; apply another version first")


class FeatureInService(FeatureStoreError):
    """A change of a view removes a feature that a feature service names.

    Attributes:
        service: its name; ref: the reference that would have no feature.
    """

    exit_code = REFUSED

    def __init__(self, service: str, ref: str) -> None:
        self.service, self.ref = service, ref
        view, _, feature = ref.partition(":")
        super().__init__(
            f"feature service {service!r} names {ref}, which the changed view no longer has; change the service first, or pin it "
            f"to an older version, as {view}@v1:{feature}"
        )


class ReleaseRefused(FeatureStoreError):
    """A release does not fit its view, or its pane is published already with other content."""

    exit_code = REFUSED


class PaneNotOpen(ReleaseRefused):
    """A tombstone for a pane without a release in this store: the pane is void, or was never published."""

    def __init__(self, view: str, pane_start: int) -> None:
        self.view, self.pane_start = view, pane_start
        super().__init__(
            f"view {view!r}, pane {utc_text(pane_start)}: only a release that was published can be retracted; this pane has none"
        )


class PaneRetracted(ReleaseRefused):
    """A second tombstone for a pane."""

    def __init__(self, view: str, pane_start: int, retracted_at: int) -> None:
        self.view, self.pane_start, self.retracted_at = view, pane_start, retracted_at
        super().__init__(f"view {view!r}, pane {utc_text(pane_start)}: retracted already, at {utc_text(retracted_at)}")


class BadRequest(FeatureStoreError):
    """A request to the feature server that cannot be read; names the field."""


class RequestTooLarge(BadRequest):
    """A request of more bytes, rows or numbers than the feature server answers at once."""


class NameCollision(BadReference):
    """Two columns of an answer have the same name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"the answer would have two columns named {name!r}; request each feature once, and use full names "
            "(view__feature) where two views have a feature of the same name"
        )


class UnknownFeatureService(NotFoundError):
    """The store has no feature service of this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.name, self.known = name, known
        super().__init__(f"no feature service {name!r} in this store; it has: {', '.join(known) or 'none'}")


class AddressUnavailable(FeatureStoreError):
    """The feature server cannot listen on its configured address."""


class ServerExposed(FeatureStoreError):
    """A feature server on an address off this machine, without TLS or without authentication of its readers.

    Attributes:
        lacks: `TLS`, `authentication of readers`, or both.
    """

    exit_code = USAGE

    def __init__(self, address: str, lacks: tuple[str, ...], directory: str) -> None:
        self.address, self.lacks, self.directory = address, lacks, directory
        super().__init__(
            f"{address} is not a loopback address, and the server has no {' and no '.join(lacks)}: others on the network could "
            "read and change answers"
        )


class ConsumerInvalid(FeatureStoreError):
    """A consumer's name or limit is invalid."""

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
    """The file of consumers is invalid, so the server accepts no key."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class WorkersFailing(FeatureStoreError):
    """The workers of the feature server fail again and again."""


class SettingsInvalid(FeatureStoreError):
    """The `[online]` table of a store's covey.toml cannot be used."""

    exit_code = USAGE


class OnlineUnavailable(FeatureStoreError):
    """The online store is unreachable, or does not hold the rows of the requested epoch.

    Attributes:
        retry_after_s: how many seconds to wait before a retry.
    """

    retry_after_s = 1

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class NoEpoch(OnlineUnavailable):
    """No epoch of a store can be read yet."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"the store has no readable epoch yet ({problem})")


class UnknownModel(NotFoundError):
    """The store has no model of this name, or not this version of it."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.name, self.known = name, known
        super().__init__(f"no model {name[:80]!r} in this store; it has: {', '.join(known) or 'none'}")


class PromotionInvalid(FeatureStoreError):
    """Versions or weights that cannot be put in force."""

    exit_code = USAGE

    def __init__(self, model: str, message: str) -> None:
        self.model = model
        super().__init__(f"model {model[:80]!r}: {message}")


class NothingToRollBack(FeatureStoreError):
    """No other version of a model was in force before."""

    exit_code = REFUSED

    def __init__(self, model: str, in_force: str) -> None:
        self.model, self.in_force = model, in_force
        super().__init__(
            f"model {model!r}: {in_force} is in force, and no other version that still exists was in force before; promote one by "
            "its number"
        )


class ModelChanged(FeatureStoreError):
    """Somebody else has promoted, registered or deleted a version since the caller looked."""

    exit_code = REFUSED

    def __init__(self, model: str, in_force: str) -> None:
        self.model, self.in_force = model, in_force
        super().__init__(
            f"model {model!r} was changed since it was shown, so nothing was done: {in_force} is in force now; look again, and "
            "decide anew"
        )


class ModelInUse(FeatureStoreError):
    """A version that cannot be deleted, because it answers requests."""

    exit_code = REFUSED

    def __init__(self, model: str, version: int, *, is_pinned: bool) -> None:
        self.model, self.version, self.is_pinned = model, version, is_pinned
        why = "it is in force" if is_pinned else "it is in force as the newest version"
        super().__init__(f"v{version} of model {model!r} cannot be deleted: {why}; promote another version first")


class ModelInvalid(FeatureStoreError):
    """A model that cannot be registered: its name, or the names of its files."""

    exit_code = USAGE


class ServiceInvalid(FeatureStoreError):
    """A feature service is invalid, or the store does not have its references."""

    exit_code = USAGE

    def __init__(self, service: str, message: str) -> None:
        self.service = service
        super().__init__(f"feature service {service[:80]!r}: {message}")


class OnDemandInvalid(FeatureStoreError):
    """The declaration of an on-demand view is invalid."""

    exit_code = USAGE

    def __init__(self, view: str, message: str) -> None:
        self.view = view
        super().__init__(f"on-demand view {view[:80]!r}: {message}")


class OnDemandFailed(FeatureStoreError):
    """The function of an on-demand view failed, or its result does not match its declaration."""

    def __init__(self, view: str, message: str) -> None:
        self.view = view
        super().__init__(f"on-demand view {view!r}: {message}")


class MemoryLimitRefused(FeatureStoreError):
    """A join cannot keep to its memory limit."""

    exit_code = USAGE


class MemoryLimitUnreadable(MemoryLimitRefused):
    """A memory limit is not a size."""

    def __init__(self, limit: object) -> None:
        self.limit = limit
        super().__init__(f"a memory limit is a number of bytes, or a size such as 1GiB or 800MB, not {limit!r}")


class MemoryLimitTooSmall(MemoryLimitRefused):
    """A memory limit is below what the process uses already plus the least that this join needs. Sizes are in bytes."""

    def __init__(self, limit: int, need: int) -> None:
        self.limit, self.need = limit, need
        super().__init__(
            f"a memory limit of {limit / 2**20:,.0f} MiB is too small: this join and the memory that the process uses already "
            f"need at least {-(-need // 2**20)}MiB"
        )


class SpillFailed(FeatureStoreError):
    """A join cannot write its temporary files."""

    def __init__(self, folder: str, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"the join's temporary files cannot be written in {folder} ({reason}); {mend_of(reason)}, set TMPDIR to "
            "another folder, or raise the memory limit"
        )


class ViewsFileError(FeatureStoreError):
    """A views file cannot be read: a syntax error, an error while it runs, or no view at module level."""

    exit_code = USAGE


class RemoteFailed(FeatureStoreError):
    """A feature server is unreachable, refuses the key, or sends an unreadable answer."""


class KeyRefused(RemoteFailed):
    """A feature server requires an API key, or does not accept the one it received."""


class ServerSpeaksTls(RemoteFailed):
    """A feature server that expects TLS, called in clear text."""

    def __init__(self, server: str) -> None:
        self.server = server
        super().__init__(f"{server} expects TLS; write https:// or grpcs://")


class ServerSpeaksClearText(RemoteFailed):
    """A feature server without TLS, called with TLS."""

    def __init__(self, server: str) -> None:
        self.server = server
        super().__init__(
            f"{server} speaks without TLS, so its answers could be changed on the way; its operator starts it with TLS"
        )


class ReaderCertificateRefused(RemoteFailed):
    """A feature server that demands a certificate, and does not accept the reader's."""

    def __init__(self, server: str, reader: str, why: str) -> None:
        self.server, self.reader, self.why = server, reader, why
        super().__init__(
            f"{server} refuses {reader}: {why}; a reader names its files in COVEY_TLS_CERTIFICATE and COVEY_TLS_KEY"
        )


def retry_after(text: str | None) -> int:
    """Seconds to wait, from a `Retry-After` header: an hour at most, and 1 if the header is missing or unreadable."""
    return min(int(text), 3_600) if text is not None and text.isascii() and text.isdigit() and len(text) < 9 else 1


def error_named(name: str, message: str, retry_after_s: int = 1) -> FeatureStoreError:
    """The error of this module with a name that another process sent; RemoteFailed if no error has this name."""
    kind = globals().get(name)
    if not (isinstance(kind, type) and issubclass(kind, FeatureStoreError)):
        return RemoteFailed(message)
    error = kind.__new__(kind)
    error.args = (f"{message}; give it as key=…, or in COVEY_API_KEY" if kind is KeyRefused else message,)
    if isinstance(error, Throttled | OnlineUnavailable):
        error.retry_after_s = retry_after_s
    return error


class Throttled(RemoteFailed):
    """A feature server refuses this reader's requests for a while.

    Attributes:
        retry_after_s: how many seconds to wait before a retry.
    """

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)
