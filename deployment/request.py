"""What a run collects and under which terms: made once, at the edge, and carried to wherever the run happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aggregator.mpc.finish import require_exact
from aggregator.mpc.finish import require_installed as require_crypten
from crypto.bfv_seal import require_installed as require_tenseal
from crypto.errors import ConversionUnsafe
from deployment.errors import RunRefused
from featurestore.define.definitions import FeatureView
from federation.errors import NothingToSuppress, PlanInvalid
from federation.ledger.state import Budget
from federation.parties import DEFAULT_SITE_CLIENTS
from federation.plan import PLAN_ID_BYTES, FromEvents, Plan, PlannedView, new_plan
from federation.protocol import require_sums_fit
from federation.terms import Encrypted, Finish, Noise, Participation, ReportPer, RequestedTerms, Shares, Terms


@dataclass(frozen=True)
class CollectionRequest:
    """A run over a table of events, whether in one process or in many.

    Attributes:
        noise: `none` is for tests and labs: releases are marked, and the exact sums are published.
        budget: what a client-day may cost, over all runs into the store.
        days: [from, to) in UTC days since the epoch; None: the days that hold events.
        min_clients: k instead of the views' own; it may only tighten, except with noise off.
        site_clients: how many clients a site may have: declared, for everybody to see.
    """

    views: tuple[FeatureView, ...]
    terms: Terms
    noise: Noise
    budget: Budget
    days: tuple[int, int] | None = None
    min_clients: int | None = None
    site_clients: int = DEFAULT_SITE_CLIENTS

    @classmethod
    def make(
        cls,
        views: Sequence[FeatureView],
        requested: RequestedTerms,
        budget: Budget,
        *,
        days: tuple[int, int] | None = None,
        min_clients: int | None = None,
        site_clients: int | None = None,
    ) -> CollectionRequest:
        """A request whose terms are settled: who reports follows from how many clients a site may have.

        Raises:
            RunRefused: `min_clients` would loosen a view's k, or nobody has declared how many clients report under `all`.
        """
        noisy = requested.noise is not Noise.NONE
        for view in views:
            if min_clients is not None and noisy and min_clients < view.privacy.min_clients:
                raise RunRefused(
                    f"--min-clients {min_clients} is below view {view.name!r}'s own {view.privacy.min_clients}; "
                    "it may only be larger (with --noise off any number is accepted)"
                )
        most = declared(site_clients, requested.participation)
        return cls(tuple(views), requested.of_sites([most]), requested.noise, budget, days, min_clients, most)

    @property
    def noisy(self) -> bool:
        """Whether the aggregators add noise."""
        return self.noise is not Noise.NONE

    def k(self, view: FeatureView) -> int:
        """How many clients a pane of a view needs."""
        return self.min_clients or view.privacy.min_clients

    def planned(self, view: FeatureView, panes: npt.NDArray[np.int64]) -> PlannedView:
        """These panes of a view, as they stand in a plan."""
        return PlannedView(view, panes, self.k(view))

    def plan(self, views: Sequence[PlannedView], sites: Sequence[int], *, plan_id: bytes, by_site: bool) -> Plan:
        """A plan without its parties' keys.

        Args:
            sites: how many clients each may have.
            by_site: a column of the events names the sites.
        """
        derived: tuple[FromEvents, ...] = (*(("days",) if self.days is None else ()), *(("sites",) if by_site else ()))
        return new_plan(views, self.terms, self.noise, plan_id=plan_id, sites=sites, from_events=derived)


def declared(site_clients: int | None, participation: Participation | None, option: str = "--site-clients N") -> int:
    """How many clients a site has at most, for all to see: what was declared, else a public number.

    Raises:
        RunRefused: under `all` each of them reports, so the number must be one that somebody has chosen.
    """
    if site_clients is None and participation is Participation.ALL:
        raise RunRefused(
            "under participation all a site sends a report of every client that it may have, zeros too: declare how many "
            f"that is, with {option}"
        )
    return DEFAULT_SITE_CLIENTS if site_clients is None else site_clients


def require_possible(views: Sequence[FeatureView], terms: Terms, noise: Noise, sites: Sequence[int]) -> None:
    """Return if sites of so many clients each can send reports of these views under these terms.

    Raises:
        RunRefused: by name, with the mend. ExtraMissing, CrypTenMissing: what the terms need is not installed.
    """
    match terms:
        case Encrypted():
            require_tenseal()
            mend = "; with fewer clients of a site there may be: --site-clients N"
        case Shares():
            if terms.finish is Finish.MPC:
                require_crypten()
            of_site = terms.report_per is ReportPer.SITE
            mend = "; with fewer clients of a site it may: --site-clients N" if of_site else ""
    try:
        planned = [PlannedView(view, np.zeros(1, np.int64), view.privacy.min_clients) for view in views]
        plan = new_plan(planned, terms, noise, plan_id=bytes(PLAN_ID_BYTES), sites=sites)
        require_sums_fit(plan, len(sites))
    except NothingToSuppress as error:
        raise RunRefused(str(error)) from None
    except PlanInvalid as error:
        raise RunRefused(f"{error}{mend}") from None


def require_convertible(planned: Sequence[PlannedView], clients: int) -> None:
    """RunRefused where so many values of one plan cannot get into MPC exactly; before anything is charged."""
    try:
        require_exact(planned, clients)
    except ConversionUnsafe as error:
        names = ", ".join(dict.fromkeys(one.view.name for one in planned))
        raise RunRefused(f"{names}: {error} (fewer days: --from, --to)") from None
