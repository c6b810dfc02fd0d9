"""The request of a run: what it collects, and under which terms. It is made once, at the edge, and carried whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aggregator.mpc.finish import require_exact
from aggregator.mpc.finish import require_installed as require_crypten
from base.times import utc_text
from crypto.bfv_seal import require_installed as require_tenseal
from crypto.errors import ConversionUnsafe
from deployment.errors import RunRefused
from deployment.panes import Between, panes_between
from featurestore.define.definitions import FeatureView
from federation.errors import NothingToSuppress, PlanInvalid
from federation.largest_sum import require_sums_fit
from federation.ledger.state import Budget
from federation.parties import DEFAULT_SITE_CLIENTS
from federation.plan import PLAN_ID_BYTES, FromEvents, Plan, PlannedView, new_plan
from federation.terms import Encrypted, Finish, Noise, Participation, ReportPer, RequestedTerms, Shares, Terms


@dataclass(frozen=True)
class CollectionRequest:
    """A run over a table of events, whether in one process or in many.

    Attributes:
        noise: `none` is for tests and labs: releases are marked, and the exact sums are published.
        budget: the most that a client-day may cost, over all runs into the store.
        between: the panes inside this time range; None: those of the days that hold events.
        min_clients: k instead of the views' own; it may only be larger, except with noise off.
        site_clients: the declared maximum of clients of a site; public.
    """

    views: tuple[FeatureView, ...]
    terms: Terms
    noise: Noise
    budget: Budget
    between: Between | None = None
    min_clients: int | None = None
    site_clients: int = DEFAULT_SITE_CLIENTS

    @classmethod
    def make(
        cls,
        views: Sequence[FeatureView],
        requested: RequestedTerms,
        budget: Budget,
        *,
        between: Between | None = None,
        min_clients: int | None = None,
        site_clients: int | None = None,
    ) -> CollectionRequest:
        """Make a request and settle its terms: the default participation follows from `site_clients`.

        Raises:
            RunRefused: `min_clients` is below a view's k, participation `all` has no declared `site_clients`, or no pane of
                the views lies inside the time range.
        """
        if between is not None and not any(len(panes_between(view, between)) for view in views):
            start, end = map(utc_text, between)
            panes = ", ".join(dict.fromkeys(view.pane for view in views))
            raise RunRefused(
                f"no pane ({panes}) of the views lies inside {start} … {end}. Give a longer range",
                settings=("start", "end"),
            )
        noisy = requested.noise is not Noise.NONE
        for view in views:
            if min_clients is not None and noisy and min_clients < view.privacy.min_clients:
                raise RunRefused(
                    f"`min_clients` {min_clients} is below view {view.name!r}'s own {view.privacy.min_clients}; it may only be "
                    "larger (without noise any number is accepted)",
                    settings=("min_clients", "noise"),
                )
        most = declared(site_clients, requested.participation)
        return cls(tuple(views), requested.of_sites([most]), requested.noise, budget, between, min_clients, most)

    @property
    def noisy(self) -> bool:
        """Whether the aggregators add noise."""
        return self.noise is not Noise.NONE

    def k(self, view: FeatureView) -> int:
        """The minimum number of clients of a pane of a view."""
        return self.min_clients or view.privacy.min_clients

    def planned(self, view: FeatureView, panes: npt.NDArray[np.int64]) -> PlannedView:
        """These panes of a view, as a plan contains them."""
        return PlannedView(view, panes, self.k(view))

    def plan(self, views: Sequence[PlannedView], sites: Sequence[int], *, plan_id: bytes, by_site: bool) -> Plan:
        """A plan without its parties' keys.

        Args:
            sites: the most clients of each site.
            by_site: a column of the events names the sites.
        """
        derived: tuple[FromEvents, ...] = (
            *(("days",) if self.between is None else ()),
            *(("sites",) if by_site else ()),
        )
        return new_plan(views, self.terms, self.noise, plan_id=plan_id, sites=sites, from_events=derived)


def declared(site_clients: int | None, participation: Participation | None, setting: str = "site_clients") -> int:
    """The most clients of a site, which is public: the declared number, else the default.

    Args:
        setting: the caller's name for the declared number.

    Raises:
        RunRefused: no number is declared under `all`, where each declared client sends a report.
    """
    if site_clients is None and participation is Participation.ALL:
        raise RunRefused(
            "under participation all a site sends one report for each declared client, also for clients without events; "
            "declare their number",
            settings=(setting,),
        )
    return DEFAULT_SITE_CLIENTS if site_clients is None else site_clients


def require_possible(views: Sequence[FeatureView], terms: Terms, noise: Noise, sites: Sequence[int]) -> None:
    """Return if sites with these numbers of clients can send reports of these views under these terms.

    Raises:
        RunRefused: they cannot; the message names the mend. ExtraMissing, CrypTenMissing: a package is not installed.
    """
    match terms:
        case Encrypted():
            require_tenseal()
            depends_on_clients = True
        case Shares():
            if terms.finish is Finish.MPC:
                require_crypten()
            depends_on_clients = terms.report_per is ReportPer.SITE
    try:
        planned = [PlannedView(view, np.zeros(1, np.int64), view.privacy.min_clients) for view in views]
        plan = new_plan(planned, terms, noise, plan_id=bytes(PLAN_ID_BYTES), sites=sites)
        require_sums_fit(plan, len(sites))
    except NothingToSuppress as error:
        raise RunRefused(str(error)) from None
    except PlanInvalid as error:
        if not depends_on_clients:
            raise RunRefused(str(error)) from None
        raise RunRefused(f"{error}; fewer clients a site may help", settings=("site_clients",)) from None


def require_convertible(planned: Sequence[PlannedView], clients: int) -> None:
    """Return if MPC can represent the values of these panes exactly; called before anything is charged.

    Raises:
        RunRefused: it cannot.
    """
    try:
        require_exact(planned, clients)
    except ConversionUnsafe as error:
        names = ", ".join(dict.fromkeys(one.view.name for one in planned))
        raise RunRefused(f"{names}: {error}; collect fewer days at once", settings=("start", "end")) from None
