"""Neighbouring worlds through real parties on disk, where attempts are freed and their panes are collected again.

A world has many days. On the first of them the canary has its events, on the others none; nothing else differs. So one run of a
site, a leader and a helper, with their ledgers and live secrets, draws the noise of all days, and each day is a draw of the
attacker:

    hours 9, 10   first attempt, reported, freed while it is open; second attempt, reported, freed when it is closed; third
                  attempt, opened
    hour 11       reported while the first attempt of the other hours is under way, opened at the end

Whatever an aggregator sends at any time, the attacker keeps. The claims are what the ledgers say that a client-day has cost.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aggregator.collect.collection import CollectedShares
from aggregator.collect.collection_job import collect_request, free_request
from aggregator.errors import AggregatorError
from aggregator.storage.role_storage import Storage
from crypto import field as field64
from edge_client.events import Events, make_events
from edge_client.policy import Refuse
from edge_client.site import SiteSettings
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from federation.aggregation import OpenedView
from federation.attempt import Attempt
from federation.basis import to_noise_basis
from federation.errors import FederationError
from federation.ledger.ledger import Ledger
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import Budget
from federation.manifest import manifest_of
from federation.plan import Plan, PlannedView
from federation.price import NO_PRICE, Price
from tests.aggregator.world import SETTINGS, Clock, LocalLink, make_helper, make_leader, open_at
from tests.edge_client.making import POLICY, ask
from tests.federation.wire import COLLECTOR, COORDINATOR, DAY, SITE, TERMS, live
from tests.federation.words import plan_in_words

HOUR: Final = DAY // 24
OTHERS: Final = 2
RETRIED: Final = (9, 10)
ONCE: Final = (11,)
CANARYS_CELLS: Final = ((9, 0), (10, 0), (10, 1), (11, 0), (11, 1))
"""More than the bounds allow, with ten events each, also more than they allow."""
VIEW: Final = FeatureView(
    "visits",
    entity=Entity("k", domain=[0, 1]),
    features=[Count("n")],
    pane="1h",
    bounds=Bounds(2, max_events_per_cell=2),
    privacy=Privacy(rho=2.0, min_clients=OTHERS),
)
SHARED_VIEW: Final = FeatureView(
    "visits",
    entity=VIEW.entity,
    features=VIEW.features,
    pane="1h",
    bounds=Bounds(2, max_events_per_cell=5),
    privacy=Privacy(rho=1.5, min_clients=OTHERS, noisers="shared"),
)
"""The same sums with shared noise of σ² = 8.3 of each aggregator."""
LAYOUT: Final = layout_of(VIEW)
"""Its slots are those of both views."""
ROLES: Final = ("leader", "helper")
LARGE: Final = 10**9

Canary = Literal["in time", "late"]
"""late: the events of hours 9 and 10 arrive after the first attempt, those of hour 11 never."""
Ints = npt.NDArray[np.int64]


class Recorder(Storage):
    """A storage that shows the auditor an aggregator's sums, and the noise that it draws."""

    synchronous = "OFF"

    def __init__(self, *what: Any) -> None:
        self.recorded: dict[int, tuple[npt.NDArray[np.uint64], Ints]] = {}
        super().__init__(*what)

    def add_noised(self, plan: int, shares: Any, held: Sequence[bytes] = ()) -> None:
        noised = field64.from_bytes(held[0]).reshape(-1, LAYOUT.length)
        sums = self.reports.sums(plan, np.arange(len(noised), dtype=np.uint32), LAYOUT.length)
        mapped = to_noise_basis(LAYOUT, sums)
        self.recorded[plan] = mapped, field64.decode_centred(field64.subtract(noised, mapped))
        super().add_noised(plan, shares, held)


class Unsynced(Ledger):
    synchronous = "OFF"


@dataclass(frozen=True, eq=False)
class Opening:
    """The opened sums of a plan, and for the auditor the exact ones and the noise: int64[days, slots of a day]."""

    sums: Ints
    exact: Ints
    noise: dict[str, Ints]


@dataclass(eq=False)
class Seen:
    """What left a world.

    Attributes:
        openings: by plan, all sums that both aggregators have sent.
        price: the least that any ledger says a client-day has cost.
    """

    openings: dict[int, Opening] = field(default_factory=dict)
    price: Price = NO_PRICE


def events(days: int, canary_days: int, canary: Canary, *, late: bool) -> Events:
    """The events of a site. `late`: those too that arrive after the first attempt."""
    rows = [
        (f"p{other}", day * DAY + hour * HOUR, other % 2)
        for day in range(days)
        for other in range(OTHERS)
        for hour in (*RETRIED, *ONCE)
    ]
    if late or canary == "in time":
        cells = [cell for cell in CANARYS_CELLS if canary == "in time" or cell[0] in RETRIED]
        who = range(canary_days)
        rows += [("q", day * DAY + hour * HOUR + n, k) for day in who for hour, k in cells for n in range(10)]
    names, times, keys = zip(*rows, strict=True)
    return make_events(pa.table({"who": names, "t": pa.array(times, pa.timestamp("us")), "k": keys}), "who", "t")


class World:
    """One run.

    Args:
        canary_days: the number of days on which the canary has events, from the first.
        keep: keep what each party sees in files, for a comparison of two worlds.
        view: what is collected.
    """

    def __init__(
        self,
        folder: Path,
        days: int,
        canary_days: int,
        canary: Canary = "in time",
        participation: str = "all",
        *,
        keep: bool = False,
        view: FeatureView = VIEW,
    ) -> None:
        self.folder, self.days, self.participation, self.keep = folder, days, participation, keep
        self.canary_days, self.canary, self.view = canary_days, canary, view
        self.rng, self.seen, self.plans, self.steps = np.random.default_rng(canary_days), Seen(), 0, 0
        self.statements: dict[bytes, list[bytes]] = {}
        self.now = (days + 10) * DAY
        (folder / "seen").mkdir(parents=True)
        settings, files = replace(SETTINGS, budget=Budget(LARGE)), (Clock(self.now), Recorder, Unsynced)
        self.helper = make_helper(folder, settings, *files)
        self.leader = make_leader(folder, LocalLink(self.helper), settings, *files)
        policy = replace(POLICY, max_micro_rho=LARGE)
        self.site = SiteSettings("a", SITE, OTHERS + 1, policy, folder / "site-a.db")

    def run(self, *, opened_first: bool = False) -> Seen:
        """All attempts. `opened_first`: the first attempt is opened before it is freed."""
        try:
            first, once = self.report(RETRIED, late=False), self.report(ONCE, late=False)
            if opened_first:
                self.collect(first)
            self.free(first)
            second = self.report(RETRIED, first)
            self.close(second)
            self.free(second)
            third = self.report(RETRIED, second)
            for plan in (third, once):
                self.collect(plan)
            ledgers = [self.leader.files.ledger.state, self.helper.files.ledger.state]
            spent = [*ledgers, read_ledger(self.site.ledger, "site-a").state]
            prices = [price for one in spent for price in one.prices.values()]
            self.seen.price = min(prices, key=lambda price: price.aggregator.micro_rho)
            return self.seen
        finally:
            self.leader.close()
            self.helper.close()

    def report(self, hours: Sequence[int], before: Plan | None = None, *, late: bool = True) -> Plan:
        """Plan these hours, announce the plan, and have the site report."""
        panes = np.array([day * DAY + hour * HOUR for day in range(self.days) for hour in hours], np.int64)
        number, self.plans = self.plans.to_bytes(16, "big"), self.plans + 1
        terms = replace(TERMS, deadline_us=self.now + DAY)
        made = plan_in_words(
            number, (PlannedView(self.view, panes, OTHERS),), wire=terms, participation=self.participation
        )
        earlier = (Attempt(before.hash, tuple(self.statements[before.hash])),) if before else ()
        plan = live(replace(made, earlier=earlier))
        for role in ROLES:
            open_at(getattr(self, role), plan)
        seed = int(self.rng.integers(2**32))
        answer = ask(plan, events(self.days, self.canary_days, self.canary, late=late), self.site, seed, self.now)
        assert not isinstance(answer, Refuse), answer
        for batch in answer:
            assert not self.leader.submit(batch.to_bytes()).pending
        headers = [[sorted(one.signed.header.collection.tolist()), len(one.to_bytes())] for one in answer]
        self.note("coordinator", plan=[len(one.statements) for one in plan.earlier], batches=headers)
        return plan

    def close(self, plan: Plan) -> None:
        """Both close the plan, and draw no noise yet."""
        self.leader._swapped.opening._shared._closing.close_with_helper(plan)

    def free(self, plan: Plan) -> None:
        """Have the plan freed, then ask for its sums. What both signed of it is kept for the next attempt."""
        statements = self._asked(lambda: self.leader.free(free_request(plan.hash, COORDINATOR.sign)))
        self.note("coordinator", freed=None if statements is None else [len(one) for one in statements])
        if statements is not None:
            self.statements[plan.hash] = statements
        self.collect(plan)

    def collect(self, plan: Plan) -> None:
        """Ask both for their shares of the sums, and open them if both send them."""
        request = collect_request(plan, COLLECTOR.sign)
        both = [self._asked(lambda role=role: getattr(self, role).collect(request)) for role in ROLES]
        self.note("collector", shares=[None if one is None else [len(share.sealed) for share in one] for one in both])
        leader, helper = both
        if leader is None or helper is None:
            return
        (opened,) = CollectedShares.of(plan, leader, helper, COLLECTOR.seal).open(plan)
        self.statements.setdefault(plan.hash, [share.statement for share in (*leader, *helper)])
        self._publish(plan, opened)
        stored = {role: getattr(self, role).files.storage for role in ROLES}
        (mapped, noise) = zip(*(one.recorded[one.plan(plan.hash).number] for one in stored.values()), strict=True)
        day = (self.days, -1)
        self.seen.openings[int.from_bytes(plan.plan_id, "big")] = Opening(
            opened.sums.reshape(day),
            field64.decode_centred(field64.add(*mapped)).reshape(day),
            {role: one.reshape(day) for role, one in zip(ROLES, noise, strict=True)},
        )

    def _publish(self, plan: Plan, opened: OpenedView) -> None:
        """What outsiders see of the releases, apart from the noised values."""
        manifest = manifest_of(plan, opened.planned, noise_source="test", trust="test", commitments=("", ""))
        self.note("outsiders", manifest=repr(manifest), outcomes=opened.outcomes.tolist())

    def _asked(self, call: Any) -> Any:
        try:
            return call()
        except (AggregatorError, FederationError) as refusal:
            self.note("coordinator", refused=[type(refusal).__name__, str(refusal)])
            return None

    def note(self, who: str, **what: Any) -> None:
        """Keep what somebody has seen now, and the files of both aggregators."""
        if not self.keep:
            return
        self.steps += 1
        (self.folder / "seen" / f"{self.steps}-{who}.json").write_text(json.dumps(what))
        for role in ROLES:
            getattr(self, role).files.storage.empty_log()
            for path in self.folder.glob(f"{role}*.db"):
                shutil.copy(path, self.folder / "seen" / f"{self.steps}-{path.name}")
