"""Format the result of a lie as JSON for `run.json`, and as text for tables on a terminal and on a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from base.times import from_us

from .kinds import KINDS

if TYPE_CHECKING:
    from .lie import LieResult
    from .moved_values import MovedValue, MovedView

COLUMNS: Final = ("feature", "key", "pane", "honest", "without\nproofs", "\noff by", "with\nproofs", "\noff by")
_MIDNIGHT, _DAY, _MINUTE = "T00:00:00+00:00", len("2013-06-01"), len("2013-06-01T12:00")
_MANY, _LITTLE, _FAR, _NEAR = 1e6, 5e-4, 1e3, 0.01


def as_dict(result: LieResult) -> dict[str, Any]:
    """Convert the result of a lie to JSON values."""
    lie = result.lie
    exact = not lie.collection.noisy  # with noise on, every value moves
    return {
        "kind": lie.kind,
        "liars": lie.liars,
        "noise": "on" if lie.collection.noisy else "off",
        "level": lie.collection.level,
        "skipped": dict(lie.skipped),
        "views": [_view_as_dict(view, exact=exact) for view in result.views],
    }


def _view_as_dict(view: MovedView, *, exact: bool) -> dict[str, Any]:
    without, with_proofs = view.moved
    return {
        "view": view.view,
        "opened": view.opened,
        "void_with_proofs": view.void,
        "rejected": view.rejected,
        "values": view.values,
        "moved_without_proofs": without if exact else None,
        "moved_with_proofs": with_proofs if exact else None,
        "worst": [_value_as_dict(moved) for moved in view.worst],
        "furthest": None if view.furthest is None else _panes_as_dict(view.furthest),
    }


def _value_as_dict(moved: MovedValue) -> dict[str, Any]:
    pane = moved.pane
    return {
        "feature": moved.feature,
        "key": list(moved.key),
        "pane_start": from_us(int(moved.pane_starts[pane])).isoformat(),
        "honest": _or_none(moved.honest[pane]),
        "without_proofs": _or_none(moved.without[pane]),
        "with_proofs": _or_none(moved.with_proofs[pane]),
        "noise_se": _or_none(moved.se[pane]),
    }


def _panes_as_dict(moved: MovedValue) -> dict[str, Any]:
    """Convert the value in every pane, for a plot."""
    return {
        "feature": moved.feature,
        "key": list(moved.key),
        "pane_start": [from_us(int(start)).isoformat() for start in moved.pane_starts],
        "honest": [_or_none(value) for value in moved.honest],
        "without_proofs": [_or_none(value) for value in moved.without],
        "with_proofs": [_or_none(value) for value in moved.with_proofs],
        "noise_se": [_or_none(value) for value in moved.se],
    }


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def title(lie: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    """Return the title of the table of a view."""
    who = "one client" if lie["liars"] == 1 else f"{lie['liars']:,} clients lie; each"
    return f"{view['view']}: in each pane {who} {KINDS[lie['kind']]}"


def rows(view: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the values that moved furthest, in the order of `COLUMNS`."""
    panes = (view["furthest"] or {"pane_start": ()})["pane_start"]
    daily = all(start.endswith(_MIDNIGHT) for start in panes)
    for moved in view["worst"]:
        honest, se = moved["honest"], moved["noise_se"]
        yield (
            moved["feature"],
            ", ".join(map(str, moved["key"])),
            moved["pane_start"][: _DAY if daily else _MINUTE] + ("" if daily else "Z"),
            number(honest),
            *_compared(honest, moved["without_proofs"], se),
            *_compared(honest, moved["with_proofs"], se),
        )


def _compared(honest: float | None, value: float | None, se: float | None) -> tuple[str, str]:
    return number(value), off_by(honest, value, se)


def caption(view: Mapping[str, Any]) -> str:
    """Return the caption of the table of a view."""
    drowned = any(moved["noise_se"] is None for moved in view["worst"])
    starred = "; *: plain difference, because noise drowns the value" if drowned else ""
    return f"off by: in standard errors of the view's noise{starred}"


def remarks(lie: Mapping[str, Any], view: Mapping[str, Any]) -> list[str]:
    """Return sentences about the effect on a view."""
    name = view["view"]
    lines = [
        f"{name}: {view['rejected']:,} report(s) rejected with proofs, in {view['opened']:,} pane(s), because the proof fails"
    ]
    if lie["noise"] == "on":
        lines.append(
            f"{name}: each run draws new noise, so values without a lie are off as well, mostly by less than 3"
        )
    else:
        aside = ", without void panes" if view["void_with_proofs"] else ""
        lines.append(
            f"{name}: of {view['values']:,} values {view['moved_without_proofs']:,} are off without proofs, "
            f"{view['moved_with_proofs']:,} with{aside}; the table shows the largest differences of each feature"
        )
        if view["rejected"] and view["moved_with_proofs"]:
            lines.append(f"{name}: values that are off with proofs lack the liars' own events")
    if view["void_with_proofs"]:
        lines.append(f"{name}: {view['void_with_proofs']:,} pane(s) void with proofs: too few honest clients are left")
    return lines


def number(value: float | None) -> str:
    """Format a value with its significant digits."""
    if value is None:
        return "no value"
    if abs(value) >= _MANY:
        return f"{value:.3g}"
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.3f}" if abs(value) >= _LITTLE else f"{value:.1e}"


def off_by(honest: float | None, value: float | None, se: float | None) -> str:
    """Format how far a value is off, in standard errors; without a standard error as the plain difference with a star."""
    if honest is None or value is None:
        return "–" if honest is value else "appeared" if honest is None else "gone"
    away = abs(honest - value)
    if away == 0:
        return "–"
    if se is None:
        return f"{number(away)}*"
    if away / se < _NEAR:
        return f"<{_NEAR}"
    return f"{away / se:.2f}" if away / se < _FAR else f"{away / se:.1e}"
