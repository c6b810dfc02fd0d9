"""What `covey apply` would do with the views of a file: for each, the kind of change, its times, its price and its history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from base.times import DAY_US
from featurestore.define.carry import Carry
from featurestore.define.changes import Effect, FieldChange, NewCollection, ViewChange
from featurestore.define.definitions import FeatureView
from featurestore.define.feature import PaneFeature, ViewFeature
from featurestore.define.filtered import Filtered
from featurestore.define.layout import layout_of
from featurestore.define.panes import NEVER
from featurestore.define.records import FIRST_MOMENT, RegisteredView
from featurestore.define.references import resolve
from featurestore.define.wire import collection_hash
from featurestore.errors import BadReference, NotFoundError
from featurestore.registry.hand_over import HandOver, Timing
from featurestore.registry.lineage import Lineage
from federation.accountant import EpsilonClaim, cost_of_day
from federation.ledger.operator import LEDGERS, OPERATOR, operator_path
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import Budget

from .known_releases import registry_of
from .project import DEFAULT_BUDGET, FILE, Project

_PRICES: Final = frozenset(
    {"privacy.rho", "privacy.epsilon", "privacy.delta", "privacy.min_clients", "privacy.noisers"}
)
"""Fields that change the noise or the size of a release, and not what its sums mean."""


@dataclass(frozen=True)
class FirstVersion:
    """The store does not have the view: it becomes version 1."""

    changes: tuple[FieldChange, ...] = ()


@dataclass(frozen=True)
class FeatureHistory:
    """Whether the history of a feature goes on in the next version.

    Attributes:
        why: the fields whose change ends it; empty where it is kept, and for a new feature.
        is_new: whether the version before does not have the feature.
    """

    feature: str
    is_kept: bool
    is_new: bool = False
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class DayBudget:
    """The budget of a client-day on days from `from_us` on, in micro-ρ.

    Attributes:
        cost: of all collections of the view on such a day.
        left: of the whole budget, without what all views cost; or of the view's quota if that has less. Below 0: the day has no
            budget for all of them.
    """

    from_us: int
    cost: int
    left: int


@dataclass(frozen=True)
class ViewDiff:
    """What would happen to one view.

    Attributes:
        view: its definition in the file, as it is collected.
        version: the version that would have the definition. before: the one that was applied last; None: there is none.
        is_roll_back: whether `version` is an older one, which would be current again.
        is_served: whether the view's name moves to the version at once, or serves it already.
        from_us: the UTC midnight from which a new collection is collected; None: nothing is newly collected, or nothing of the
            version is published yet, so that it takes the definition at once.
        until_us: the UTC midnight at which the last other collection of the name ends then, if there is one. Later than `from_us`:
            they overlap.
        micro_rho: what a client-day costs in the budget. claim: its ε at the view's δ.
        budget: of today; and with a new collection of its first day, and of the first day that it has alone.
        features: the features of the file's definition.
        breaks: `service: reference` of each feature service that would lose a feature.
    """

    view: FeatureView
    change: FirstVersion | ViewChange
    version: int
    before: int | None
    is_roll_back: bool
    is_served: bool
    from_us: int | None
    until_us: int | None
    micro_rho: int
    claim: EpsilonClaim
    budget: tuple[DayBudget, ...]
    features: tuple[FeatureHistory, ...]
    breaks: tuple[str, ...]

    @property
    def collects(self) -> bool:
        """Whether sums are newly collected, at a price."""
        return isinstance(self.change, FirstVersion | NewCollection)


@dataclass(frozen=True)
class Evolution:
    """What would happen to the views of a file, and the views of the store that it leaves alone.

    Attributes:
        budget: of a client-day. budget_from: where it is from.
        as_defined: whether views get their present prices; see `evolution_of`.
    """

    views: tuple[ViewDiff, ...]
    left_alone: tuple[str, ...]
    budget: Budget
    budget_from: str
    as_defined: bool

    @property
    def changed(self) -> tuple[ViewDiff, ...]:
        """The views to which something would happen."""
        return tuple(one for one in self.views if isinstance(one.change, FirstVersion) or one.change.changes)


@dataclass(frozen=True)
class _Span:
    """A collection that is collected in [start, end), by a definition of it."""

    view: FeatureView
    start: int
    end: int


def evolution_of(
    directory: Path, views: Sequence[FeatureView], timing: Timing, *, as_defined: bool = False
) -> Evolution:
    """What `apply` would do with the views of a file in the store of a directory. Reads only.

    Args:
        views: as they are collected in the directory.
        as_defined: at their present prices, also if an earlier version of Covey registered them at others.

    Raises:
        HandOverRefused: a new collection cannot begin then. ConfigInvalid. StoreCorrupt.
    """
    budget, origin = budget_of(directory)
    with registry_of(directory) as registry:
        lineages = {} if registry is None else {one.name: one for one in registry.lineages()}
        plans = [
            (view, None if registry is None else registry.plan(view, timing, as_defined=as_defined)) for view in views
        ]
        services = {} if registry is None else registry.services()
        in_force = [view if registry is None or as_defined else registry.in_force(view) for view in views]
    now = {name: _spans(lineage) for name, lineage in lineages.items()}
    after = dict(now)
    for view, (_, plan) in zip(in_force, plans, strict=True):
        after[view.name] = _spans_after(view, lineages.get(view.name), plan)
    diffs = tuple(
        _diff(view, lineages.get(view.name), plan, timing, _Budgets(budget, now, after), services)
        for view, (_, plan) in zip(in_force, plans, strict=True)
    )
    return Evolution(diffs, tuple(sorted(lineages.keys() - {view.name for view in views})), budget, origin, as_defined)


def budget_of(directory: Path) -> tuple[Budget, str]:
    """The budget of a client-day for collections into a directory, and where it is from.

    Raises:
        ConfigInvalid. LedgerBroken.
    """
    if (project := Project.find(directory)) is not None:
        return project.budget, FILE
    path = operator_path(directory / LEDGERS)
    last = read_ledger(path, OPERATOR).state.budget if path.is_file() else None
    return (DEFAULT_BUDGET, "the default") if last is None else (last, "the last run")


def _diff(
    view: FeatureView,
    lineage: Lineage | None,
    plan: HandOver | None,
    timing: Timing,
    budgets: _Budgets,
    services: Mapping[str, Sequence[str]],
) -> ViewDiff:
    cost = cost_of_day([layout_of(view)])
    claim = cost.claims(view.privacy.delta)[0]
    micro_rho = budgets.budget.counted(cost.price)
    today = timing.now // DAY_US * DAY_US
    if lineage is None or plan is None:
        features = tuple(FeatureHistory(name, is_kept=False, is_new=True) for name in _names(view))
        first = tuple(budgets.on(view.name, [today], after=True))
        return ViewDiff(view, FirstVersion(), 1, None, False, True, None, None, micro_rho, claim, first, features, ())
    newest = lineage.newest.registered
    version = (
        plan.version.registered.version if plan.version else max(one.registered.version for one in lineage.versions) + 1
    )
    collects = plan.place is not None and collection_hash(view) != lineage.newest.collection
    from_us = plan.place.from_us if plan.place is not None and collects else None
    until_us = None
    days = list(budgets.on(view.name, [today], after=False))
    if from_us is not None:
        until_us = _end_of_others(budgets.after[view.name], view)
        days += budgets.on(view.name, sorted({from_us, max(from_us, until_us or from_us)}), after=True)
    elif plan.place is None and isinstance(plan.change, NewCollection):
        days = list(budgets.on(view.name, [today], after=True))
    return ViewDiff(
        view,
        plan.change,
        version,
        newest.version,
        plan.place is not None and plan.version is not None,
        _is_served(lineage, plan),
        from_us,
        until_us,
        micro_rho,
        claim,
        tuple(days),
        tuple(_histories(newest.view, view, plan.change)),
        tuple(_broken(view, services)),
    )


def _is_served(lineage: Lineage, plan: HandOver) -> bool:
    """Whether the name serves the version of a plan already, or moves to it at once."""
    if plan.version is not None and plan.version.registered.version == lineage.served.registered.version:
        return True
    return plan.place is not None and plan.place.is_served


# the budget


@dataclass(frozen=True)
class _Budgets:
    """The budget, and which collections of each name are collected when, now and after the change."""

    budget: Budget
    now: Mapping[str, Sequence[_Span]]
    after: Mapping[str, Sequence[_Span]]

    def on(self, name: str, days: Iterable[int], *, after: bool) -> Iterator[DayBudget]:
        """The budget on the days that begin at these moments."""
        for day in days:
            costs = {one: self._cost(spans, day) for one, spans in (self.after if after else self.now).items()}
            left = self.budget.micro_rho - sum(costs.values())
            mine = costs.get(name, 0)
            if (quota := self.budget.quotas.get(name)) is not None:
                left = min(left, quota - mine)
            yield DayBudget(day, mine, left)

    def _cost(self, spans: Sequence[_Span], day: int) -> int:
        collected = {collection_hash(one.view): one.view for one in spans if one.start <= day < one.end}
        return sum(self.budget.counted(cost_of_day([layout_of(view)]).price) for view in collected.values())


def _spans(lineage: Lineage) -> tuple[_Span, ...]:
    return tuple(
        _Span(one.view, one.from_us, NEVER if one.until_us is None else one.until_us) for one in lineage.to_collect()
    )


def _spans_after(view: FeatureView, lineage: Lineage | None, plan: HandOver | None) -> tuple[_Span, ...]:
    """The collections of a name once its definition is applied."""
    if lineage is None or plan is None:
        return (_Span(view, FIRST_MOMENT, NEVER),)
    place = plan.place
    if place is None:
        return tuple(
            replace(one, view=view) if one.view == lineage.newest.registered.view else one for one in _spans(lineage)
        )
    before = [
        _Span(version.registered.view, entry.from_us, place.ends.get(entry.place, entry.until))
        for entry, version in lineage.entries
    ]
    return (*before, _Span(view, place.from_us, NEVER if place.until_us is None else place.until_us))


def _end_of_others(spans: Sequence[_Span], view: FeatureView) -> int | None:
    """When the last collection of a name ends that is not the one of this definition; None: there is none."""
    mine = collection_hash(view)
    return max((one.end for one in spans if one.start < one.end and collection_hash(one.view) != mine), default=None)


# history and services


def _names(view: FeatureView) -> list[str]:
    return [name for feature in view.features for name in _served(feature)]


def _served(feature: ViewFeature) -> tuple[str, ...]:
    """The names under which a feature is served, without windows."""
    return feature.served_names(())


def _histories(old: FeatureView, new: FeatureView, change: ViewChange) -> Iterator[FeatureHistory]:
    """For each feature of the new definition, whether its history goes on."""
    known = {name for feature in old.features for name in _served(feature)}
    carry = Carry.between(old, new)
    carried = {feature.name for feature, is_carried in zip(new.collected, carry.carried, strict=True) if is_carried}
    for feature in new.features:
        source = _collected(new, feature)
        kept = not isinstance(change, NewCollection) or source.name in carried
        for name in _served(feature):
            is_new = name not in known
            why = () if kept else tuple(_why(change, source))
            yield FeatureHistory(name, kept, is_new and not kept, why)


def _collected(view: FeatureView, feature: ViewFeature) -> PaneFeature:
    """The feature whose sums a feature is decoded from."""
    if isinstance(feature, Filtered):
        return view.rate_of(feature)
    if not isinstance(feature, PaneFeature):
        raise TypeError(f"{feature!r} is read from no sums")
    return view.source_of(feature) or feature


def _why(change: ViewChange, source: PaneFeature) -> Iterator[str]:
    """The changed fields that end the history of a feature with sums of its own."""
    mine = f"features.{source.name}"
    for one in change.changes:
        is_mine = one.field == mine or one.field.startswith(f"{mine}.")
        changes_sums = one.effect is Effect.COLLECTED and one.field not in _PRICES and not one.field.endswith(".weight")
        if changes_sums and (is_mine or not one.field.startswith("features.")):
            yield one.field


def _broken(view: FeatureView, services: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Each reference of a feature service to the view's name that the new definition has no feature for."""
    registered = RegisteredView(0, 0, view, 0)
    for service, refs in services.items():
        for ref in refs:
            if ref.partition(":")[0] == view.name:
                try:
                    resolve([ref], lambda *_: registered, full_names=True, intervals=False)
                except (BadReference, NotFoundError):
                    yield f"{service}: {ref}"
