"""Costs of collections: against the number of clients, against the length of a report, and under each protection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from simulations.reports.comparison.protections import PROVEN, UNPROVEN
from simulations.reports.comparison.text import in_bytes, in_time
from simulations.reports.numbered import Numbered
from simulations.reports.page import PageBlock, Section, Table
from simulations.reports.plots import COLOURS, Panel
from simulations.reports.texts import number

from .items import FinishedItem, Point
from .points import Part, at, chosen, exponent, line, points_of
from .running import SERVERS, SITE

BYTES: Final = "bytes a client"
_MEASURES: Final = ((SITE, "CPU µs a report"), (SERVERS, "CPU µs a report"), (BYTES, "bytes a client"))
_COLOURS: Final = {
    "plaintext": COLOURS[5],
    UNPROVEN: COLOURS[0],
    PROVEN: COLOURS[2],
    "he": COLOURS[1],
    "ckks (NVFlare)": COLOURS[3],
}


def costs(done: Sequence[FinishedItem], numbered: Numbered) -> Part | None:
    """Write the section about costs."""
    parts: list[PageBlock] = []
    readings: list[str] = []
    if by_clients := points_of(done, "cost-clients-"):
        parts += _against(by_clients, "clients", "whole collections", numbered)
        readings += _factor_reading(by_clients)
    if by_slots := points_of(done, "cost-slots-"):
        parts += _against(by_slots, "slots", "reports, without the seal and header of a batch,", numbered)
        readings += _slope_reading(by_slots)
    extra = next(
        (one.outcome.extra for one in done if one.item.kind == "protections" and one.outcome is not None), None
    )
    if extra is not None:
        parts.append(_protections(extra, numbered))
        readings += _upload_reading(extra)
    return Part(Section.of("Cost", *parts), readings) if parts else None


def _against(points: Sequence[Point], x_name: str, what: str, numbered: Numbered) -> list[PageBlock]:
    names = [name for name in _COLOURS if any(one.series == name for one in points)]
    panels = []
    for measure, label in _MEASURES:
        lines = (
            line(chosen(points, measure=measure, x_name=x_name, series=name), name, _COLOURS[name]) for name in names
        )
        panels.append(Panel(measure, tuple(lines), x_name, label, x_scale="log", y_scale="log"))
    caption = f"CPU time and bytes of {what} against {x_name}. Both axes are logarithmic."
    figure = numbered.figure(caption, panels, [(name, _COLOURS[name]) for name in names])
    xs = sorted({one.x for one in points})
    rows = []
    for x in xs:
        for name in names:
            found = [at(chosen(points, measure=measure, x_name=x_name, series=name), x) for measure, _ in _MEASURES]
            if any(found):
                site, servers, size = (None if one is None else one.estimate for one in found)
                rows.append([number(x), name, _micro(site), _micro(servers), "–" if size is None else in_bytes(size)])
    table = numbered.table(
        f"The figure in numbers, against {x_name}.",
        (x_name, "protection", "a site, a report", "aggregators, a report", BYTES),
        rows,
    )
    return [figure, table]


def _micro(microseconds: float | None) -> str:
    return "–" if microseconds is None else in_time(microseconds / 1e6)


def _protections(extra: dict[str, Any], numbered: Numbered) -> Table:
    rows = []
    for one in extra["protections"]:
        if one["skipped"] is not None:
            rows.append(
                [one["name"], f"skipped: {one['skipped']}", *[""] * 4, one["privacy_holds_if"], one["bad_input"]]
            )
            continue
        error = one["max_error"]
        rows.append(
            [
                one["name"],
                in_bytes(one["upload_bytes_per_report"]),
                _micro(one["client_us_per_report"]),
                _micro(one["server_us_per_report"]),
                in_time(one["open_s"]),
                "0, exact" if error == 0 else number(error),
                one["privacy_holds_if"],
                one["bad_input"],
            ]
        )
    head = (
        "protection",
        "upload",
        "client",
        "servers",
        "opening",
        "largest error",
        "privacy holds if",
        "bad input of a client",
    )
    return numbered.table(
        f"One pane of {extra['reports']:,} reports of {extra['slots']:,} slots under each protection: upload, CPU time of client "
        "and servers for a report, and opening of the pane; without noise.",
        head,
        rows,
    )


def _factor_reading(points: Sequence[Point]) -> list[str]:
    """Compare proofs with plain shares, at the largest fleet that ran with both."""
    proven = chosen(points, measure=SITE, x_name="clients", series=PROVEN)
    if not proven:
        return []
    x, factors = proven[-1].x, []
    for measure, _ in _MEASURES:
        pair = [at(chosen(points, measure=measure, x_name="clients", series=name), x) for name in (UNPROVEN, PROVEN)]
        if pair[0] is None or pair[1] is None or not pair[0].estimate:
            return []
        factors.append(number(pair[1].estimate / pair[0].estimate))
    return [
        f"At {number(x)} clients proofs multiply the CPU time of a site by {factors[0]}, the CPU time of the aggregators "
        f"by {factors[1]}, and the bytes by {factors[2]}."
    ]


def _slope_reading(points: Sequence[Point]) -> list[str]:
    told = []
    for name in _COLOURS:
        mine = chosen(points, measure=BYTES, x_name="slots", series=name)
        if len(mine) > 1:
            told.append(f"{name} as d^{exponent(mine)}, up to {in_bytes(mine[-1].estimate)}")
    return [f"The bytes of a report grow with its number of slots d: {'; '.join(told)}."] if told else []


def _upload_reading(extra: dict[str, Any]) -> list[str]:
    sizes = {one["name"]: one["upload_bytes_per_report"] for one in extra["protections"] if one["skipped"] is None}
    if UNPROVEN not in sizes or len(sizes) < 2:
        return []
    others = [f"{name} {number(size / sizes[UNPROVEN])}" for name, size in sizes.items() if name != UNPROVEN]
    return [
        f"A report of {extra['slots']:,} slots takes {in_bytes(sizes[UNPROVEN])} with shares. The other protections take a "
        f"multiple: {', '.join(others)}."
    ]
