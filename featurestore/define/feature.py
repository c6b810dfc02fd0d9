"""The interfaces of a feature, and the registered kinds of features.

One class in one file declares a kind: what an event adds to a report (its encoding), how the feature is served and decoded,
and how its definition is spelled. The layout, the site's SQL, the proof and the store follow from that class. `register` adds
a kind, and an installation can register kinds of its own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar, Final, Self, TypeVar

from base.plain import is_text

from .decoded import Decoded, OpenedSlots, Serving
from .encoding import Encoding
from .interval import IntervalShape

Weight = int | float | Fraction
Setting = str | float | bool | tuple[float, ...]
"""A value in a feature's definition."""

MAX_WEIGHT_DIGITS: Final = 1_000
"""The largest number of decimal digits of a weight's numerator and denominator. Every float64 needs fewer."""


class ViewFeature(ABC):
    """A feature as a view declares it: plain, frozen data.

    Attributes:
        kind: the name of its class, for messages.
        spelling: the kind's name in the canonical bytes of a view; it never changes.
        name: the name of its column, or the beginning of the names of its columns.
    """

    kind: ClassVar[str]
    spelling: ClassVar[str]
    name: str
    description: str

    @abstractmethod
    def problem(self) -> str | None:
        """The problem of this feature alone, with the mend; None if it is valid."""

    @abstractmethod
    def served_names(self, windows: Sequence[str]) -> tuple[str, ...]:
        """The columns that the feature has in a view with these windows, without companions."""

    @abstractmethod
    def settings(self) -> Mapping[str, Setting]:
        """The values of its definition by name, except name, weight and description. Call it only if `problem` is None."""

    def cell_labels(self, width: int) -> tuple[str, ...]:
        """What people call each of the `width` cells of its values, if these are lists."""
        return tuple(f"cell {number}" for number in range(1, width + 1))

    def spelled_settings(self) -> Mapping[str, object]:
        """The settings as VIEWS.py spells them, with their defaults."""
        return self.settings()

    @classmethod
    @abstractmethod
    def of(cls, settings: Mapping[str, Any], **common: Any) -> Self:
        """The feature with these settings, the inverse of `settings`.

        Args:
            settings: from another party, so they may be missing or have other types.
            common: name and description, and for a pane feature the weight.

        Raises:
            KeyError, TypeError, ValueError: the settings are not those of this kind.
        """


class PaneFeature(ViewFeature):
    """A feature that is decoded from the sums of a pane or a window: from slots of its own, or from another feature's.

    Attributes:
        weight: its share of the view's price, in proportion to the other weights.
        counts_clients: whether it counts distinct clients of a pane. Such counts of several panes do not add up, so the
            feature has no windows.
        is_share: whether its values are shares of events for which a condition is true.
    """

    counts_clients: ClassVar[bool] = False
    is_share: ClassVar[bool] = False
    weight: Weight

    @property
    def derive(self) -> bool:
        """Whether it is decoded from another feature's slots, at no cost."""
        return False

    @property
    @abstractmethod
    def encoding(self) -> Encoding:
        """What a client adds to its slots. Call it only if `problem` is None."""

    @property
    @abstractmethod
    def serving(self) -> Serving:
        """The shape of its values, and the interval that clamping limits them to."""

    @abstractmethod
    def decode(self, opened: OpenedSlots) -> Decoded:
        """Decode the opened sums of its own slots, without clamping."""

    @abstractmethod
    def interval(self, variances: Sequence[float]) -> IntervalShape:
        """The shape of its 95 % intervals, if it is decoded from its own slots.

        Args:
            variances: the variance of one noise in a slot of each of its groups.
        """

    def served_names(self, windows: Sequence[str]) -> tuple[str, ...]:
        """Its name, and `<name>_<window>` for each window."""
        return (self.name, *(f"{self.name}_{window}" for window in (() if self.counts_clients else windows)))


class DerivableFeature(PaneFeature):
    """A pane feature that can also be decoded from the slots of another feature.

    Attributes:
        needs: the feature that a view must have for that, for messages.
    """

    needs: ClassVar[str]

    @abstractmethod
    def turned(self) -> Self:
        """The same feature with `derive` the other way: a derived one gets slots of its own, another one becomes derived."""

    @abstractmethod
    def reads(self, other: PaneFeature) -> bool:
        """Whether it can be decoded from the slots of the other feature."""

    @abstractmethod
    def decode_from(self, other: PaneFeature, opened: OpenedSlots) -> Decoded:
        """Decode the opened sums of the other feature's slots. The feature must be one that it `reads`."""

    @abstractmethod
    def interval_from(self, other: PaneFeature, variances: Sequence[float]) -> IntervalShape:
        """As `interval`, if it is decoded from the other feature's slots, with the variances of the other feature's groups."""


def derivation(features: tuple[ViewFeature, ...], feature: DerivableFeature) -> PaneFeature | None:
    """The first of a view's features from which this one could be decoded, whether or not `derive=True` asks for it."""
    others = (other for other in features if isinstance(other, PaneFeature) and not other.derive)
    return next((other for other in others if feature.reads(other)), None)


KINDS: Final[dict[str, type[ViewFeature]]] = {}
"""The registered kinds, by spelling."""

Kind = TypeVar("Kind", bound=type[ViewFeature])


def register(kind: Kind) -> Kind:
    """Register a kind, so that views with it can be read from bytes. A class decorator.

    Raises:
        ValueError: another kind has this spelling.
    """
    if KINDS.setdefault(kind.spelling, kind) is not kind:
        raise ValueError(
            f"the spelling {kind.spelling!r} belongs to {KINDS[kind.spelling].__qualname__}; choose another"
        )
    return kind


def column_problem(column: object) -> str | None:
    """The problem of a column's name, with the mend; None if it is valid."""
    if is_text(column) and column:
        return None
    return f"`column` must be the name of a column, in valid Unicode, got {column!r}"


def flag_problem(**flags: object) -> str | None:
    """The problem of the first flag that is not a bool; None if all of them are."""
    for name, flag in flags.items():
        if type(flag) is not bool:
            return f"`{name}` must be True or False, got {flag!r}"
    return None


def weight_problem(weight: object) -> str | None:
    """The problem of a weight, with the mend; None if it is valid."""
    if isinstance(weight, bool) or not isinstance(weight, int | float | Fraction):
        return f"`weight` must be a number, got {weight!r}"
    if not weight > 0 or (isinstance(weight, float) and not math.isfinite(weight)):
        return f"`weight` must be above 0 and finite, got {weight}"
    if max(Fraction(weight).as_integer_ratio()) >= 10**MAX_WEIGHT_DIGITS:
        return f"`weight` has over {MAX_WEIGHT_DIGITS:,} digits; only the proportions of weights count, so divide all of them"
    return None


def is_finite(x: object) -> bool:
    """Whether this is a finite number that fits into float64."""
    try:
        return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)
    except OverflowError:
        return False
