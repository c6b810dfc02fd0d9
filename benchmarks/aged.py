"""What an old deployment costs against a new one: ledgers, an aggregator's storage and a store after many one-pane plans.

    python -m benchmarks.aged [--panes 43200]

43,200 panes are a month of minutes, or two and a half days of panes of 5 s. Every number is of one plan of one pane: at the start
and after all those plans. Other benchmarks use `aged_ledger` and `aged_storage` to begin old.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from aggregator.collect.aggregate_share import SealedShare
from aggregator.storage.retention import forget
from aggregator.storage.role_storage import Storage
from base.times import DAY_US, SECOND_US
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import Release
from featurestore.define.wire import collection_hash, definition_hash
from featurestore.publish.publish import Publisher
from federation.accountant import charge_of
from federation.ledger.entries import CompletionEntry, IntentEntry, ViewIntent
from federation.ledger.ledger import Ledger
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import Budget
from federation.plan import Plan, PlannedView
from federation.terms import Noise, Shares
from tests.featurestore.making import manifest_of

MONTH_OF_MINUTES: Final = 43_200
START_US: Final = 20_000 * DAY_US
BUDGET: Final = Budget(1_000_000)
SAMPLES: Final = 20


def minute_view() -> FeatureView:
    """A small view of panes of one minute."""
    return FeatureView(
        "traffic",
        entity=Entity("road", domain=[f"road {at}" for at in range(20)]),
        features=[Count("vehicles")],
        pane="1m",
        windows=["1h", "28d"],
        bounds=Bounds(max_cells=10, max_events_per_cell=2),
        privacy=Privacy(rho=0.1, min_clients=2),
    )


def plan_of(view: FeatureView, number: int) -> Plan:
    """The plan of one pane, by its number."""
    start = np.array([START_US + number * view.pane_us], np.int64)
    return Plan(number.to_bytes(16, "big"), (PlannedView(view, start, 2),), Noise.FULL, Shares())


def aged_ledger(path: Path, owner: str, view: FeatureView, panes: int, role: str = "") -> int:
    """Write a ledger of so many plans of one pane, each charged and completed. Returns the number of the next pane."""
    model = plan_of(view, 0)
    price, hashes, scales = charge_of(model, model.views[0]), (collection_hash(view), definition_hash(view)), ""
    with Ledger(path, owner, lambda: START_US, role=role) as ledger:
        ledger.check(model, BUDGET)
        scales = ledger.state.intent(model, BUDGET, START_US).views[0].scales  # type: ignore[union-attr]  # a new plan
        with ledger.transaction():
            paid = -1
            for number in range(panes):
                start = START_US + number * view.pane_us
                days = [] if (day := start // DAY_US) == paid else [day]
                paid, plan = day, hashlib.sha256(b"aged" + number.to_bytes(8, "big")).digest()
                taken = ViewIntent(view.name, *hashes, scales, price, np.array(days, np.int64), np.array([start]))
                end = start + view.pane_us
                ledger._append(IntentEntry(end, plan, BUDGET.micro_rho, (taken,), role))
                ledger._append(CompletionEntry(end + SECOND_US, plan, hashlib.sha256(plan).digest(), role))
    return panes


def ledger_open_s(path: Path, owner: str, role: str = "") -> float:
    """Seconds to open a ledger, the median of several."""
    return _median(lambda: Ledger(path, owner, lambda: START_US, role=role).close(), 5)


def intend_s(path: Path, owner: str, view: FeatureView, first: int, role: str = "") -> float:
    """Seconds to charge and complete a plan of one pane, the median of several from this pane on."""
    plans = iter([plan_of(view, first + number) for number in range(SAMPLES)])
    clock = START_US + (first + SAMPLES) * view.pane_us + DAY_US
    with Ledger(path, owner, lambda: clock, role=role) as ledger:

        def once() -> None:
            plan = next(plans)
            ledger.intend(plan, BUDGET)
            ledger.complete(plan.hash, bytes(32))

        return _median(once, SAMPLES)


def aged_storage(path: Path, plans: int, deadline_us: int) -> None:
    """Write an aggregator's storage of so many collected plans."""
    signed, share = bytes(2_000), SealedShare(bytes(500), bytes(200))
    storage = Storage(path, "leader")
    with storage.transaction():
        for number in range(plans):
            ids = hashlib.sha256(number.to_bytes(8, "big")).digest(), number.to_bytes(16, "big")
            storage.add_plan(*ids, signed, deadline_us)
            storage.run("INSERT INTO noised VALUES (?, 0, ?, ?, X'')", number + 1, share.sealed, share.statement)
            storage.set_prepared(ids[1], bytes(32), bytes(400), deadline_us)
        storage.run("UPDATE plans SET state = 'witnessed', own = zeroblob(100), over = 1")
    storage.close()


def storage_plan_s(path: Path, deadline_us: int) -> float:
    """Seconds of what an aggregator's storage does for a plan: prepare, open, noise and forget; the median of several."""
    storage = Storage(path, "leader")
    numbers = iter(range(10**6, 10**6 + SAMPLES))

    def once() -> None:
        number = next(numbers)
        ids = hashlib.sha256(number.to_bytes(8, "big")).digest(), number.to_bytes(16, "big")
        with storage.transaction():
            storage.set_prepared(ids[1], bytes(32), bytes(400), deadline_us)
        storage.plans_of_id(ids[1])
        storage.add_plan(*ids, bytes(2_000), deadline_us)
        forget(storage, deadline_us - 1, 0)
        storage.unopened_plans()
        stored = storage.plan(ids[0])
        if stored is not None:
            with storage.transaction():
                storage.add_noised(stored.number, [SealedShare(bytes(500), bytes(200))])
            storage.set_witnessed(stored.number)
        forget(storage, deadline_us - 1, 0)

    try:
        return _median(once, SAMPLES)
    finally:
        storage.close()


def _median(run: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return median(taken)


def ledger_costs(folder: Path, panes: int) -> Iterator[tuple[str, float]]:
    """The costs of a ledger, by name."""
    view = minute_view()
    new, old = folder / "new.db", folder / "old.db"
    aged_ledger(new, "operator", view, 1, "leader")
    began = time.perf_counter()
    aged_ledger(old, "operator", view, panes, "leader")
    yield "ledger_write_s", time.perf_counter() - began
    yield "ledger_bytes", old.stat().st_size
    for name, path, at in (("first", new, 1), ("last", old, panes)):
        yield f"ledger_open_s_{name}", ledger_open_s(path, "operator", "leader")
        yield f"ledger_read_s_{name}", _median(partial(read_ledger, path, "operator", "leader"), 3)
        yield f"ledger_plan_s_{name}", intend_s(path, "operator", view, at, "leader")


def storage_costs(folder: Path, panes: int) -> Iterator[tuple[str, float]]:
    """The costs of an aggregator's storage, by name."""
    for name, plans in (("first", 1), ("last", panes)):
        path = folder / f"storage-{name}.db"
        aged_storage(path, plans, START_US)
        yield f"storage_plan_s_{name}", storage_plan_s(path, START_US)


def releases(view: FeatureView, first: int, count: int) -> list[Release]:
    """Releases of so many panes from this one on."""
    layout, start = layout_of(view), START_US + first * view.pane_us
    random = np.random.default_rng(first)
    sums = random.integers(0, 1_000, (count, layout.keys, layout.slots_per_key))
    starts = range(start, start + count * view.pane_us, view.pane_us)
    one = manifest_of(view)
    return [
        Release(one, at, at + view.pane_us, at + view.pane_us + SECOND_US, at + view.pane_us, "live", slots)
        for at, slots in zip(starts, sums, strict=True)
    ]


def publish_s(folder: Path, view: FeatureView, first: int) -> float:
    """Seconds to open a store and publish one pane, the median of several from this pane on."""
    waiting = iter(releases(view, first, SAMPLES))

    def once() -> None:
        with Publisher(folder, lambda: START_US) as publisher:
            publisher.publish([next(waiting)])

    return _median(once, SAMPLES)


def publication_costs(folder: Path, panes: int) -> Iterator[tuple[str, float]]:
    """The costs of publication, by name."""
    view = minute_view()
    for name, count in (("first", 1), ("last", panes)):
        began = time.perf_counter()
        with Publisher(folder / name, lambda: START_US) as publisher:
            publisher.register(view)
            publisher.publish(releases(view, 0, count))
        yield f"publish_all_s_{name}", time.perf_counter() - began
        yield f"publish_s_{name}", publish_s(folder / name, view, count)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="covey-aged-") as folder:
        yield Path(folder)


def main() -> None:
    """Print every cost, then one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--panes", type=int, default=MONTH_OF_MINUTES, help="how old: the number of one-pane plans")
    panes = parser.parse_args().panes
    found: dict[str, float] = {"panes": panes}
    with _folder() as folder:
        for name, cost in chain(
            ledger_costs(folder, panes), storage_costs(folder, panes), publication_costs(folder, panes)
        ):
            found[name] = round(cost, 6)
            print(f"{name:28} {cost:14.6f}", flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
