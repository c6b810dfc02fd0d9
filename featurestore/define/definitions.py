"""Feature views: the unit that is registered, collected, released and served. A view is immutable data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from base.plain import is_text, plain, plain_tuple
from base.times import DAY_US, parse_duration

from .entities import Entity
from .feature import DerivableFeature, PaneFeature, ViewFeature, derivation
from .filtered import Filtered
from .kinds import Rate
from .price import priced
from .privacy import Bounds, Noisers, Privacy
from .view_checks import (
    check_coverage,
    check_delays,
    check_features,
    check_fit,
    check_name,
    check_pane,
    check_privacy,
    check_retention,
    check_served_names,
    check_texts,
    check_types,
    check_windows,
)


@dataclass(frozen=True)
class Window:
    """A trailing window: its name as the view spells it (`7d`), which is the suffix of its features, and its width in panes."""

    name: str
    panes: int


@dataclass(frozen=True)
class FeatureView:
    """Features of one entity that are collected, released and served together.

    Args:
        name: `[a-z][a-z0-9_]*` without `__`.
        entity: what the features describe.
        features: at least one Count, ClientCount, Mean, Histogram or Rate, and any number of Filtered, each of a Rate here.
        pane: `5s`, `15s`, `1m`, `5m`, `15m`, `1h` or `1d`: the width of the disjoint intervals that are each opened once.
        bounds: how much one client may contribute in one UTC day.
        privacy: price, mechanism, k and δ.
        windows: trailing windows, multiples of the pane; each serves every feature but ClientCount, as
            `<feature>_<window>`.
        time: the events' time column; default: the source's.
        release_delay: the time from the end of a collection's last pane until its releases are published, with `grace`. Joins can
            use a replayed release from then on.
        grace: how long after a pane's end its late events are still accepted; at most `release_delay`.
        ttl: the age from which a row is no longer served.
        retention: the age from which rows may leave the history; None: never. Their releases stay verifiable.
        min_coverage: a window with a smaller coverage is null.
        min_site_coverage: a pane is null, and no window uses it, if its sites have a smaller share of the enrolled clients.
        owner, tags, description: texts for people.

    Raises:
        DefinitionError: the view cannot be registered; the error names the view, the feature and the mend. It is an
            ExpressionRefused if a condition is the reason.
    """

    name: str
    entity: Entity
    features: tuple[ViewFeature, ...]
    pane: str
    bounds: Bounds
    privacy: Privacy
    windows: tuple[str, ...] = ()
    time: str | None = None
    release_delay: str = "5m"
    grace: str = "0s"
    ttl: str | None = None
    retention: str | None = None
    min_coverage: float = 0.8
    min_site_coverage: float = 0.0
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""

    def __init__(
        self,
        name: str,
        *,
        entity: Entity,
        features: Iterable[ViewFeature],
        pane: str,
        bounds: Bounds,
        privacy: Privacy,
        windows: Iterable[str] = (),
        time: str | None = None,
        release_delay: str = "5m",
        grace: str = "0s",
        ttl: str | None = None,
        retention: str | None = None,
        min_coverage: float = 0.8,
        min_site_coverage: float = 0.0,
        owner: str = "",
        tags: Mapping[str, str] | None = None,
        description: str = "",
    ) -> None:
        given: dict[str, Any] = {
            "name": name,
            "entity": entity,
            "features": plain_tuple(features),
            "pane": pane,
            "bounds": bounds,
            "privacy": privacy,
            "windows": plain_tuple([windows] if isinstance(windows, str) else windows),
            "time": time,
            "release_delay": release_delay,
            "grace": grace,
            "ttl": ttl,
            "retention": retention,
            "min_coverage": min_coverage,
            "min_site_coverage": min_site_coverage,
            "owner": owner,
            "tags": _tags(tags),
            "description": description,
        }
        for attribute, value in given.items():
            object.__setattr__(self, attribute, plain(value))
        self._check()
        object.__setattr__(self, "bounds", self.bounds.within(len(self.entity.domain) * self.panes_per_day))
        object.__setattr__(self, "privacy", priced(self.name, self.privacy, self.collected, self.bounds))

    def _check(self) -> None:
        check_name(self.name)
        check_types(self.name, self.entity, self.features, self.bounds, self.privacy, self.windows)
        check_texts(self.name, self.owner, self.description, self.tags, self.time)
        check_pane(self.name, self.pane)
        check_delays(self.name, self.release_delay, self.grace, self.ttl)
        check_windows(self.name, self.pane, self.windows)
        check_retention(self.name, self.retention, self.ttl, self.features)
        check_coverage(self.name, self.min_coverage, self.min_site_coverage)
        check_privacy(self.name, self.privacy, self.features)
        check_features(self.name, self.features)
        check_served_names(self.name, self.entity.keys, self.features, self.windows)
        check_fit(self.name, self.features, self.bounds, self.privacy, self.pane)

    def __hash__(self) -> int:
        # A domain may hold a million keys, so the hash covers only some parts; equal views still have equal hashes.
        return hash((self.name, self.entity.keys, len(self.entity.domain), self.features, self.pane))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"tags": dict(self.tags)}  # a read-only mapping cannot be pickled or copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"tags": _tags(state["tags"])})

    def as_declared(self) -> FeatureView:
        """The view with its `max_cells` as declared, where a day has fewer cells: the sensitivity in earlier versions."""
        declared = copy(self)
        object.__setattr__(declared, "bounds", self.bounds.within(self.bounds.declared_cells))
        return declared

    def with_default_noisers(self, noisers: Noisers) -> FeatureView:
        """This view with a project's default of `noisers`, if it names none itself.

        Raises:
            DefinitionError: the default needs Gaussian noise, and the view has Laplace noise.
        """
        if self.privacy.noisers is not None or noisers == self.privacy.chosen_noisers:
            return self
        return replace(self, privacy=self.privacy.by_default(noisers))

    @property
    def pane_us(self) -> int:
        """Width of a pane in microseconds."""
        return parse_duration(self.pane)

    @property
    def panes_per_day(self) -> int:
        """Number of panes in a UTC day."""
        return DAY_US // self.pane_us

    @property
    def trailing(self) -> tuple[Window, ...]:
        """The windows, with their widths in panes."""
        return tuple(Window(name, parse_duration(name) // self.pane_us) for name in self.windows)

    @property
    def release_delay_us(self) -> int:
        """`release_delay` in microseconds."""
        return parse_duration(self.release_delay)

    @property
    def grace_us(self) -> int:
        """`grace` in microseconds."""
        return parse_duration(self.grace)

    @property
    def ttl_us(self) -> int | None:
        """`ttl` in microseconds, or None."""
        return None if self.ttl is None else parse_duration(self.ttl)

    @property
    def retention_us(self) -> int | None:
        """`retention` in microseconds, or None."""
        return None if self.retention is None else parse_duration(self.retention)

    def source_of(self, feature: PaneFeature) -> PaneFeature | None:
        """The feature from whose slots a derived feature is decoded; None if the feature is not derived."""
        return derivation(self.features, feature) if isinstance(feature, DerivableFeature) and feature.derive else None

    @property
    def pane_features(self) -> tuple[PaneFeature, ...]:
        """The features that are decoded from sums."""
        return tuple(feature for feature in self.features if isinstance(feature, PaneFeature))

    @property
    def collected(self) -> tuple[PaneFeature, ...]:
        """The features that have slots of their own in a report, and noise."""
        return tuple(feature for feature in self.pane_features if not feature.derive)

    @property
    def filtered(self) -> tuple[Filtered, ...]:
        """The features that filter a Rate."""
        return tuple(feature for feature in self.features if isinstance(feature, Filtered))

    def rate_of(self, filtered: Filtered) -> Rate:
        """The Rate that a Filtered of this view filters."""
        return next(one for one in self.features if isinstance(one, Rate) and one.name == filtered.rate)


def _tags(tags: object) -> object:
    """A read-only mapping in the order of its keys. `check_texts` refuses anything that is not a mapping of texts."""
    if tags is None:
        return MappingProxyType({})
    if isinstance(tags, Mapping) and all(is_text(key) for key in tags):
        return MappingProxyType({key: plain(tags[key]) for key in sorted(tags)})
    return tags
