"""Feature views: the unit that is registered, collected, released and served. A view is immutable data."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from base.plain import is_text, make_plain, plain, plain_tuple
from base.times import DAY_US, PANES, parse_duration
from featurestore.errors import DefinitionError, ExpressionError, ExpressionRefused

from .entities import Entity
from .epsilon import largest_micro_rho
from .expressions import Compare, parse
from .features import ClientCount, Count, Feature, Histogram, Mean, PaneFeature, Rate, problem
from .filtered import Filtered, season_problem

RESERVED_COLUMNS: Final = frozenset(
    {"pane_start", "pane_end", "released_at", "published_at", "clock", "view_version", "release_id", "seq", "slots"}
)
"""Columns of every row of the store; no feature and no join key may be called so, nor `coverage_…`."""

Mechanism = Literal["gaussian", "laplace"]
"""Discrete Gaussian noise, priced in ρ (zCDP), or discrete Laplace noise, priced in ε (pure DP)."""
MECHANISMS: Final[tuple[Mechanism, ...]] = get_args(Mechanism)

MAX_MICRO_RHO: Final = 1_000 * 10**6
MAX_MICRO_EPSILON: Final = 1_000 * 10**6
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Bounds:
    """What one client may add in one UTC day, the privacy unit: cells (join key, pane), and events in each of them."""

    max_cells: int
    max_events_per_cell: int = 1

    def __post_init__(self) -> None:
        make_plain(self, "max_cells", "max_events_per_cell")


@dataclass(frozen=True)
class Privacy:
    """The price and the protection of a view. Two are equal if they hold the same, however it was written.

    The price is that of a whole client-day, whatever the pane: give `rho` or `epsilon`, exactly one.

    Args:
        rho: zCDP, for Gaussian noise; held as whole micro-ρ, rounded down.
        epsilon: with Laplace noise, pure ε; held as whole micro-ε, rounded down. With Gaussian noise, ε at `delta`: the
            view gets the largest whole micro-ρ whose ε is not above it.
        delta: the δ at which ε is told to people; below 1/min_clients.
        min_clients: k, the fewest reports of a pane that is opened.
        suppress_below: pane features of a key are withheld where its noised ClientCount is below this.
        mechanism: `gaussian`, or `laplace` for pure DP: no δ, but far more noise where a view has many groups.

    Attributes:
        micro_rho: ρ of a Gaussian view in millionths: what its groups share. 0 of a Laplace view, and where the price is
            none that a view takes.
        micro_epsilon: the same of a Laplace view, ε in millionths.
    """

    rho: float | Fraction | None = field(default=None, compare=False)
    _: KW_ONLY
    epsilon: float | Fraction | None = field(default=None, compare=False)
    delta: float = 1e-6
    min_clients: int = 50
    suppress_below: int | None = None
    mechanism: Mechanism = "gaussian"
    micro_rho: int = field(init=False, repr=False)
    micro_epsilon: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        make_plain(self, "rho", "epsilon", "delta", "min_clients", "suppress_below", "mechanism")
        laplace = self.mechanism == "laplace"
        object.__setattr__(self, "micro_rho", 0 if laplace else self._micro_rho())
        object.__setattr__(self, "micro_epsilon", _micro(self.epsilon) if laplace and self.rho is None else 0)

    def _micro_rho(self) -> int:
        if self.epsilon is None:
            return _micro(self.rho)
        epsilon = _exact(self.epsilon)
        if self.rho is not None or epsilon is None or epsilon <= 0 or not _is_delta(self.delta):
            return 0
        return largest_micro_rho(epsilon, self.delta, MAX_MICRO_RHO + 1)


def _exact(price: object) -> Fraction | None:
    """A number as a fraction, a float taken as its decimal text; None if it is no finite number."""
    if isinstance(price, bool) or not isinstance(price, int | float | Fraction):
        return None
    if isinstance(price, float):
        return Fraction(repr(price)) if math.isfinite(price) else None
    return Fraction(price)


def _micro(price: object) -> int:
    """Whole millionths of a number, rounded down (0.29 is 290,000); 0 if it is no finite number."""
    exact = _exact(price)
    return 0 if exact is None else math.floor(exact * 10**6)


def _is_delta(delta: object) -> bool:
    return isinstance(delta, float) and 0 < delta < 1


@dataclass(frozen=True)
class Window:
    """A trailing window: as spelled (`7d`, it becomes the suffix) and its width in panes."""

    name: str
    panes: int


@dataclass(frozen=True)
class FeatureView:
    """Features of one entity that are collected, released and served together.

    Args:
        name: `[a-z][a-z0-9_]*` without `__`.
        entity: what the features describe.
        features: at least one of Count, ClientCount, Mean, Histogram, Rate; and any Filtered of its Rates.
        pane: `1m 5m 15m 1h 1d`: the disjoint intervals that are each opened once.
        bounds: what one client may add in one UTC day.
        privacy: price, mechanism, k and δ.
        windows: trailing windows, multiples of the pane; each serves every feature but ClientCount, as
            `<feature>_<window>`.
        time: the events' time column; default: the source's.
        release_delay: from a pane's end to the moment its release is available to joins (replay).
        grace: how long after a pane's end its late events are still taken; at most `release_delay`.
        ttl: a row older than this is not served.
        min_coverage: a window with a smaller share of opened panes is null.
        owner, tags, description: texts for people.

    Raises:
        DefinitionError: names the view, the feature and the mend.
    """

    name: str
    entity: Entity
    features: tuple[Feature, ...]
    pane: str
    bounds: Bounds
    privacy: Privacy
    windows: tuple[str, ...] = ()
    time: str | None = None
    release_delay: str = "5m"
    grace: str = "0s"
    ttl: str | None = None
    min_coverage: float = 0.8
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""

    def __init__(
        self,
        name: str,
        *,
        entity: Entity,
        features: Iterable[Feature],
        pane: str,
        bounds: Bounds,
        privacy: Privacy,
        windows: Iterable[str] = (),
        time: str | None = None,
        release_delay: str = "5m",
        grace: str = "0s",
        ttl: str | None = None,
        min_coverage: float = 0.8,
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
            "min_coverage": min_coverage,
            "owner": owner,
            "tags": _tags(tags),
            "description": description,
        }
        for attribute, value in given.items():
            object.__setattr__(self, attribute, plain(value))
        _check(self)

    def __hash__(self) -> int:
        # Equal views have equal parts, so some of them do; a domain may hold a million keys.
        return hash((self.name, self.entity.keys, len(self.entity.domain), self.features, self.pane))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"tags": dict(self.tags)}  # a read-only mapping cannot be pickled or copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"tags": _tags(state["tags"])})

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

    def source_of(self, feature: Feature) -> Histogram | None:
        """The histogram that a derived feature is read off; None if the feature is not derived."""
        return derivation(self, feature) if feature.derive else None

    @property
    def pane_features(self) -> tuple[PaneFeature, ...]:
        """The features among them that are read off sums."""
        return tuple(feature for feature in self.features if not isinstance(feature, Filtered))

    @property
    def filtered(self) -> tuple[Filtered, ...]:
        """The features among them that are filtered from Rates."""
        return tuple(feature for feature in self.features if isinstance(feature, Filtered))

    def rate_of(self, filtered: Filtered) -> Rate:
        """The Rate that a Filtered of this view filters."""
        return next(one for one in self.features if isinstance(one, Rate) and one.name == filtered.rate)


def derivation(view: FeatureView, feature: Feature) -> Histogram | None:
    """The first histogram of the view that a feature could be read off, whether or not `derive=True` asks for it."""
    histograms = [f for f in view.features if isinstance(f, Histogram)]
    if isinstance(feature, Count):
        return next((h for h in histograms if h.nulls), None)
    if isinstance(feature, Rate):
        match parse(feature.where).root:
            case Compare(op=">=" | "<", left=column, right=float(edge)):
                return next((h for h in histograms if h.column == column.name and edge in map(float, h.edges)), None)
    return None


def _tags(tags: object) -> object:
    """Read-only, by key: a view is immutable. What is no mapping of texts is left for `_check_types` to refuse."""
    if tags is None:
        return MappingProxyType({})
    if isinstance(tags, Mapping) and all(is_text(key) for key in tags):
        return MappingProxyType({key: plain(tags[key]) for key in sorted(tags)})
    return tags


def _check(view: FeatureView) -> None:
    _check_name(view)
    _check_types(view)
    _check_time(view)
    _check_privacy(view)
    for feature in view.features:
        trouble = problem(feature)
        if trouble:
            raise DefinitionError(view.name, trouble, feature.name or feature.kind)
    _check_names(view)
    for feature in view.features:
        _check_use(view, feature)


def _check_name(view: FeatureView) -> None:
    if not isinstance(view.name, str) or not _is_name(view.name):
        raise DefinitionError(str(view.name), "a view's name is [a-z][a-z0-9_]*, without __")


def _check_types(view: FeatureView) -> None:
    for attribute, kind in (("entity", Entity), ("bounds", Bounds), ("privacy", Privacy)):
        if not isinstance(getattr(view, attribute), kind):
            raise DefinitionError(view.name, f"`{attribute}` must be {kind.__name__}(…)")
    if not isinstance(view.features, tuple):
        raise DefinitionError(view.name, f"`features` must be a list, such as [Count('n')], got {view.features!r}")
    if not isinstance(view.windows, tuple):
        raise DefinitionError(view.name, f"`windows` must be a list, such as ['7d'], got {view.windows!r}")
    if not view.features:
        raise DefinitionError(view.name, "a view needs at least one feature")
    for feature in view.features:
        if not isinstance(feature, Feature):
            raise DefinitionError(
                view.name, f"{feature!r} is no feature; use Count, ClientCount, Mean, Histogram, Rate or Filtered"
            )
    for attribute in ("max_cells", "max_events_per_cell"):
        bound = getattr(view.bounds, attribute)
        if type(bound) is not int or not 1 <= bound <= 1_000_000:
            raise DefinitionError(view.name, f"`{attribute}` must be a whole number from 1 to 1,000,000, got {bound!r}")
    for attribute in ("owner", "description"):
        if not is_text(getattr(view, attribute)):
            got = repr(getattr(view, attribute))
            raise DefinitionError(view.name, f"`{attribute}` must be a text of valid Unicode, got {got}")
    if not isinstance(view.tags, Mapping) or not all(is_text(text) for tag in view.tags.items() for text in tag):
        got = repr(dict(view.tags) if isinstance(view.tags, Mapping) else view.tags)
        raise DefinitionError(view.name, f"`tags` must map texts to texts, such as {{'team': 'ops'}}, got {got}")
    if view.time is not None and not (is_text(view.time) and view.time):
        raise DefinitionError(view.name, f"`time` must name a column, in valid Unicode, got {view.time!r}")


def _check_time(view: FeatureView) -> None:
    if view.pane not in PANES:
        raise DefinitionError(view.name, f"`pane` must be one of {' '.join(PANES)}, got {view.pane!r}")
    try:
        delay, grace = view.release_delay_us, view.grace_us
        if view.ttl_us == 0:
            raise ValueError("`ttl` must be above 0")
        widths = [parse_duration(window) for window in view.windows]
    except ValueError as error:
        raise DefinitionError(view.name, str(error)) from None
    if grace > delay:
        raise DefinitionError(view.name, f"`grace` {view.grace} is longer than `release_delay` {view.release_delay}")
    for window, width in zip(view.windows, widths, strict=True):
        if width == view.pane_us:
            raise DefinitionError(view.name, f"window {window!r} equals the pane, which is always served; leave it out")
        if width == 0 or width % view.pane_us:
            raise DefinitionError(view.name, f"window {window!r} is not a multiple of the pane {view.pane!r}")
    if len(set(widths)) != len(widths):
        raise DefinitionError(view.name, f"`windows` spell one length twice: {', '.join(view.windows)}")
    if not (isinstance(view.min_coverage, int | float) and 0 <= view.min_coverage <= 1):
        raise DefinitionError(view.name, f"`min_coverage` must be from 0 to 1, got {view.min_coverage!r}")


def _check_privacy(view: FeatureView) -> None:
    privacy = view.privacy
    if not _is_delta(privacy.delta):
        raise DefinitionError(view.name, f"`delta` must be above 0 and below 1, such as 1e-6, got {privacy.delta!r}")
    if type(privacy.min_clients) is not int or not 2 <= privacy.min_clients < 2**32:
        raise DefinitionError(
            view.name, f"`min_clients` must be a whole number of at least 2, got {privacy.min_clients!r}"
        )
    if Fraction(repr(privacy.delta)) * privacy.min_clients >= 1:
        raise DefinitionError(
            view.name,
            f"`delta` {privacy.delta:g} must be below 1/min_clients = 1/{privacy.min_clients}: at 1/n, publishing one of n "
            f"clients outright would count as private; such as {min(1e-6, 0.1 / privacy.min_clients):.0e}",
        )
    _check_price(view.name, privacy)
    if privacy.suppress_below is not None:
        if type(privacy.suppress_below) is not int or not 1 <= privacy.suppress_below < 2**32:
            raise DefinitionError(
                view.name, f"`suppress_below` must be a whole number from 1 to 2**32, got {privacy.suppress_below!r}"
            )
        if not any(isinstance(feature, ClientCount) for feature in view.features):
            raise DefinitionError(view.name, "`suppress_below` needs a ClientCount: add ClientCount('clients')")


def _check_price(name: str, privacy: Privacy) -> None:
    if privacy.mechanism not in MECHANISMS:
        raise DefinitionError(name, f"`mechanism` must be {' or '.join(MECHANISMS)}, got {privacy.mechanism!r}")
    if privacy.mechanism == "laplace" and privacy.rho is not None:
        raise DefinitionError(
            name, "`rho` prices Gaussian noise (zCDP); mechanism='laplace' is pure DP: give `epsilon=` instead"
        )
    if (privacy.rho is None) == (privacy.epsilon is None):
        got = "neither" if privacy.rho is None else "both"
        raise DefinitionError(name, f"give `rho=` or `epsilon=`, exactly one; got {got}")
    if privacy.mechanism == "laplace" and not 1 <= privacy.micro_epsilon <= MAX_MICRO_EPSILON:
        raise DefinitionError(name, f"`epsilon` must be from 0.000001 to 1000, got {privacy.epsilon!r}")
    if privacy.mechanism == "gaussian" and not 1 <= privacy.micro_rho <= MAX_MICRO_RHO:
        if privacy.epsilon is None:
            raise DefinitionError(name, f"`rho` must be from 0.000001 to 1000, got {privacy.rho!r}")
        raise DefinitionError(
            name,
            f"`epsilon` must be a number that a ρ from 0.000001 to 1000 has at δ = {privacy.delta:g}, "
            f"got {privacy.epsilon!r}",
        )


def _check_names(view: FeatureView) -> None:
    for key in view.entity.keys:
        if key in RESERVED_COLUMNS or key.startswith("coverage_") or "__" in key:
            raise DefinitionError(
                view.name, f"the join key {key!r} is a reserved name; choose another and give column="
            )
    taken = dict.fromkeys(view.entity.keys, "a join key")
    for feature in view.features:
        name = feature.name
        if not _is_name(name):
            raise DefinitionError(
                view.name, "a feature's name is [a-z][a-z0-9_]*, without __; give one with `name=`", name
            )
        served = _served_names(view, feature)
        if isinstance(feature, Filtered) and not all(map(_is_name, served)):
            raise DefinitionError(view.name, f"its name must not end in _: it serves {', '.join(served)}", name)
        if any(column in RESERVED_COLUMNS or column.startswith("coverage_") for column in served):
            raise DefinitionError(view.name, "the name is reserved; give another with `name=`", name)
        for column in served:
            if column in taken:
                raise DefinitionError(
                    view.name,
                    f"{column!r} is already {taken[column]}; give another name, such as name={name + '_2'!r}",
                    name,
                )
        taken |= dict.fromkeys(served, f"served by feature {name!r}")


def _served_names(view: FeatureView, feature: Feature) -> tuple[str, ...]:
    match feature:
        case Filtered():
            return feature.names
        case ClientCount():
            return (feature.name,)
        case _:
            return (feature.name, *(f"{feature.name}_{window}" for window in view.windows))


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) <= 200 and _NAME.fullmatch(name) is not None and "__" not in name


def _check_use(view: FeatureView, feature: Feature) -> None:
    if isinstance(feature, Rate):
        try:
            parse(feature.where)
        except ExpressionError as error:
            raise ExpressionRefused(view.name, str(error), feature.name) from error
    if isinstance(feature, Mean) and feature.q_max * view.bounds.max_events_per_cell >= 2**32:
        raise DefinitionError(
            view.name, "max_events_per_cell × steps of the clip range reaches 2**32: coarsen `resolution`", feature.name
        )
    if isinstance(feature, Filtered):
        trouble = _filtered_problem(view, feature)
        if trouble:
            raise DefinitionError(view.name, trouble, feature.name)
    elif feature.derive and derivation(view, feature) is None:
        missing = (
            "a Histogram with nulls=True, which counts every event"
            if isinstance(feature, Count)
            else "a Histogram of the same column with that edge; `where` is exactly `column >= edge` or `column < edge`"
        )
        raise DefinitionError(
            view.name, f"`derive=True` finds nothing to derive from; it needs {missing}", feature.name
        )


def _filtered_problem(view: FeatureView, filtered: Filtered) -> str | None:
    rates = [feature for feature in view.features if isinstance(feature, Rate)]
    rate = next((one for one in rates if one.name == filtered.rate), None)
    if rate is None:
        known = ", ".join(one.name for one in rates) or "none"
        return f"`rate` names no Rate of the view: {filtered.rate!r}; it has: {known}"
    if rate.derive:
        return f"the Rate {filtered.rate!r} is derived; a Filtered needs one with slots, and noise, of its own"
    if view.privacy.suppress_below is not None:
        return "`suppress_below` withholds panes that a Filtered is made of; leave one of them out"
    return season_problem(filtered, view.pane_us)
