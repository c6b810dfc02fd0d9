"""Every check of a view's definition. Each error names the view, the feature and the mend."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from base.plain import is_text
from base.times import PANES, parse_duration
from featurestore.errors import DefinitionError, ExpressionError, ExpressionRefused

from .encoding import OffsetSum, TrueOrFalse
from .entities import Entity
from .feature import DerivableFeature, PaneFeature, ViewFeature, weight_problem
from .filtered import Filtered, season_problem
from .kinds import Rate
from .privacy import MAX_MICRO_EPSILON, MAX_MICRO_RHO, MECHANISMS, Bounds, Privacy, is_delta

if TYPE_CHECKING:
    from .definitions import FeatureView

RESERVED_COLUMNS: Final = frozenset(
    {"pane_start", "pane_end", "released_at", "published_at", "clock", "view_version", "release_id", "seq", "slots"}
)
"""Columns of every row of the store. No feature and no join key may have one of these names, or `coverage_…`."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


def check_view(view: FeatureView) -> None:
    """Raise DefinitionError if this view cannot be registered; ExpressionRefused if a condition is the reason."""
    _check_name(view)
    _check_types(view)
    _check_time(view)
    _check_privacy(view)
    for feature in view.features:
        if trouble := _problem(feature):
            raise DefinitionError(view.name, trouble, feature.name or feature.kind)
    _check_names(view)
    for feature in view.features:
        _check_use(view, feature)


def _problem(feature: ViewFeature) -> str | None:
    """The problem of a feature by itself."""
    trouble = feature.problem()
    if trouble is None and not is_text(feature.description):
        return f"`description` must be a text of valid Unicode, got {feature.description!r}"
    return weight_problem(feature.weight) if trouble is None and isinstance(feature, PaneFeature) else trouble


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
        if not isinstance(feature, ViewFeature):
            raise DefinitionError(
                view.name, f"{feature!r} is not a feature; use Count, ClientCount, Mean, Histogram, Rate or Filtered"
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
        served = feature.served_names(view.windows)
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


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) <= 200 and _NAME.fullmatch(name) is not None and "__" not in name


def _check_use(view: FeatureView, feature: ViewFeature) -> None:
    if isinstance(feature, Filtered):
        if trouble := _filtered_problem(view, feature):
            raise DefinitionError(view.name, trouble, feature.name)
    elif isinstance(feature, PaneFeature):
        _check_encoding(view, feature)
        if feature.derive and isinstance(feature, DerivableFeature) and view.source_of(feature) is None:
            raise DefinitionError(
                view.name, f"`derive=True` finds nothing to derive from; it needs {feature.needs}", feature.name
            )


def _check_encoding(view: FeatureView, feature: PaneFeature) -> None:
    match feature.encoding:
        case TrueOrFalse() as condition:
            try:
                _ = condition.columns
            except ExpressionError as error:
                raise ExpressionRefused(view.name, str(error), feature.name) from error
        case OffsetSum(q_max=q_max) if q_max * view.bounds.max_events_per_cell >= 2**32:
            raise DefinitionError(
                view.name,
                "max_events_per_cell × steps of the clip range reaches 2**32: coarsen `resolution`",
                feature.name,
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


def _check_privacy(view: FeatureView) -> None:
    privacy = view.privacy
    if not is_delta(privacy.delta):
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
        if not any(feature.counts_clients for feature in view.pane_features):
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
