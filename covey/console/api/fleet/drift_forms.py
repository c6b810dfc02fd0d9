"""Checks of drift. Times are µs since the epoch."""

from __future__ import annotations

from typing import assert_never

from covey.console.api.form import Form
from covey.console.api.numbers import finite
from deployment.drift.report import Change, Checked, Power, Report, Unchecked


class DriftChange(Form):
    """A feature that differs from its own past. `key` None: all keys together."""

    feature: str
    key: tuple[str, ...] | None
    usual: float | None
    size: float | None
    low: float | None
    high: float | None
    p: float | None
    since: int


class DriftPower(Form):
    """The smallest shifts that the check finds with 80 %."""

    feature: str
    keys: int
    one: float | None
    every: float | None
    hidden: int
    absent: int


class DriftOfView(Form):
    """What a check of a view says. `why`: why it was not checked; None: it was."""

    view: str
    why: str | None
    drifts: bool
    level: float
    p: float | None
    series: int
    past: int
    newest: tuple[int, ...]
    false_alarms_a_year: float | None
    changes: tuple[DriftChange, ...]
    power: tuple[DriftPower, ...]


class Drift(Form):
    """The checks of all views, and the command that makes them."""

    views: tuple[DriftOfView, ...]
    command: str


def drift_form(report: Report) -> DriftOfView:
    """What a check says."""
    match report:
        case Unchecked():
            return DriftOfView(
                view=report.view,
                why=report.why,
                drifts=False,
                level=report.terms.level,
                p=None,
                series=0,
                past=0,
                newest=(),
                false_alarms_a_year=None,
                changes=(),
                power=(),
            )
        case Checked():
            return DriftOfView(
                view=report.view,
                why=None,
                drifts=report.drifts,
                level=report.terms.level,
                p=finite(report.p),
                series=report.series,
                past=report.past,
                newest=report.newest,
                false_alarms_a_year=finite(report.false_alarms_a_year),
                changes=tuple(map(_change, report.changes)),
                power=tuple(map(_power, report.power)),
            )
        case other:
            assert_never(other)


def _change(one: Change) -> DriftChange:
    return DriftChange(
        feature=one.feature,
        key=None if one.key is None else tuple(map(str, one.key)),
        usual=finite(one.usual),
        size=finite(one.size),
        low=finite(one.low),
        high=finite(one.high),
        p=finite(one.p),
        since=one.since_us,
    )


def _power(one: Power) -> DriftPower:
    return DriftPower(
        feature=one.feature,
        keys=one.keys,
        one=finite(one.one),
        every=finite(one.every),
        hidden=one.hidden,
        absent=one.absent,
    )
