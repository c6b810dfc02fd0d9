"""Format the cost of protections as text and as JSON."""

from __future__ import annotations

from typing import Final

from base.times import from_us

from .compare import Comparison, ProtectionResult

ROWS: Final = (
    "reports carried",
    "upload, a report",
    "client, a report",
    "server, a report",
    "set-up, a plan",
    "opening, a pane",
    "peak memory",
    "largest error",
)
_STEP: Final = 1000


def as_dict(comparison: Comparison) -> dict[str, object]:
    """Convert a comparison to JSON values."""
    return {
        "view": comparison.view,
        "pane_start": from_us(comparison.pane_start).isoformat(),
        "reports": comparison.reports,
        "slots": comparison.slots,
        "clients": comparison.clients,
        "compute_us_per_report": round(1e6 * comparison.compute_s, 2),
        "protections": [
            {
                **figures_of(one),
                "privacy_holds_if": one.protection.privacy_holds_if,
                "bad_input": one.protection.bad_input,
            }
            for one in comparison.protections
        ],
    }


def figures_of(one: ProtectionResult) -> dict[str, object]:
    """Convert the cost of one protection to JSON values; a cost that was not measured is null."""
    cost = one.cost
    return {
        "name": one.protection.name,
        "skipped": one.skipped,
        "reports": cost and cost.reports,
        "upload_bytes_per_report": cost and cost.upload_bytes,
        "client_us_per_report": cost and round(1e6 * cost.client_s, 2),
        "server_us_per_report": cost and round(1e6 * cost.server_s, 2),
        "set_up_s": cost and round(cost.set_up_s, 4),
        "open_s": cost and round(cost.open_s, 4),
        "peak_bytes": cost and cost.peak_bytes,
        "max_error": cost and cost.max_error,
    }


def in_short(one: ProtectionResult) -> tuple[str, ...]:
    """Return a text for each of `ROWS`; a text is empty if nothing was measured."""
    if (cost := one.cost) is None:
        return ("",) * len(ROWS)
    return (
        f"{cost.reports:,}",
        in_bytes(cost.upload_bytes),
        in_time(cost.client_s),
        in_time(cost.server_s),
        in_time(cost.set_up_s),
        in_time(cost.open_s),
        "–" if cost.peak_bytes is None else in_bytes(cost.peak_bytes),
        "0, exact" if cost.max_error == 0 else f"{cost.max_error:.1e}",
    )


def in_bytes(size: float) -> str:
    """Format a size as `12.3 kB`; a kB has 1000 B."""
    if size < _STEP:
        return f"{size:,.0f} B"
    for unit in ("kB", "MB"):
        size /= _STEP
        if size < _STEP:
            return f"{size:,.1f} {unit}"
    return f"{size / _STEP:,.1f} GB"


def in_time(seconds: float) -> str:
    """Format a time as `12.3 ms`."""
    for unit, factor in (("µs", 1e6), ("ms", 1e3)):
        if seconds * factor < 1e3:
            return f"{seconds * factor:,.{1 if seconds * factor < 100 else 0}f} {unit}"
    return f"{seconds:,.1f} s"
