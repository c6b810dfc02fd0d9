"""Every check of a view's definition, on the parts of the view. Each error names the view, the feature and the mend.

`FeatureView` calls the checks in the order in which this file has them: each relies on the ones before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from base.plain import is_text
from base.times import PANES, parse_duration
from featurestore.errors import DefinitionError, ExpressionError, ExpressionRefused

from .encoding import OffsetSum, TrueOrFalse
from .entities import Entity
from .feature import DerivableFeature, PaneFeature, ViewFeature, derivation, weight_problem
from .filtered import Filtered, season_problem
from .kinds import Rate
from .privacy import MAX_MICRO_EPSILON, MAX_MICRO_RHO, MECHANISMS, NOISER_CHOICES, Bounds, Privacy, is_delta

Features = tuple[ViewFeature, ...]

RESERVED_COLUMNS: Final = frozenset(
    {"pane_start", "pane_end", "released_at", "published_at", "clock", "view_version", "release_id", "seq", "slots"}
)
"""Columns of every row of the store. No feature and no join key may have one of these names, or `coverage_…`."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


def check_name(view: str) -> None:
    """Check the name of a view."""
    if not _is_name(view):
        raise DefinitionError(
            str(view), "a view's name is a lower-case letter, then lower-case letters, digits and _, without __"
        )


def check_types(
    view: str, entity: Entity, features: Features, bounds: Bounds, privacy: Privacy, windows: tuple[str, ...]
) -> None:
    """Check that each part of a view has its type, and that the bounds are whole numbers in range."""
    for attribute, part, kind in (
        ("entity", entity, Entity),
        ("bounds", bounds, Bounds),
        ("privacy", privacy, Privacy),
    ):
        if not isinstance(part, kind):
            raise DefinitionError(view, f"`{attribute}` must be {kind.__name__}(…), got {part!r}")
    if not isinstance(features, tuple):
        raise DefinitionError(view, f"`features` must be a list, such as [Count('n')], got {features!r}")
    if not isinstance(windows, tuple):
        raise DefinitionError(view, f"`windows` must be a list, such as ['7d'], got {windows!r}")
    if not features:
        raise DefinitionError(view, "`features` is empty; add at least one, such as Count('n')")
    for feature in features:
        if not isinstance(feature, ViewFeature):
            raise DefinitionError(
                view, f"{feature!r} is not a feature; use Count, ClientCount, Mean, Histogram, Rate or Filtered"
            )
    for attribute, bound in (
        ("max_cells", bounds.max_cells),
        ("max_events_per_cell", bounds.max_events_per_cell),
    ):
        if type(bound) is not int or not 1 <= bound <= 1_000_000:
            raise DefinitionError(view, f"`{attribute}` must be a whole number from 1 to 1,000,000, got {bound!r}")


def check_texts(view: str, owner: str, description: str, tags: Mapping[str, str], time: str | None) -> None:
    """Check the texts for people, and the name of the time column."""
    for attribute, text in (("owner", owner), ("description", description)):
        if not is_text(text):
            raise DefinitionError(view, f"`{attribute}` must be a text of valid Unicode, got {text!r}")
    if not isinstance(tags, Mapping) or not all(is_text(text) for tag in tags.items() for text in tag):
        got = repr(dict(tags) if isinstance(tags, Mapping) else tags)
        raise DefinitionError(view, f"`tags` must map texts to texts, such as {{'team': 'ops'}}, got {got}")
    if time is not None and not (is_text(time) and time):
        raise DefinitionError(view, f"`time` must be the name of a column, in valid Unicode, got {time!r}")


def check_pane(view: str, pane: str) -> None:
    """Check the width of a pane."""
    if pane not in PANES:
        raise DefinitionError(view, f"`pane` must be one of {' '.join(PANES)}, got {pane!r}")


def check_delays(view: str, release_delay: str, grace: str, ttl: str | None) -> None:
    """Check the lengths of time after a pane's end."""
    delay, late = _duration(view, "release_delay", release_delay), _duration(view, "grace", grace)
    if ttl is not None and _duration(view, "ttl", ttl) == 0:
        raise DefinitionError(view, f"`ttl` must be above 0, got {ttl!r}")
    if late > delay:
        raise DefinitionError(
            view,
            f"`grace` {grace} is longer than `release_delay` {release_delay}; shorten it, or raise `release_delay`",
        )


def check_windows(view: str, pane: str, windows: tuple[str, ...]) -> None:
    """Check that each window is a multiple of the pane."""
    width = parse_duration(pane)
    widths = [_duration(view, "windows", window) for window in windows]
    for window, length in zip(windows, widths, strict=True):
        if length == width:
            raise DefinitionError(view, f"window {window!r} equals the pane, which is always served; leave it out")
        if length == 0 or length % width:
            raise DefinitionError(view, f"window {window!r} is not a multiple of the pane {pane!r}")
    if len(set(widths)) != len(widths):
        raise DefinitionError(view, f"`windows` has one length twice: {', '.join(windows)}; leave one of them out")


def check_retention(view: str, retention: str | None, ttl: str | None, features: Features) -> None:
    """Check that rows stay while they are served, and that no feature needs those that leave."""
    if retention is None:
        return
    if (kept := _duration(view, "retention", retention)) == 0:
        raise DefinitionError(view, f"`retention` must be above 0, got {retention!r}; leave it out to keep every row")
    if ttl is not None and kept < parse_duration(ttl):
        raise DefinitionError(view, f"`retention` {retention} is shorter than `ttl` {ttl}; raise it, or shorten `ttl`")
    if any(isinstance(feature, Filtered) for feature in features):
        raise DefinitionError(
            view, "a Filtered follows from all panes of its view, so its rows cannot leave; leave `retention` out"
        )


def check_coverage(view: str, min_coverage: float, min_site_coverage: float) -> None:
    """Check the shares that a window and a pane need."""
    for name, share in (("min_coverage", min_coverage), ("min_site_coverage", min_site_coverage)):
        if not (isinstance(share, int | float) and 0 <= share <= 1):
            raise DefinitionError(view, f"`{name}` must be from 0 to 1, got {share!r}")


def _duration(view: str, attribute: str, text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise DefinitionError(view, f"`{attribute}`: {error}") from None


def check_privacy(view: str, privacy: Privacy, features: Features) -> None:
    """Check the δ, k and price of a view, and that suppression has counts to go by."""
    if not is_delta(privacy.delta):
        raise DefinitionError(view, f"`delta` must be above 0 and below 1, such as 1e-6, got {privacy.delta!r}")
    if type(privacy.min_clients) is not int or not 2 <= privacy.min_clients < 2**32:
        raise DefinitionError(view, f"`min_clients` must be a whole number of at least 2, got {privacy.min_clients!r}")
    if Fraction(repr(privacy.delta)) * privacy.min_clients >= 1:
        raise DefinitionError(
            view,
            f"`delta` {privacy.delta:g} must be below 1/min_clients = 1/{privacy.min_clients}: at 1/n, publishing one of n "
            f"clients outright would count as private; use one such as {min(1e-6, 0.1 / privacy.min_clients):.0e}",
        )
    _check_price(view, privacy)
    if privacy.suppress_below is not None:
        if type(privacy.suppress_below) is not int or not 1 <= privacy.suppress_below < 2**32:
            raise DefinitionError(
                view, f"`suppress_below` must be a whole number from 1 to 2**32 − 1, got {privacy.suppress_below!r}"
            )
        if not any(isinstance(feature, PaneFeature) and feature.counts_clients for feature in features):
            raise DefinitionError(view, "`suppress_below` needs a ClientCount: add ClientCount('clients')")


def _check_price(view: str, privacy: Privacy) -> None:
    if privacy.mechanism not in MECHANISMS:
        raise DefinitionError(view, f"`mechanism` must be {' or '.join(MECHANISMS)}, got {privacy.mechanism!r}")
    if privacy.chosen_noisers not in NOISER_CHOICES:
        raise DefinitionError(view, f"`noisers` must be {' or '.join(NOISER_CHOICES)}, got {privacy.noisers!r}")
    if privacy.mechanism == "laplace" and privacy.chosen_noisers == "shared":
        raise DefinitionError(
            view,
            "noisers='shared' needs Gaussian noise, because the sum of two discrete Laplace noises is not one; use "
            "noisers='each', or mechanism='gaussian'",
        )
    if privacy.mechanism == "laplace" and privacy.rho is not None:
        raise DefinitionError(
            view,
            "`rho` is the price of Gaussian noise (zCDP), but mechanism='laplace' is pure DP; give `epsilon=` instead",
        )
    if (privacy.rho is None) == (privacy.epsilon is None):
        got = "neither" if privacy.rho is None else "both"
        raise DefinitionError(view, f"give `rho=` or `epsilon=`, exactly one; got {got}")
    if privacy.mechanism == "laplace" and not 1 <= privacy.micro_epsilon <= MAX_MICRO_EPSILON:
        raise DefinitionError(view, f"`epsilon` must be from 0.000001 to 1000, got {privacy.epsilon!r}")
    if privacy.mechanism == "gaussian" and privacy.epsilon is None and not 1 <= privacy.micro_rho <= MAX_MICRO_RHO:
        raise DefinitionError(view, f"`rho` must be from 0.000001 to 1000, got {privacy.rho!r}")


def check_features(view: str, features: Features) -> None:
    """Check each feature alone."""
    for feature in features:
        if problem := _problem(feature):
            raise DefinitionError(view, problem, feature.name or feature.kind)


def _problem(feature: ViewFeature) -> str | None:
    problem = feature.problem()
    if problem is None and not is_text(feature.description):
        return f"`description` must be a text of valid Unicode, got {feature.description!r}"
    return weight_problem(feature.weight) if problem is None and isinstance(feature, PaneFeature) else problem


def check_served_names(view: str, keys: tuple[str, ...], features: Features, windows: tuple[str, ...]) -> None:
    """Check that the join keys and all served columns have names of their own, none of them reserved."""
    for key in keys:
        if _is_reserved(key) or "__" in key:
            raise DefinitionError(
                view,
                f"the join key {key!r} has a reserved name; give it another one, and the source's name with column=",
            )
    taken = dict.fromkeys(keys, "a join key")
    for feature in features:
        name = feature.name
        if not _is_name(name):
            raise DefinitionError(
                view,
                "a feature's name is a lower-case letter, then lower-case letters, digits and _, without __; give one with "
                "`name=`",
                name,
            )
        served = feature.served_names(windows)
        if isinstance(feature, Filtered) and not all(map(_is_name, served)):
            raise DefinitionError(view, f"its name must not end in _, because it serves {', '.join(served)}", name)
        if any(map(_is_reserved, served)):
            raise DefinitionError(view, "the name is reserved; give another with `name=`", name)
        for column in served:
            if column in taken:
                raise DefinitionError(
                    view,
                    f"{column!r} is already {taken[column]}; give another name, such as name={name + '_2'!r}",
                    name,
                )
        taken |= dict.fromkeys(served, f"served by feature {name!r}")


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) <= 200 and _NAME.fullmatch(name) is not None and "__" not in name


def _is_reserved(column: str) -> bool:
    return column in RESERVED_COLUMNS or column.startswith("coverage_")


def check_fit(view: str, features: Features, bounds: Bounds, privacy: Privacy, pane: str) -> None:
    """Check each feature against the rest of the view. Raises ExpressionRefused if its condition is the reason."""
    for feature in features:
        if isinstance(feature, Filtered):
            if problem := _filtered_problem(feature, features, privacy, pane):
                raise DefinitionError(view, problem, feature.name)
        elif isinstance(feature, PaneFeature):
            _check_encoding(view, feature, bounds)
            if feature.derive and isinstance(feature, DerivableFeature) and derivation(features, feature) is None:
                raise DefinitionError(
                    view, f"`derive=True` finds no feature to derive it from; it needs {feature.needs}", feature.name
                )


def _check_encoding(view: str, feature: PaneFeature, bounds: Bounds) -> None:
    match feature.encoding:
        case TrueOrFalse() as condition:
            try:
                _ = condition.columns
            except ExpressionError as error:
                raise ExpressionRefused(view, str(error), feature.name) from error
        case OffsetSum(q_max=q_max) if q_max * bounds.max_events_per_cell >= 2**32:
            raise DefinitionError(
                view,
                f"`max_events_per_cell` × steps of the clip range = {q_max * bounds.max_events_per_cell:,}, which must be "
                "below 2**32; coarsen `resolution`",
                feature.name,
            )


def _filtered_problem(filtered: Filtered, features: Features, privacy: Privacy, pane: str) -> str | None:
    rates = [feature for feature in features if isinstance(feature, Rate)]
    rate = next((one for one in rates if one.name == filtered.rate), None)
    if rate is None:
        known = ", ".join(one.name for one in rates) or "none"
        return f"the view has no Rate {filtered.rate!r} for `rate`; its Rates: {known}"
    if rate.derive:
        return f"the Rate {filtered.rate!r} is derived; a Filtered needs a Rate with slots and noise of its own"
    if privacy.suppress_below is not None:
        return "a Filtered needs every cell of a pane, but `suppress_below` withholds some; leave one of the two out"
    return season_problem(filtered, parse_duration(pane))
