"""What the API says about releases. Times are µs since the epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field

from covey.console.api.days_epsilon import DaysEpsilon
from covey.console.api.form import Body, Form
from deployment.coordinator.decisions import MAX_REASON
from deployment.inspect.releases import claims_of
from featurestore.define.release import GroupNoise, Manifest, PaneState
from featurestore.registry.release_pages import ListedPane, PlanTally
from featurestore.registry.tally import PublishedTally


class ReleaseRow(Form):
    """A published pane."""

    release_id: str
    view: str
    version: int
    pane_start: int
    pane_end: int
    state: PaneState
    reason: str | None
    released_at: int
    published_at: int
    retracted_at: int | None
    clock: Literal["live", "replay"]
    noise: str
    micro_rho: int
    trust: str
    signed: bool

    @classmethod
    def of(cls, pane: ListedPane) -> Self:
        """A pane of the list."""
        record, terms = pane.record, pane.record.manifest
        return cls(
            release_id=record.release_id.hex(),
            view=pane.registered.view.name,
            version=terms.view_version,
            pane_start=record.pane_start,
            pane_end=pane.pane_end,
            state=record.state,
            reason=record.state_reason,
            released_at=record.released_at,
            published_at=record.published_at,
            retracted_at=None if record.tombstone is None else record.tombstone.released_at,
            clock=record.clock,
            noise=terms.noise,
            micro_rho=terms.micro_rho,
            trust=terms.trust,
            signed=bool(record.signature),
        )


class ReleasePage(Form):
    """A page of the list, the newest pane first. `next`: the cursor of the next page."""

    releases: list[ReleaseRow]
    next: str | None


class ViewCount(Form):
    """How many panes a view has. `opened`: without the retracted ones."""

    view: str
    opened: int
    void: int
    retracted: int
    first: int
    last: int


class ReleaseCounts(Form):
    """All panes of the store, by view, and the kinds of trust that they have."""

    views: list[ViewCount]
    trusts: list[str]

    @classmethod
    def of(cls, tallies: Sequence[PlanTally]) -> Self:
        """The sums over all plans."""
        names = dict.fromkeys(tally.keeper.view.name for tally in tallies)
        return cls(
            views=[_count(name, [one for one in tallies if one.keeper.view.name == name]) for name in names],
            trusts=sorted({tally.manifest.trust for tally in tallies}),
        )


def _count(view: str, of_view: Sequence[PlanTally]) -> ViewCount:
    panes = PublishedTally.sum([one.panes for one in of_view])
    return ViewCount(
        view=view,
        opened=panes.opened,
        void=panes.void,
        retracted=panes.retracted,
        first=panes.first,
        last=panes.last,
    )


class NoiseGroup(Form):
    """The noise and the price of one noise group; see `covey release show`."""

    feature: str
    kind: str
    mechanism: str
    micro_rho: int
    micro_epsilon: int
    scale: float
    standard_error: float

    @classmethod
    def of(cls, group: GroupNoise) -> Self:
        """A group of a manifest."""
        return cls(
            feature=group.feature,
            kind=group.kind,
            mechanism=group.mechanism,
            micro_rho=group.micro_rho,
            micro_epsilon=group.micro_epsilon,
            scale=group.scale,
            standard_error=group.standard_error,
        )


class SitesInRelease(Form):
    """Which sites are in the sums. `share`: of all enrolled clients, whose sites are. `missing`: at most 1,000 of them."""

    counted: int
    enrolled: int
    share: float
    missing: list[str]


class ReleaseHashes(Form):
    """Hashes and the signature of a release, in hexadecimal."""

    plan: str
    definition: str
    content: str
    leader_statement: str
    helper_statement: str
    opened: list[str]
    signature: str


class ReleaseDetail(Form):
    """One release with the terms under which it was opened, without its values."""

    release: ReleaseRow
    protection: str
    validity: str
    participation: str
    min_clients: int
    k_checked_by: str
    finish: str
    report_per: str
    noise_source: str
    noisers: int
    noise_split: str
    micro_epsilon: int | None
    leak_micro_rho: int
    delta: float
    claims: list[DaysEpsilon]
    groups: list[NoiseGroup]
    outside_claim: list[str]
    sites: SitesInRelease | None
    hashes: ReleaseHashes
    command: str

    @classmethod
    def of(cls, pane: ListedPane, command: str) -> Self:
        """A pane of the store. `command`: the one that prints the same."""
        record, terms = pane.record, pane.record.manifest
        leader, helper = terms.commitments
        return cls(
            release=ReleaseRow.of(pane),
            protection=terms.protection,
            validity=terms.validity,
            participation=terms.participation,
            min_clients=terms.min_clients,
            k_checked_by=terms.k_checked_by,
            finish=terms.finish,
            report_per=terms.report_per,
            noise_source=terms.noise_source,
            noisers=terms.noisers,
            noise_split=terms.noise_split,
            micro_epsilon=terms.micro_epsilon,
            leak_micro_rho=terms.leak_micro_rho,
            delta=terms.delta,
            claims=list(map(DaysEpsilon.of, claims_of(terms))),
            groups=list(map(NoiseGroup.of, terms.groups)),
            outside_claim=list(terms.outside_claim),
            sites=_sites(terms),
            hashes=ReleaseHashes(
                plan=terms.plan_hash,
                definition=terms.definition_hash,
                content=record.content.hex(),
                leader_statement=leader,
                helper_statement=helper,
                opened=list(terms.opened),
                signature=record.signature.hex(),
            ),
            command=command,
        )


def _sites(terms: Manifest) -> SitesInRelease | None:
    sites = terms.sites
    if sites is None:
        return None
    return SitesInRelease(
        counted=sites.counted,
        enrolled=sites.enrolled,
        share=terms.site_share / 1e6,
        missing=list(sites.missing[:1_000]),
    )


class RetractionPreview(Form):
    """What a retraction would do. `why_not`: why it is not possible; null: it is."""

    release: ReleaseRow
    effect: str
    why_not: str | None
    command: str


class RetractionRequest(Body):
    """`reason` is published with the tombstone."""

    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON)]
    confirmed: bool = False


class Retraction(Form):
    """A published tombstone, and the command that does the same."""

    release: ReleaseRow
    signed: bool
    command: str
