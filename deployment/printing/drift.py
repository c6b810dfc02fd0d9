"""Checks of drift: for people, and as JSON."""

from __future__ import annotations

from typing import Any, assert_never

from base.times import utc_text
from deployment.drift.report import Change, Checked, Power, Report, Unchecked
from deployment.drift.season import Season
from featurestore.define.entities import Key

from .console import pane_ranges
from .output import Output
from .tables import Cell, Table


def print_drift(report: Report, out: Output) -> None:
    """Print what a check says. CSV has the changes."""
    match report:
        case Unchecked():
            out.print(f"{report.view}: not checked: {report.why}")
        case Checked():
            out.print(f"{report.view}: {_verdict(report)}", style="bold")
            out.print(_compared(report))
            if report.changes or out.is_csv:
                out.table(_changes(report))
            out.table(_power(report), aside=True)
            for note in _notes(report):
                out.print(note)
        case other:
            assert_never(other)


def drift_to_json(report: Report) -> dict[str, Any]:
    """The same for programs."""
    terms = {"level": report.terms.level, "last": report.terms.last, "features": list(report.terms.features)}
    match report:
        case Unchecked():
            return {"view": report.view, **terms, "checked": False, "why": report.why}
        case Checked():
            return {
                "view": report.view,
                **terms,
                "checked": True,
                "drift": report.drifts,
                "p": report.p,
                "newest": [utc_text(start) for start in report.newest],
                "past": {
                    "panes": report.past,
                    "since": utc_text(report.since_us),
                    "blocks": report.blocks,
                    "least_rank_p": report.least_rank,
                    "season": report.season.value,
                    "left_out": dict(report.left_out),
                },
                "series": report.series,
                "false_alarms_a_year": report.false_alarms_a_year,
                "changes": [_change_to_json(one) for one in report.changes],
                "power": [_power_to_json(one) for one in report.power],
            }
        case other:
            assert_never(other)


def _change_to_json(one: Change) -> dict[str, Any]:
    return {
        "feature": one.feature,
        "key": None if one.key is None else list(one.key),
        "usual": one.usual,
        "size": one.size,
        "low": one.low,
        "high": one.high,
        "noise_se": one.noise,
        "p": one.p,
        "since": utc_text(one.since_us),
    }


def _power_to_json(one: Power) -> dict[str, Any]:
    return {
        "feature": one.feature,
        "keys": one.keys,
        "one_key": one.one,
        "all_keys": one.every,
        "keys_hidden_by_noise": one.hidden,
        "keys_without_values": one.absent,
    }


def _verdict(report: Checked) -> str:
    p = "p < .0001" if report.p < 1e-4 else f"p = {report.p:.2g}"
    numbers = f"({p}, level {report.terms.level:g})"
    if not report.drifts:
        return f"no drift found {numbers}"
    return f"drift: {len(report.changes):,} of {report.series:,} series differ from their past {numbers}"


def _compared(report: Checked) -> str:
    """What is compared with what."""
    newest = f"{'newest panes' if len(report.newest) > 1 else 'newest pane'} {pane_ranges(report.newest)}"
    past = f"{report.past:,} panes of the past since {utc_text(report.since_us)}"
    season = "without a season" if report.season is Season.NONE else f"each at its {report.season}"
    left_out = "".join(f"; {count:,} left out: {why}" for why, count in report.left_out.items())
    return f"{newest}; {past}, {season}{left_out}"


def _changes(report: Checked) -> Table:
    share = f"{100 * (1 - report.terms.level):g} %"
    table = Table(
        "feature", "key", "usual", "change", f"{share} interval", "se of noise", "p", "since", of=("view", report.view)
    )
    for one in report.changes:
        table.add_row(
            one.feature,
            Cell(_key(one.key), None if one.key is None else list(one.key)),
            one.usual,
            Cell(f"{one.size:+.4g}", one.size),
            Cell(f"{one.low:+.4g} … {one.high:+.4g}", [one.low, one.high]),
            one.noise,
            Cell("< .0001" if one.p < 1e-4 else f"{one.p:.2g}", one.p),
            utc_text(one.since_us),
        )
    return table


def _power(report: Checked) -> Table:
    table = Table(
        "feature", "keys", "a shift of one key", "of all keys, each", "hidden by noise", "without values",
        caption="Shifts that this check finds with 80 %: the median over keys, and of all compared keys.",
    )  # fmt: skip
    for one in report.power:
        table.add_row(one.feature, one.keys, one.one, one.every, one.hidden, one.absent)
    return table


def _notes(report: Checked) -> list[str]:
    level, often = report.terms.level, report.false_alarms_a_year
    notes = [
        f"without drift, at most {level:.2%} of the checks of a view find something: {often:.2g} a year with one a pane"
    ]
    if report.least_rank > level:
        notes.append(
            f"ranks among {report.blocks:,} blocks of the past end at p = {report.least_rank:.2g}; a smaller p is extrapolated "
            "from the largest of them"
        )
    if any(one.hidden for one in report.power):
        notes.append("noise hides every possible change of some keys; --last N compares more panes as one")
    return notes


def _key(key: Key | None) -> str:
    return "all keys" if key is None else ", ".join(map(str, key))
