"""The versions of one view as a table, sentences and JSON."""

from __future__ import annotations

from typing import Any

from base.times import utc_text
from deployment.inspect.view_versions import VersionDetail, ViewVersions
from federation.rho import rho_text

from .output import Output
from .tables import Cell, Table


def versions_to_json(found: ViewVersions, now: int) -> dict[str, Any]:
    """The versions of a view, its budget, and how fresh it is. Times are ISO 8601, ρ is in millionths."""
    age = found.age_us(now)
    return {
        "owner": found.view.owner,
        "tags": dict(found.view.tags),
        "description": found.view.description,
        "micro_rho": found.micro_rho,
        "quota_micro_rho": found.quota,
        "budget_micro_rho": found.budget.micro_rho,
        "newest_pane_end": _moment(found.newest_end),
        "age_seconds": None if age is None else age / 1e6,
        "due_at": _moment(found.due_at),
        "versions": [_to_json(one) for one in found.versions],
    }


def _to_json(one: VersionDetail) -> dict[str, Any]:
    return {
        "version": one.version,
        "state": one.state,
        "collected": [{"from": _moment(start), "until": _moment(end)} for start, end in one.spans],
        "collection": one.collection,
        "definitions": list(one.definitions),
        "applied_at": _moment(one.applied_at),
        "deprecated_at": _moment(one.deprecated_at),
        "panes": {"opened": one.opened, "void": one.void, "due": one.due},
        "first_pane": _moment(one.first),
        "last_pane": _moment(one.last),
        "last_plan": one.plan,
        "last_release": one.release,
    }


def print_versions(found: ViewVersions, now: int, out: Output) -> None:
    """Print the versions of a view, then its budget and freshness."""
    table = Table(
        "version", "state", "collected", "opened", "void", "due", "first pane", "last pane", "definition", "last plan"
    )
    for one in found.versions:
        spans = ", ".join(f"{_day(start, 'the first pane')} … {_day(end, 'now on')}" for start, end in one.spans)
        table.add_row(
            f"{found.view.name}@v{one.version}",
            one.state,
            Cell(spans or "never", [[_moment(start), _moment(end)] for start, end in one.spans]),
            one.opened,
            one.void,
            one.due,
            _moment(one.first),
            _moment(one.last),
            Cell(f"{one.definitions[-1][:12]}…", one.definitions[-1]),
            Cell("–" if one.plan is None else f"{one.plan[:12]}…", one.plan),
        )
    out.table(table)
    quota = "no quota" if found.quota is None else f"quota ρ = {rho_text(found.quota)}"
    facts = [
        ("budget", f"ρ = {rho_text(found.micro_rho)} a client-day, of {rho_text(found.budget.micro_rho)}; {quota}"),
        ("fresh", _freshness(found, now)),
    ]
    facts += [("owner", found.view.owner)] if found.view.owner else []
    facts += [("tags", ", ".join(f"{key}={text}" for key, text in found.view.tags.items()))] if found.view.tags else []
    out.facts(facts)


def _freshness(found: ViewVersions, now: int) -> str:
    if found.newest_end is None or found.due_at is None:
        return "no release yet"
    late = "" if found.due_at > now else f", {_span(now - found.due_at)} ago"
    age = _span(max(0, now - found.newest_end))
    return f"the newest pane ended {_moment(found.newest_end)}, {age} ago; the next one is due {_moment(found.due_at)}{late}"


def _span(us: int) -> str:
    """A span of time in its largest unit."""
    seconds = us // 10**6
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _day(us: int | None, without: str) -> str:
    return without if us is None else utc_text(us)


def _moment(us: int | None) -> str | None:
    return None if us is None else utc_text(us)
