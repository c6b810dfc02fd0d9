"""What leader and helper count, against what the tests send them; and the state that their monitors show."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.errors import RemoteRefusal
from aggregator.intake.counting import count_refusal
from aggregator.services.client import Aggregators
from base.errors import PeerAway
from base.metrics import OTHER, REFUSALS, Distribution, Meters, Sample
from base.tls import reach
from base.tls.links import ClearText, Tls
from base.tls.roles import TlsRole
from deployment.monitor import peers
from deployment.monitor.aggregators import AggregatorState
from deployment.monitor.peers import PeerWatch
from tests.aggregator.proven_pair import LeaderAndHelper
from tests.aggregator.refusals import refused
from tests.aggregator.world import COLLECTOR, Site, World, make_plan, open_at, running, view
from tests.base.tls_world import operator

CLEAR = ClearText(TlsRole.LEADER)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running(tmp_path) as made:
        yield made


def values(samples: list[Sample] | Iterator[Sample]) -> dict[tuple[str, ...], float]:
    """(name, label values …) → value; of a histogram the number of its observations."""
    return {
        (one.metric.name, *one.labels): sum(one.value.counts) if isinstance(one.value, Distribution) else one.value
        for one in samples
    }


def test_reports_batches_panes_calls_and_steps_are_counted_as_they_happen(world: World) -> None:
    plan = make_plan(view("v", 3), view("w", 2), panes=3)
    a, b = Site(plan, "a"), Site(plan, "b")
    open_at(world.client, plan)
    for site, collections in ((a, [0, 0, 1, 2, 2]), (b, [2, 1, 1]), (a, [3, 3, 5]), (b, [5, 5, 4])):
        batch = site.batch(collections).to_bytes()
        world.client.submit(batch)
        world.client.submit(batch)  # a repeat is no report
    world.collect(plan)
    for service in (world.leader, world.helper):
        found = values(service.party.meters.samples())
        assert found["covey_reports_total", "accepted"] == 14
        assert not {("covey_reports_total", "rejected"), ("covey_reports_total", "duplicate")} & found.keys()
        assert found["covey_batches_total", "accepted"] == 4
        assert found["covey_collections_total", "v", "OPENED"] == 3
        assert found["covey_collections_total", "w", "OPENED"] == 2
        assert found["covey_collections_total", "w", "BATCH_TOO_SMALL"] == 1
        assert found["covey_step_seconds", "intake"] == 4
        assert found["covey_step_seconds", "noise"] == 1
        assert found["covey_grpc_requests_total", "OpenPlan", "OK"] >= 1
    leader, helper = (values(service.party.meters.samples()) for service in (world.leader, world.helper))
    assert leader["covey_grpc_requests_total", "Submit", "OK"] == leader["covey_grpc_request_seconds", "Submit"] == 8
    assert leader["covey_step_seconds", "open"] == 1
    assert helper["covey_grpc_requests_total", "Aggregate", "OK"] == 4
    assert helper["covey_grpc_requests_total", "Swap", "OK"] == 1


def test_lying_reports_and_duplicates_are_counted_apart(tmp_path: Path) -> None:
    two = LeaderAndHelper(tmp_path)
    plan = two.plan()
    site = Site(plan)
    first = site.batch([0, 0, 1, 1], lying=[1])
    two.submit(first)
    two.submit(site.batch([0, 0, 1, 1], ids=first.signed.header.report_ids, counted=False))
    two.submit(site.batch([0], lying=[0]))
    leader, helper = (values(party.meters.samples()) for party in (two.leader, two.helper))
    verdicts = [{key[1]: found[key] for key in found if key[0] == "covey_reports_total"} for found in (leader, helper)]
    # the leader answers a batch without a new report alone
    assert verdicts == [{"accepted": 3, "duplicate": 3, "rejected": 3}, {"accepted": 3, "rejected": 2}]
    assert helper["covey_step_seconds", "verify"] == 2
    assert leader["covey_step_seconds", "verify"] >= 2
    two.close()


def test_a_refused_call_is_counted_with_its_code_and_reason(world: World) -> None:
    assert refused(lambda: world.client.submit(b"no batch")).reason == "BATCH_MALFORMED"
    found = values(world.leader.party.meters.samples())
    assert found["covey_refusals_total", "Submit", "BATCH_MALFORMED"] == 1
    assert found["covey_grpc_requests_total", "Submit", "INVALID_ARGUMENT"] == 1
    plan = make_plan()
    with pytest.raises(RemoteRefusal):  # a stream that is refused
        world.collect(plan)
    found = values(world.leader.party.meters.samples())
    assert found["covey_grpc_requests_total", "Collect", "NOT_FOUND"] == 1
    assert found["covey_refusals_total", "Collect", "PLAN_UNKNOWN"] == 1


def test_a_batch_that_the_helper_refuses_is_counted_as_refused_at_both(world: World) -> None:
    plan = make_plan()
    open_at(world.client, plan)
    helper = world.helper.party
    settings, roster = helper.identity.settings, type(helper.identity.settings.roster)
    object.__setattr__(settings, "roster", roster([one for one in settings.roster.entries if one.site != "a"]))
    assert refused(lambda: world.client.submit(Site(plan, "a").batch([0, 0]).to_bytes())).reason == "UNKNOWN_SITE"
    for service in (world.leader, world.helper):
        found = values(service.party.meters.samples())
        assert found["covey_batches_total", "refused"] == 1
        assert found["covey_refusals_total", "Aggregate", "UNKNOWN_SITE"] == 1
        assert ("covey_reports_total", "accepted") not in found


def test_a_reason_that_another_party_makes_up_is_no_label() -> None:
    meters = Meters()
    count_refusal(meters, "Submit", "x" * 1_000_000)
    count_refusal(meters, "Submit", "BATCH_MALFORMED")
    assert {one.labels for one in meters.samples()} == {("Submit", OTHER), ("Submit", "BATCH_MALFORMED")}
    assert REFUSALS in {one.metric for one in meters.samples()}


def test_a_leader_waits_for_its_helper_and_shows_what_is_pending_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "FRESH_S", 0.0)
    plan = make_plan()
    open_at(world.client, plan)
    state = AggregatorState(world.leader.party, [PeerWatch(TlsRole.HELPER, world.helper.address, CLEAR)])
    assert (state.waits_for() or "").startswith("its own start")
    state.listening = True
    assert state.waits_for() is None
    found = values(state.samples())
    assert (found["covey_peer_up", "helper"], found["covey_jobs_pending",]) == (1, 0)
    assert {key[1]: found[key] for key in found if key[0] == "covey_plans" and found[key]} == {"open": 1}
    world.helper.stop(0)
    world.client.submit(Site(plan).batch([0, 0]).to_bytes())
    assert (state.waits_for() or "").startswith(f"the helper at {world.helper.address} cannot be reached: ")
    found = values(state.samples())
    assert (found["covey_peer_up", "helper"], found["covey_jobs_pending",]) == (0, 1)
    assert ("covey_reports_total", "accepted") not in found
    world.restart_helper()
    with Aggregators(world.leader.address, world.helper.address, patience_s=20) as patient:
        patient.collect(plan, COLLECTOR)
    found = values(state.samples())
    assert (found["covey_jobs_pending",], found["covey_plans", "witnessed"]) == (0, 1)
    assert found["covey_reports_total", "accepted"] == 2


def test_a_charge_lowers_the_budget_that_is_left_of_its_view(world: World) -> None:
    state = AggregatorState(world.leader.party)
    found = values(state.samples())
    assert found["covey_ledger_entries",] == 0
    assert not [key for key in found if key[0] == "covey_budget_left_ratio"]
    plan = make_plan(noise="full")
    open_at(world.client, plan)
    world.client.submit(Site(plan).batch([0, 0]).to_bytes())
    world.collect(plan)
    found = values(state.samples())
    ledger, budget = world.leader.party.files.ledger, world.leader.party.identity.settings.budget
    assert found["covey_ledger_entries",] == ledger.state.length > 0
    (name,) = (planned.view.name for planned in plan.views)
    day = max(charge.day for charge in ledger.state.paid)
    assert found["covey_budget_left_ratio", name] == ledger.state.left(day, budget) / budget.micro_rho < 1


def test_an_edited_ledger_is_waited_for_by_name(world: World) -> None:
    plan = make_plan(noise="full")
    open_at(world.client, plan)
    world.client.submit(Site(plan).batch([0, 0]).to_bytes())
    world.collect(plan)
    state = AggregatorState(world.helper.party)
    state.listening = True
    assert state.waits_for() is None
    with sqlite3.connect(world.helper.party.files.ledger.path) as db:
        db.execute("INSERT INTO entries SELECT max(seq) + 1, line, head FROM entries")
    db.close()
    assert (state.waits_for() or "").startswith("an intact ledger: ")
    assert values(state.samples())["covey_ledger_entries",] == -1


def test_a_peer_is_not_asked_again_within_the_moment_that_an_answer_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def away(_links: object, peer: TlsRole, address: str, _now: object) -> None:
        asked.append(address)
        raise PeerAway(peer, address, "refused")

    monkeypatch.setattr(peers, "require_peer", away)
    watch = PeerWatch(TlsRole.HELPER, "127.0.0.1:1", CLEAR)
    assert watch.problem() == watch.problem() == "the helper at 127.0.0.1:1 cannot be reached: refused"
    assert asked == ["127.0.0.1:1"]
    monkeypatch.setattr(peers, "FRESH_S", 0.01)
    time.sleep(0.02)
    watch.problem()
    assert len(asked) == 2


def test_a_peer_that_accepts_connections_and_never_answers_is_not_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(reach, "REACH_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        silence = f"the helper at {address} accepts connections, but does not answer within 0.2 s"
        assert PeerWatch(TlsRole.HELPER, address, CLEAR).problem() == silence
        operator(tmp_path / "keys", TlsRole.LEADER)
        tls = Tls(TlsRole.LEADER, tmp_path / "keys")
        tls.operators().write(tmp_path / "keys", TlsRole.HELPER)
        assert PeerWatch(TlsRole.HELPER, address, tls).problem() == silence


def test_a_monitor_waits_for_nobody_who_works_with_the_ledger(world: World) -> None:
    ledger = world.helper.party.files.ledger
    state = AggregatorState(world.helper.party)
    state.listening = True
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # another process of the operator
    start = time.monotonic()
    assert state.waits_for() is None
    assert values(state.samples())["covey_ledger_entries",] == 0
    other.execute("ROLLBACK")
    other.close()
    begun, end = threading.Event(), threading.Event()

    def work() -> None:
        with ledger.transaction():
            begun.set()
            end.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(60)
    assert state.waits_for() is None
    end.set()
    thread.join()
    assert time.monotonic() - start < 30


def test_a_ledger_that_cannot_be_read_is_waited_for_by_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = world.helper.party.files.ledger
    state = AggregatorState(world.helper.party)
    state.listening = True

    def failing(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(type(ledger), "_refresh", failing)
    assert state.waits_for() == "a ledger that can be read: disk I/O error"


def test_an_aggregator_that_stops_shows_its_counters_and_reads_no_file(world: World) -> None:
    state = AggregatorState(world.leader.party)
    state.listening = True
    refused(lambda: world.client.submit(b"no batch"))
    world.leader.stop(0)
    assert state.waits_for() == "its end: it is stopping"
    found = values(state.samples())
    assert found["covey_refusals_total", "Submit", "BATCH_MALFORMED"] == 1
    assert not any(key[0] in ("covey_plans", "covey_ledger_entries") for key in found)
