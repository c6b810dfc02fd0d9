"""The panes of a fleet: how many there are, which came last, and which sites are in them. Times are µs since the epoch."""

from __future__ import annotations

from typing import Final

from base.times import utc_text
from covey.console.api.form import Form
from covey.console.commands import command
from deployment.inspect.fleet import PanesOfView
from deployment.inspect.site_coverage import ViewCoverage
from featurestore.registry.watch import Published

from .part import Part

MOST_PANES: Final = 100
"""The most panes of a list; beside it stands how many there are."""


class NextPanes(Form):
    """What a coordinator would do now with a version of a view.

    `ready`: how many panes it would plan; `pausing`: how many are tried again later; `next`: when the next pane closes.
    """

    version: int
    ready: int
    pausing: int
    next: int | None


class PanesOf(Form):
    """The panes of a view. `exhausted`: those that were attempted as often as is allowed, and the command that voids one."""

    view: str
    opened: int
    void: int
    due: int
    exhausted: int
    exhausted_panes: tuple[int, ...]
    void_command: str | None
    next: tuple[NextPanes, ...]


class PanesPart(Part):
    """The panes of each view."""

    views: tuple[PanesOf, ...] = ()


class Arrival(Form):
    """A pane that was published, and how long after its end it came."""

    view: str
    version: int
    seq: int
    pane_start: int
    pane_end: int
    published: int
    late_s: float
    state: str
    reason: str | None


class ArrivalsPart(Part):
    """The panes that were published last, the newest first."""

    panes: tuple[Arrival, ...] = ()


class PaneCoverage(Form):
    """A published pane. `sites`: what it says of each site, in the order of `Coverage.sites`."""

    start: int
    end: int
    state: str
    reason: str | None
    counted: int | None
    enrolled: int | None
    client_share: float | None
    sites: tuple[str, ...]


class Coverage(Form):
    """Which sites are in the newest panes of a view, the oldest first. `panes`: how many panes the view has in all."""

    view: str
    sites: tuple[str, ...]
    panes: int
    shown: tuple[PaneCoverage, ...]


def panes_form(one: PanesOfView, project: str) -> PanesOf:
    """The panes of a view."""
    counts, exhausted = one.counts, one.counts.exhausted.tolist()
    name = counts.view.name
    void = None
    if exhausted:
        pane = utc_text(exhausted[0])
        void = command("covey", "release", "void", name, pane, "--reason", "WHY", "--project", project)
    return PanesOf(
        view=name,
        opened=counts.opened,
        void=counts.void,
        due=counts.due,
        exhausted=len(exhausted),
        exhausted_panes=tuple(exhausted[:MOST_PANES]),
        void_command=void,
        next=tuple(
            NextPanes(
                version=each.collected.version, ready=len(each.ready), pausing=len(each.pausing), next=each.next_us
            )
            for each in one.next
        ),
    )


def arrival_form(one: Published) -> Arrival:
    """A published pane."""
    return Arrival(
        view=one.view,
        version=one.version,
        seq=one.seq,
        pane_start=one.pane_start,
        pane_end=one.pane_end,
        published=one.published_at,
        late_s=(one.published_at - one.pane_end) / 1e6,
        state=one.state,
        reason=one.reason,
    )


def coverage_form(one: ViewCoverage) -> Coverage:
    """The coverage of a view."""
    return Coverage(
        view=one.view,
        sites=one.sites,
        panes=one.panes,
        shown=tuple(
            PaneCoverage(
                start=each.start_us,
                end=each.end_us,
                state=each.state,
                reason=each.reason,
                counted=each.counted,
                enrolled=each.enrolled,
                client_share=each.client_share,
                sites=tuple(site.value for site in each.sites),
            )
            for each in one.shown
        ),
    )
