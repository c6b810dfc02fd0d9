"""What a feature is to everything that handles it: an interface for each way of being a feature, and the known kinds.

A kind is declared once, in one class in one file: what an event adds (an encoding), how it is served, how it is decoded, and
how its definition is spelled. `register` makes a kind known, also one that an installation brings itself: the layout, the
site's SQL, the proof and the store follow from what the class says.
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

Weight = int | float | Fraction
Setting = str | float | bool | tuple[float, ...]
"""A value of a definition as it is spelled."""

MAX_WEIGHT_DIGITS: Final = 1_000
"""Decimal digits of a weight's numerator and denominator: those of any float64 fit."""


class ViewFeature(ABC):
    """A feature as a view declares it: plain, frozen data.

    Attributes:
        kind: what people call it: the name of its class.
        spelling: its name in the canonical bytes of a view; stable.
        name: what it is served as, or what its served names begin with.
    """

    kind: ClassVar[str]
    spelling: ClassVar[str]
    name: str
    description: str

    @abstractmethod
    def problem(self) -> str | None:
        """What is wrong with it taken alone, with the mend; None if nothing is."""

    @abstractmethod
    def served_names(self, windows: Sequence[str]) -> tuple[str, ...]:
        """The columns that it serves in a view with these windows, without companions."""

    @abstractmethod
    def settings(self) -> Mapping[str, Setting]:
        """All that its definition says beside name, weight and description, by name; only after `problem` found nothing."""

    @classmethod
    @abstractmethod
    def of(cls, settings: Mapping[str, Any], **common: Any) -> Self:
        """The feature with these settings; `common` is name and description, and of a pane feature the weight.

        The settings come from outside; those of a kind of this installation have the types that `settings` gives.

        Raises:
            KeyError, TypeError, ValueError: they are not what `settings` gives.
        """


class PaneFeature(ViewFeature):
    """A feature that is read off the sums of a pane, or of a window: from slots of its own, or from those of another one.

    Attributes:
        weight: its share of the view's price, in proportion.
        counts_clients: whether it counts distinct clients of a pane. Panes do not add up to those: it has no windows.
    """

    counts_clients: ClassVar[bool] = False
    weight: Weight

    @property
    def derive(self) -> bool:
        """Whether it is read off another feature's slots, at no cost."""
        return False

    @property
    @abstractmethod
    def encoding(self) -> Encoding:
        """What a client adds to its slots; only after `problem` found nothing."""

    @property
    @abstractmethod
    def serving(self) -> Serving:
        """How it is served."""

    @abstractmethod
    def decode(self, opened: OpenedSlots) -> Decoded:
        """Read it off opened sums of its own slots. Nothing is clamped."""

    def served_names(self, windows: Sequence[str]) -> tuple[str, ...]:
        """Its name for the pane, and one for each window."""
        return (self.name, *(f"{self.name}_{window}" for window in (() if self.counts_clients else windows)))


class DerivableFeature(PaneFeature):
    """A pane feature that can be read off the slots of another one as well.

    Attributes:
        needs: what a view must hold for that.
    """

    needs: ClassVar[str]

    @abstractmethod
    def turned(self) -> Self:
        """The same feature the other way: derived if it is not, with slots of its own if it is."""

    @abstractmethod
    def reads(self, other: PaneFeature) -> bool:
        """Whether it can be read off the slots of this one."""

    @abstractmethod
    def decode_from(self, other: PaneFeature, opened: OpenedSlots) -> Decoded:
        """Read it off opened sums of the slots of another feature, one that it `reads`."""


KINDS: Final[dict[str, type[ViewFeature]]] = {}
"""The known kinds, by spelling."""

Kind = TypeVar("Kind", bound=type[ViewFeature])


def register(kind: Kind) -> Kind:
    """Make a kind known, so that a view with it can be read from bytes. A class decorator.

    Raises:
        ValueError: another kind is spelled so.
    """
    if KINDS.setdefault(kind.spelling, kind) is not kind:
        raise ValueError(
            f"the spelling {kind.spelling!r} belongs to {KINDS[kind.spelling].__qualname__}; choose another"
        )
    return kind


def column_problem(column: object) -> str | None:
    """What is wrong with the name of a column."""
    if is_text(column) and column:
        return None
    return f"`column` must be the name of a column, in valid Unicode, got {column!r}"


def flag_problem(**flags: object) -> str | None:
    """What is wrong with flags."""
    for name, flag in flags.items():
        if type(flag) is not bool:
            return f"`{name}` must be True or False, got {flag!r}"
    return None


def weight_problem(weight: object) -> str | None:
    """What is wrong with a weight."""
    if isinstance(weight, bool) or not isinstance(weight, int | float | Fraction):
        return f"`weight` must be a number, got {weight!r}"
    if not weight > 0 or (isinstance(weight, float) and not math.isfinite(weight)):
        return f"`weight` must be above 0 and finite, got {weight}"
    if max(Fraction(weight).as_integer_ratio()) >= 10**MAX_WEIGHT_DIGITS:
        return f"`weight` has over {MAX_WEIGHT_DIGITS:,} digits; only the weights' proportions count: divide them all"
    return None


def is_finite(x: object) -> bool:
    """Whether this is a number that float64 can hold."""
    try:
        return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)
    except OverflowError:
        return False
