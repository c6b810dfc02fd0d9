"""What a change of a view's definition means: which fields changed, and whether the sums that are collected stay the same.

annotations   texts, owner, tags, ttl, retention, release delay and grace: the version keeps its number
recomputed    windows, derived and filtered features, names, suppression and coverage: the next version, from the same panes
collected     entity, pane, time, features with sums of their own, bounds and privacy: the next version, with panes of its own

The largest effect of a field decides about the view. Every field of a view, of its parts and of every kind of feature has an
effect here; a test walks them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import Final

from .definitions import FeatureView
from .entities import Entity
from .feature import PaneFeature, ViewFeature
from .kinds.mean import Clip


class Effect(IntEnum):
    """What a change of one field leads to, the smallest effect first."""

    ANNOTATED = 1
    RECOMPUTED = 2
    COLLECTED = 3


@dataclass(frozen=True)
class FieldChange:
    """One changed field of a view, as VIEWS.py spells it.

    Attributes:
        field: its path, such as `windows` or `features.arr_delay_mean.clip`.
        old, new: its values as text; empty where there is none, such as that of a feature that is added.
    """

    field: str
    old: str
    new: str
    effect: Effect

    def __str__(self) -> str:
        if not self.old or not self.new:
            return f"{self.field}: {f'added {self.new}' if self.new else f'removed {self.old}'}"
        return f"{self.field}: {self.old} → {self.new}"


@dataclass(frozen=True)
class Unchanged:
    """The definitions are equal."""

    changes: tuple[FieldChange, ...] = ()


@dataclass(frozen=True)
class Annotated:
    """Only annotations differ: the version keeps its number, and nothing is computed."""

    changes: tuple[FieldChange, ...]


@dataclass(frozen=True)
class Recomputed:
    """The next version, from the sums that are collected already: nothing is collected, and nothing is charged."""

    changes: tuple[FieldChange, ...]


@dataclass(frozen=True)
class NewCollection:
    """The next version, with sums of its own from a UTC midnight on."""

    changes: tuple[FieldChange, ...]


ViewChange = Unchanged | Annotated | Recomputed | NewCollection

VIEW_FIELDS: Final[Mapping[str, Effect]] = {
    "pane": Effect.COLLECTED,
    "time": Effect.COLLECTED,
    "windows": Effect.RECOMPUTED,
    "min_coverage": Effect.RECOMPUTED,
    "min_site_coverage": Effect.RECOMPUTED,
    "release_delay": Effect.ANNOTATED,
    "grace": Effect.ANNOTATED,
    "ttl": Effect.ANNOTATED,
    "retention": Effect.ANNOTATED,
    "owner": Effect.ANNOTATED,
    "description": Effect.ANNOTATED,
}
"""The plain fields of a view. `name` does not change; the others are compared part by part."""

ENTITY_FIELDS: Final[Mapping[str, Effect]] = dict.fromkeys(("keys", "columns", "types", "constant"), Effect.COLLECTED)
BOUNDS_FIELDS: Final[Mapping[str, Effect]] = dict.fromkeys(("max_cells", "max_events_per_cell"), Effect.COLLECTED)
PRIVACY_FIELDS: Final[Mapping[str, Effect]] = {
    "micro_rho": Effect.COLLECTED,
    "micro_epsilon": Effect.COLLECTED,
    "delta": Effect.COLLECTED,
    "min_clients": Effect.COLLECTED,
    "mechanism": Effect.COLLECTED,
    "chosen_noisers": Effect.COLLECTED,
    "suppress_below": Effect.RECOMPUTED,
}
_MILLIONTHS: Final = ("micro_rho", "micro_epsilon")
_SPELLED: Final = {"micro_rho": "rho", "micro_epsilon": "epsilon", "chosen_noisers": "noisers"}
"""Fields of a view's privacy that VIEWS.py spells otherwise."""

_EXAMPLES: Final = 3
"""How many keys of a domain a change names."""


def compare(old: FeatureView, new: FeatureView) -> ViewChange:
    """The change from one definition of a view to another one of the same name.

    Raises:
        ValueError: the views have different names.
    """
    if old.name != new.name:
        raise ValueError(f"{old.name!r} and {new.name!r} are two views")
    changes = tuple(_changes(old, new))
    match max((one.effect for one in changes), default=None):
        case None:
            return Unchanged()
        case Effect.ANNOTATED:
            return Annotated(changes)
        case Effect.RECOMPUTED:
            return Recomputed(changes)
        case _:
            return NewCollection(changes)


def _changes(old: FeatureView, new: FeatureView) -> Iterator[FieldChange]:
    yield from _entity(old.entity, new.entity)
    yield from _features(old, new)
    yield from _fields("", old, new, VIEW_FIELDS)
    yield from _fields("bounds.", old.bounds, new.bounds, BOUNDS_FIELDS)
    yield from _fields("privacy.", old.privacy, new.privacy, PRIVACY_FIELDS)
    yield from _tags(old.tags, new.tags)


def _fields(path: str, old: object, new: object, effects: Mapping[str, Effect]) -> Iterator[FieldChange]:
    for name, effect in effects.items():
        before, after = getattr(old, name), getattr(new, name)
        if name in _MILLIONTHS:
            before, after = (Fraction(one, 10**6) if one else None for one in (before, after))
        yield from _change(path + _SPELLED.get(name, name), before, after, effect)


def _change(field: str, old: object, new: object, effect: Effect) -> Iterator[FieldChange]:
    if old != new:
        yield FieldChange(field, _text(old), _text(new), effect)


def _entity(old: Entity, new: Entity) -> Iterator[FieldChange]:
    yield from _fields("entity.", old, new, ENTITY_FIELDS)
    if old.domain != new.domain:
        before, after = set(old.domain), set(new.domain)
        parts = [
            f"{len(new.domain):,} keys",
            *_some("added", [key for key in new.domain if key not in before]),
            *_some("removed", [key for key in old.domain if key not in after]),
        ]
        yield FieldChange("entity.domain", f"{len(old.domain):,}", ", ".join(parts), Effect.COLLECTED)


def _some(what: str, keys: Sequence[tuple[object, ...]]) -> Iterator[str]:
    if keys:
        named = " ".join(_text(key[0] if len(key) == 1 else key) for key in keys[:_EXAMPLES])
        more = f" and {len(keys) - _EXAMPLES:,} more" if len(keys) > _EXAMPLES else ""
        yield f"{what} {named}{more}"


def _tags(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[FieldChange]:
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            before, after = ("" if text is None else _text(text) for text in (old.get(key), new.get(key)))
            yield FieldChange(f"tags.{key}", before, after, Effect.ANNOTATED)


def _features(old: FeatureView, new: FeatureView) -> Iterator[FieldChange]:
    pairs, gone, added = _paired(old.features, new.features)
    for feature in gone:
        yield FieldChange(_path(feature), feature.kind, "", _effect(feature))
    for feature in added:
        yield FieldChange(_path(feature), "", feature.kind, _effect(feature))
    shares = _shares(old), _shares(new)
    for before, after in pairs:
        same_share = shares[0].get(before.name) == shares[1].get(after.name)
        yield from _feature(before, after, same_share=same_share)
    places = [old.features.index(before) for before, _ in pairs]
    if places != sorted(places):
        before_names = " ".join(old.features[place].name for place in sorted(places))
        after_names = " ".join(after.name for _, after in pairs)
        yield FieldChange("features", f"in the order {before_names}", after_names, Effect.RECOMPUTED)


def _paired(
    old: Sequence[ViewFeature], new: Sequence[ViewFeature]
) -> tuple[list[tuple[ViewFeature, ViewFeature]], list[ViewFeature], list[ViewFeature]]:
    """The features of both views in the order of the new one, those that are gone, and those that are added.

    A feature whose name is gone is the same as an added one that differs from it in its name and texts only.
    """
    names = {_path(feature) for feature in new}
    gone = [feature for feature in old if _path(feature) not in names]
    by_name = {_path(feature): feature for feature in old}
    pairs, added = [], []
    for feature in new:
        before = by_name.get(_path(feature)) or next((one for one in gone if _is_renamed(one, feature)), None)
        if before is None:
            added.append(feature)
            continue
        if before in gone:
            gone.remove(before)
        pairs.append((before, feature))
    return pairs, gone, added


def _path(feature: ViewFeature) -> str:
    """The feature in the path of a field. A Filtered may have the name of its Rate."""
    return (
        f"features.{feature.name}" if isinstance(feature, PaneFeature) else f"features.{feature.name}({feature.kind})"
    )


def _is_renamed(old: ViewFeature, new: ViewFeature) -> bool:
    return type(old) is type(new) and old.settings() == new.settings() and _weight(old) == _weight(new)


def _feature(old: ViewFeature, new: ViewFeature, *, same_share: bool) -> Iterator[FieldChange]:
    path = _path(old)
    effect = max(_effect(old), _effect(new))
    yield from _change(f"{path}.name", old.name, new.name, Effect.RECOMPUTED)
    yield from _change(f"{path}.description", old.description, new.description, Effect.ANNOTATED)
    if type(old) is not type(new):
        yield FieldChange(path, old.kind, new.kind, effect)
        return
    before, after = old.spelled_settings(), new.spelled_settings()
    for name in after:
        yield from _change(f"{path}.{name}", before[name], after[name], effect)
    yield from _change(f"{path}.weight", _weight(old), _weight(new), Effect.RECOMPUTED if same_share else effect)


def _effect(feature: ViewFeature) -> Effect:
    """The effect of a feature that is added, removed or set otherwise."""
    return Effect.COLLECTED if isinstance(feature, PaneFeature) and not feature.derive else Effect.RECOMPUTED


def _shares(view: FeatureView) -> Mapping[str, Fraction]:
    """The share of the view's price that each feature with sums of its own gets."""
    total = sum((Fraction(feature.weight) for feature in view.collected), Fraction(0))
    return {feature.name: Fraction(feature.weight) / total for feature in view.collected}


def _weight(feature: ViewFeature) -> Fraction | None:
    return Fraction(feature.weight) if isinstance(feature, PaneFeature) else None


def _text(value: object) -> str:
    """A value as VIEWS.py spells it."""
    match value:
        case str():
            return repr(str(value))
        case Clip():
            return f"({value.low!r}, {value.high!r})"
        case tuple():
            return f"[{', '.join(map(_text, value))}]"
        case Fraction():
            return str(value) if value.denominator == 1 or Fraction(repr(float(value))) != value else repr(float(value))
        case _:
            return str(value)
