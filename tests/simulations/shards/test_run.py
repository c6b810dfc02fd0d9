"""A fleet's run opens the sums of honest reports that arrived in time, for panes with enough clients, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from base.times import span_of
from deployment.errors import RunRefused
from deployment.in_process.run import Surroundings, run_in_process
from deployment.request import CollectionRequest
from edge_client.events import make_events
from federation.ledger.state import Budget
from simulations.attacks.lies.lying_site import LyingSite
from simulations.fleets.arrivals import FromFile, Generated
from simulations.fleets.block import Columns
from simulations.fleets.event_file import EventFile
from simulations.shards.run import plan_of, run_fleet
from simulations.shards.workers import Inline
from tests.federation.words import requested_in_words, terms_in_words
from tests.pipeline import LATER

from .small import ALWAYS, DAILY, FLEET, SOURCE, TERMS, VIEWS, Cut, exact, slots_of, sums, truths

TABLE = SOURCE.block(0).table
SITES = SOURCE.block(0).sites


def in_process(table: pa.Table, folder: Path, *, participation: str = "active") -> dict[str, dict[int, list[int]]]:
    """The opened sums of a run in one process over the same events and days."""
    requested = requested_in_words("off", participation=participation)
    request = CollectionRequest.make(VIEWS, requested, Budget(10**12), between=span_of(SOURCE.days), site_clients=64)
    around = Surroundings(None, np.random.default_rng(0).bytes, lambda: LATER)
    run_in_process(request, make_events(table, "client", "time", "site"), folder, around)
    found = {view.name: slots_of(folder, view.name) for view in VIEWS}
    return {name: {pane: slots.ravel().tolist() for pane, slots in panes.items()} for name, panes in found.items()}


def of_sites(names: list[str]) -> pa.Table:
    return TABLE.filter(pc.is_in(TABLE["site"].cast(pa.string()), pa.array(names, pa.string())))


def trace(path: Path, fates: dict[str, tuple[str, int]]) -> FromFile:
    """All sites arrive after a second, except these."""
    rows = (f"{site},{at},{lost}" for site in SITES for at, lost in [fates.get(site, ("1", 0))])
    path.write_text("\n".join(("site,at_s,lost", *rows)) + "\n")
    return FromFile(path)


def test_the_sums_are_those_of_a_run_in_one_process(tmp_path: Path) -> None:
    run = exact(source=Cut(SOURCE, 3))
    assert sums(run) == in_process(TABLE, tmp_path)
    assert 0 < len(sums(run)["hourly"]) < 48  # some panes have too few clients
    assert len(sums(run)["daily"]) == 2


def test_under_all_every_pane_opens_and_the_sums_are_those_of_its_active_clients(tmp_path: Path) -> None:
    run = exact(replace(TERMS, terms=terms_in_words(participation="all")))
    enrolled = int(SOURCE.block(0).enrolled.sum())
    assert enrolled > FLEET.clients  # some clients leave, others join
    assert run.tally.reports == {0: 48 * enrolled, 1: 2 * enrolled}
    assert sums(run) == in_process(TABLE, tmp_path, participation="all")
    assert [len(panes) for panes in sums(run).values()] == [48, 2]


@pytest.mark.parametrize("participation", ["active", "all"])
def test_offline_lost_and_late_sites_do_not_count(tmp_path: Path, participation: str) -> None:
    offline, lost, late, last = SITES[0], SITES[1], SITES[2], SITES[3]
    fates = {offline: ("", 0), lost: ("2", 1), late: ("600", 0), last: ("599.999", 0)}
    run = exact(
        replace(TERMS, terms=terms_in_words(participation=participation)), arrivals=trace(tmp_path / "trace.csv", fates)
    )
    tally = run.tally
    assert (tally.answered, tally.offline, tally.lost, tally.late) == (len(SITES) - 1, 1, 1, 1)
    assert tally.batches == 2 * (len(SITES) - 1)  # lost and late batches were sealed and sent too
    assert sums(run) == in_process(of_sites(list(SITES[3:])), tmp_path / "store", participation=participation)
    assert sums(run) == truths(run)
    if participation == "all":
        assert tally.reports[1] == 2 * int(SOURCE.block(0).enrolled[3:].sum())


def test_a_generated_trace_drops_the_parts_that_it_is_told() -> None:
    run = exact(arrivals=Generated(median_s=100, before=0.2, after=0.3, seed=2), terms=replace(TERMS, deadline_s=200.0))
    tally = run.tally
    assert tally.answered + tally.offline == len(SITES)
    assert min(tally.offline, tally.lost, tally.late) > 0
    assert sums(run) == truths(run)


LARGEST = SITES[int(SOURCE.block(0).enrolled.argmax())]


def test_a_lie_is_rejected_and_neither_sum_nor_truth_has_it() -> None:
    terms, source = (
        replace(TERMS, views=(DAILY,), terms=terms_in_words(validity="prio3")),
        replace(SOURCE, views=(DAILY,)),
    )
    run = exact(terms, source, lying=LyingSite(LARGEST, ("huge", "negative")))
    honest = exact(replace(terms, terms=terms_in_words()), source)
    assert run.tally.rejected == {0: 4}  # two liars of each of two days
    assert [one.rejected for one in run.opened] == [4]
    assert run.tally.reports[0] == honest.tally.reports[0] - 4
    assert sums(run) == truths(run)
    assert sums(run) != sums(honest)


def test_without_proofs_the_same_lie_is_in_the_sum_and_not_in_the_truth() -> None:
    lying = LyingSite(LARGEST, ("huge",))
    run = exact(replace(TERMS, views=(DAILY,)), replace(SOURCE, views=(DAILY,)), lying=lying)
    assert run.tally.rejected == {0: 0}
    assert sums(run) != truths(run)


def visits(path: Path, clients: list[int]) -> EventFile:
    """This many clients on each day, each at its own site."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {"site": f"s{who}", "client": who, "time": start + timedelta(days=day, hours=1), "shop": "a", "spent": 20.0}
        for day, count in enumerate(clients)
        for who in range(count)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return EventFile(path, (DAILY,), Columns())


def test_a_pane_opens_at_k_reports_and_not_below(tmp_path: Path) -> None:
    source = visits(tmp_path / "events.parquet", [5, 4, 6])
    run = exact(replace(TERMS, views=(DAILY,)), source)
    assert run.opened[0].outcomes.tolist() == [0, 1, 0]
    fates = tmp_path / "trace.csv"
    fates.write_text("site,at_s,lost\n" + "".join(f"s{who},1,{int(who == 0)}\n" for who in range(6)))
    run = exact(replace(TERMS, views=(DAILY,)), source, FromFile(fates))
    assert run.opened[0].outcomes.tolist() == [1, 1, 0]  # the first day has exactly enough clients


def test_a_file_of_a_fleets_events_gives_the_fleets_sums(tmp_path: Path) -> None:
    pq.write_table(
        TABLE.take(pa.array(np.random.default_rng(1).permutation(TABLE.num_rows))), tmp_path / "events.parquet"
    )
    source = EventFile(tmp_path / "events.parquet", (DAILY,), Columns())
    mine = sums(exact(replace(TERMS, views=(DAILY,)), source))
    expected = sums(exact())["daily"]
    assert {pane: mine["daily"][pane] for pane in expected} == expected


@pytest.mark.parametrize(
    ("k", "noisy", "says"),
    [
        (FLEET.clients + 1, False, "the fleet has 200"),
        (4, True, "k=4 is below the k of view 'hourly', which is 5"),
    ],
)
def test_a_k_that_no_pane_reaches_or_that_loosens_is_refused(k: int, noisy: bool, says: str) -> None:
    with pytest.raises(RunRefused, match=says):
        plan_of(replace(TERMS, min_clients=k), SOURCE, noisy=noisy)


def test_with_noise_off_k_may_be_anything() -> None:
    opened = exact(replace(TERMS, min_clients=1)).opened[0].outcomes
    assert (opened == 0).sum() > len(sums(exact())["hourly"])


def test_progress_counts_every_shard_once() -> None:
    told: list[tuple[str, int, int]] = []
    source = Cut(SOURCE, 3)
    tell: Callable[[str, int, int], None] = lambda *step: told.append(step)  # noqa: E731
    run = run_fleet(TERMS, source, ALWAYS, noise=None, workers=Inline(), progress=tell)
    shards = [done for step, done, total in told if step == "shards" and total == 3]
    assert shards == [0, 1, 2, 3]
    assert all(first <= second for first, second in itertools.pairwise(shards))
    assert {"generate", "compute", "share", "seal", "sign", "carry", "verify signature", "open", "add"} <= set(
        run.seconds
    )
    assert all(seconds >= 0 for seconds in run.seconds.values())
