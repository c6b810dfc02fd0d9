"""Checks of the views of a store. Each reads so many of the newest panes that its time and memory are bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from base.times import DAY_US
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.records import RegisteredView
from featurestore.define.values import served_features
from featurestore.errors import UnknownFeature

from .check import check, least_panes
from .report import Report, Terms, Unchecked
from .stored_panes import StoredPanes

PAST_US: Final = 26 * 7 * DAY_US
"""The longest past: half a year. A view that changes slowly over years is compared with what it was lately."""
MOST_PANES: Final = 2_016
"""The most panes of the past: twelve weeks of hours, or the three weeks of panes of 15 minutes that a weekly season needs."""
MOST_SUMS: Final = 5_000_000
"""The most opened sums of a check. With its arrays that is some 700 MB and 5 s (10,000 keys of 8 sums)."""

Progress = Callable[[str, str, int, int], None]
"""(view, step, done, total); the step is `check`."""


def check_views(
    store: StoredPanes, names: Sequence[str], terms: Terms, progress: Progress = lambda *_: None
) -> Iterator[Report]:
    """Check views one after another.

    Args:
        names: views or versions (`view@v<n>`); empty: all views.

    Raises:
        UnknownView, UnknownVersion. UnknownFeature: no checked view has a feature of the terms. StoreCorrupt.
    """
    versions = [(name, store.version(name)) for name in names or store.names()]
    _require_features([(name, version.view) for name, version in versions], terms.features)
    for name, version in versions:
        progress(name, "check", 0, 1)
        yield check_version(store, name, version, terms)
        progress(name, "check", 1, 1)


def check_version(store: StoredPanes, name: str, version: RegisteredView, terms: Terms) -> Report:
    """Check a version of a view, as it is named. Raises StoreCorrupt."""
    view = version.view
    of_a_pane = layout_of(view).length
    longest, of_sums = min(MOST_PANES, PAST_US // view.pane_us) + terms.last, MOST_SUMS // of_a_pane
    if (most := min(longest, of_sums)) < least_panes(terms.last):
        why = f"a check of {terms.last} needs {least_panes(terms.last):,} panes, and reads at most {most:,}"
        if of_sums < longest:
            why += f", because a pane has {of_a_pane:,} sums"
        return Unchecked(name, terms, f"{why}; compare fewer panes as one")
    return check(view, name, store.newest(version, terms.since_us, most), terms)


def daily_terms(view: FeatureView, level: float) -> Terms:
    """The terms of a check of each pane, so that the checks of one day together have the level."""
    return replace(Terms(), level=level / view.panes_per_day)


def _require_features(views: Sequence[tuple[str, FeatureView]], features: Sequence[str]) -> None:
    known = sorted({one.name for _, view in views for one in served_features(view) if one.window is None})
    for feature in features:
        if feature not in known:
            raise UnknownFeature(", ".join(name for name, _ in views), feature, known)
