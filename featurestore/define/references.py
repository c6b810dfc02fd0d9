"""Feature references as Feast writes them: `view:feature`, or `view@v1:feature` for a pinned version."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from featurestore.errors import BadReference, UnknownFeature

from .interval import Interval
from .records import RegisteredView
from .schema import feature_fields
from .values import ServedFeature, interval_of, served_features

REFERENCE = re.compile(r"([a-z][a-z0-9_]*)(?:@v([1-9][0-9]{0,8}))?:([a-z][a-z0-9_]*)")


@dataclass(frozen=True)
class Reference:
    """A resolved reference: its feature, and its column in an answer.

    Attributes:
        view: the name of its view as the reference spells it, with `@v<n>` if it pins a version.
        interval: the rule for its `__lo` and `__hi`; None: the answer has neither.
    """

    registered: RegisteredView
    view: str
    served: ServedFeature
    column: str
    interval: Interval | None

    @property
    def fields(self) -> list[pa.Field]:
        """Its columns in an answer."""
        return feature_fields(self.served, self.column, intervals=self.interval is not None)


def resolve(
    refs: Sequence[str], find: Callable[[str, int | None], RegisteredView], *, full_names: bool, intervals: bool
) -> list[Reference]:
    """Resolve references to features, in their order.

    Args:
        find: returns a version of a view by name and number (None: the served one), or raises UnknownView or UnknownVersion.
        full_names: columns are `view__feature` instead of `feature`, and `view@v1__feature` for `view@v1:feature`.
        intervals: whether the answer has `__lo` and `__hi`.

    Raises:
        BadReference: a text is not a reference, or two references give the same column.
        UnknownView, UnknownVersion, UnknownFeature: the store does not have it.
    """
    if isinstance(refs, str):
        raise BadReference(f"references are a list; write [{refs!r}]")
    if not refs:
        raise BadReference("the request names no feature; write one as view:feature")
    found: list[Reference] = []
    for ref in refs:
        match = REFERENCE.fullmatch(ref)
        if match is None:
            raise BadReference(f"{ref!r} is not a feature reference; write view:feature, such as dest_delay:late_7d")
        name, version, feature = match.groups()
        registered = find(name, None if version is None else int(version))
        served = {one.name: one for one in served_features(registered.view)}
        if feature not in served:
            raise UnknownFeature(name, feature, list(served))
        spelled, _, _ = ref.partition(":")
        column = f"{spelled}__{feature}" if full_names else feature
        if any(other.column == column for other in found):
            raise BadReference(
                f"{ref!r} and an earlier reference give the same column {column!r}; use full names (view__feature)"
            )
        interval = interval_of(registered.view, served[feature]) if intervals else None
        found.append(Reference(registered, spelled, served[feature], column, interval))
    return found
