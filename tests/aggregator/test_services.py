"""The real services over gRPC on free loopback ports, in one process: exact sums, repeated calls, and services that stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from aggregator.errors import AddressUnusable, Unreachable
from aggregator.services.client import Aggregators
from aggregator.services.services import serve
from aggregator.shares.stoppable_noise import StoppableNoise
from base.errors import ClearTextRefused
from crypto.noise import NoiseSource
from featurestore.define.layout import Layout, layout_of
from featurestore.define.privacy import Privacy
from federation import aggregation
from federation.aggregation import draw_noise
from federation.commitment import Outcome
from federation.noise_context import NoiseContext
from tests.aggregator.refusals import refused
from tests.aggregator.world import (
    COLLECTOR,
    DEADLINE,
    Site,
    World,
    add_sums,
    draft,
    make_helper,
    make_plan,
    open_at,
    require_exact,
    running,
    view,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running(tmp_path) as made:
        yield made


def test_two_services_open_the_exact_sums_without_noise(world: World) -> None:
    plan = make_plan(view("v", 3), view("w", 2), panes=3)
    a, b = Site(plan, "a"), Site(plan, "b")
    assert open_at(world.client, plan) == plan.hash
    for site, collections in ((a, [0, 0, 1, 2, 2]), (b, [2, 1, 1]), (a, [3, 3, 5]), (b, [5, 5, 4])):
        submitted = world.client.submit(site.batch(collections).to_bytes())
        assert not submitted.pending
        assert submitted.verdicts == bytes(len(collections))
    opened = world.collect(plan)
    assert [result.outcomes.tolist() for result in opened] == [[0, 0, 0], [0, Outcome.BATCH_TOO_SMALL, 0]]
    require_exact(plan, opened, add_sums(a, b))


def test_a_repeated_submit_and_collect_answer_the_same_bytes(world: World) -> None:
    plan = make_plan(noise="full")
    site = Site(plan)
    batch = site.batch([0, 0, 1, 1]).to_bytes()
    open_at(world.client, plan)
    open_at(world.client, plan)
    assert world.client.submit(batch) == world.client.submit(batch)
    first, again = world.client.collect(plan, COLLECTOR), world.client.collect(plan, COLLECTOR)
    for before, after in zip(first.opened, again.opened, strict=True):
        np.testing.assert_array_equal(before.sums, after.sums)
    assert first.statements == again.statements
    assert world.client.submit(batch).verdicts == bytes(4)  # the recorded answer, also after the collect
    assert [status.state for status in world.client.status("helper", plan.hash)] == ["witnessed"]


def test_noise_of_both_aggregators_is_in_what_is_opened(world: World) -> None:
    plan = make_plan(view("v", 400), noise="full", panes=1)
    site = Site(plan)
    open_at(world.client, plan)
    world.client.submit(site.batch([0, 0]).to_bytes())
    (opened,) = world.collect(plan)
    layout = opened.planned.layout
    plain = site.sums[0].reshape(layout.keys, layout.slots_per_key) @ layout.basis.T
    for group in layout.groups:
        error = (opened.sums[0] - plain)[:, list(group.slots)]
        assert error.var() == pytest.approx(group.opened_variance, rel=0.35)


def test_under_shared_noise_each_aggregator_adds_half_of_the_variance(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, np.ndarray] = {}

    def record(layout: Layout, panes: int, source: NoiseSource, context: NoiseContext) -> np.ndarray:
        drawn[context.role] = draw_noise(layout, panes, source, context)
        return drawn[context.role]

    monkeypatch.setattr(aggregation, "draw_noise", record)
    shared = view("v", 400)
    shared = replace(shared, privacy=Privacy(rho=0.05, min_clients=2, noisers="shared"))
    plan = make_plan(shared, noise="full", panes=1)
    site = Site(plan)
    open_at(world.client, plan)
    world.client.submit(site.batch([0, 0]).to_bytes())
    (opened,) = world.collect(plan)
    layout = opened.planned.layout
    plain = site.sums[0].reshape(layout.keys, layout.slots_per_key) @ layout.basis.T
    errors = opened.sums[0] - plain
    np.testing.assert_array_equal(errors, drawn["leader"][0] + drawn["helper"][0])
    each = replace(shared, privacy=Privacy(rho=0.05, min_clients=2, noisers="each"))
    for group in layout_of(each).groups:
        stated, slots = group.variance, list(group.slots)  # σ² = Δ²/2ρ, which the view's price ρ needs
        assert errors[:, slots].var() == pytest.approx(stated, rel=0.35)
        for role in ("leader", "helper"):
            assert drawn[role][0][:, slots].var() == pytest.approx(stated / 2, rel=0.35)


def test_duplicate_ids_are_answered_one_by_one_and_the_rest_counts(world: World) -> None:
    plan = make_plan()
    site = Site(plan)
    open_at(world.client, plan)
    first = site.batch([0, 0, 1])
    world.client.submit(first.to_bytes())
    ids = first.signed.header.report_ids
    again = site.batch([0, 0, 1], counted=False, ids=ids)
    assert world.client.submit(again.to_bytes()).verdicts == bytes([1, 1, 1])

    some = site.batch([0, 1, 1], counted=False).signed.header.report_ids.copy()
    some[1] = ids[1]  # taken before, in another pane
    mixed = site.batch([0, 1, 1], counted=[True, False, True], ids=some)
    assert world.client.submit(mixed.to_bytes()).verdicts == bytes([0, 1, 0])
    assert [(status.state, status.pending) for status in world.client.status("leader")] == [("open", 0)]
    opened = world.collect(plan)
    assert opened[0].outcomes.tolist() == [0, 0]
    require_exact(plan, opened, site.sums)


# services that stop


def test_a_helper_that_is_down_makes_batches_wait_and_loses_nothing(world: World) -> None:
    plan = make_plan()
    a, b = Site(plan, "a"), Site(plan, "b")
    open_at(world.client, plan)
    world.client.submit(a.batch([0, 0]).to_bytes())
    world.helper.stop(0)
    kept = b.batch([0, 1, 1])
    assert world.client.submit(kept.to_bytes()).pending
    assert world.client.submit(kept.to_bytes()).pending
    error = refused(lambda: world.client.collect(plan, COLLECTOR))
    assert (error.reason, error.numbers) == ("HELPER_UNAVAILABLE", {"pending": 1})
    assert world.client.status("leader", plan.hash)[0].pending == 1
    with pytest.raises(Unreachable, match=r"the helper at .* cannot be reached: "):
        world.client.status("helper")
    world.restart_helper()
    patient = Aggregators(world.leader.address, world.helper.address, patience_s=10)
    try:
        world.clock.now = DEADLINE + 1  # it was kept before the deadline, so it counts
        shares = patient.collect(plan, COLLECTOR)
    finally:
        patient.close()
    assert shares.opened[0].outcomes.tolist() == [0, 0]
    require_exact(plan, world.collect(plan), add_sums(a, b))
    assert world.client.submit(kept.to_bytes()).verdicts == bytes(3)


def test_the_next_submit_brings_the_kept_batches_along(world: World) -> None:
    plan = make_plan()
    site = Site(plan)
    open_at(world.client, plan)
    world.helper.stop(0)
    for _ in range(3):
        assert world.client.submit(site.batch([0, 1]).to_bytes()).pending
    world.restart_helper()
    batch = site.batch([0, 1]).to_bytes()
    until = time.monotonic() + 60
    while (submitted := world.client.submit(batch)).pending and time.monotonic() < until:
        time.sleep(0.05)  # the connection comes back by itself
    assert submitted.verdicts == bytes(2)
    assert world.client.status("leader", plan.hash)[0].pending == 0
    require_exact(plan, world.collect(plan), site.sums)


def test_a_helper_that_never_saw_the_plan_gets_it_from_the_leader(world: World) -> None:
    plan = make_plan()
    site = Site(plan)
    world.helper.party.prepare(draft(plan))  # it has drawn its live secret and has no plan
    open_at(world.leader.party, plan)
    world.client.submit(site.batch([0, 0, 1, 1]).to_bytes())
    require_exact(plan, world.collect(plan), site.sums)


def test_a_service_that_stops_while_it_draws_noise_ends_soon_and_has_opened_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow:
        name, seeded, draws = "slow", False, 0

        def stream(self, context: bytes) -> Slow:
            return self

        def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> np.ndarray:
            self.draws += 1
            time.sleep(0.05)
            return np.zeros(size, np.int64)

        discrete_laplace = discrete_gaussian

    plan = make_plan(view("v", 40_000), panes=40, noise="full")
    open_at(world.client, plan)
    leader, slow = world.leader.party, Slow()
    monkeypatch.setattr("aggregator.shares.stoppable_noise.NOISE_PART", 2**10)
    monkeypatch.setattr(leader.plans.secrets, "noise", lambda _: StoppableNoise(slow, leader.plans.stopped))
    with ThreadPoolExecutor(1) as pool:
        world.client.submit(Site(plan).batch([0, 0]).to_bytes())
        world.client.submit(Site(plan, "b").batch([1, 1]).to_bytes())
        collecting = pool.submit(world.client.collect, plan, COLLECTOR)
        while not slow.draws:
            time.sleep(0.01)
        begin = time.monotonic()
        world.leader.stop(120)
        assert time.monotonic() - begin < 60  # it does not wait for the noise
        with pytest.raises(Unreachable):
            collecting.result()
    port = int(world.leader.address.rpartition(":")[2])
    world.start_leader(port)
    assert [status.state for status in world.leader.party.status()] == ["closed"]
    assert world.leader.party.files.storage.one("SELECT count(*) FROM noised") == (0,)
    assert not world.leader.party.files.ledger.state.completed


def test_a_port_in_use_and_a_public_address_are_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    helper = make_helper(tmp_path / "other")
    try:
        with pytest.raises(AddressUnusable, match="in use"):
            serve(helper, "127.0.0.1", int(world.helper.address.rpartition(":")[2]))
        with pytest.raises(ClearTextRefused, match="not a loopback address"):
            serve(helper, "0.0.0.0", 0)
    finally:
        helper.close()


def test_real_services_survive_kill_9_between_submit_and_collect_and_end_on_sigterm(tmp_path: Path) -> None:
    plan = make_plan(number=7)
    a, b = Site(plan, "a"), Site(plan, "b")
    running_now: dict[str, subprocess.Popen[str]] = {}

    def start(role: str, port: str, *helper: str) -> str:
        command = [sys.executable, "-m", "tests.aggregator.serve_role", role, str(tmp_path), port, *helper]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running_now[role] = process
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def end(role: str, number: signal.Signals) -> int:
        process = running_now.pop(role)
        process.send_signal(number)
        assert process.stdout is not None
        process.stdout.close()
        return process.wait(timeout=60)

    try:
        helper = start("helper", "0")
        leader = start("leader", "0", helper)
        with Aggregators(leader, helper, patience_s=20) as client:
            open_at(client, plan)
            client.submit(a.batch([0, 0, 1]).to_bytes())
            end("helper", signal.SIGKILL)
            assert client.submit(b.batch([0, 1, 1]).to_bytes()).pending
            end("leader", signal.SIGKILL)
            start("helper", helper.rpartition(":")[2])
            start("leader", leader.rpartition(":")[2], helper)
            shares = client.collect(plan, COLLECTOR)
            end("leader", signal.SIGKILL)
            start("leader", leader.rpartition(":")[2], helper)
            again = client.collect(plan, COLLECTOR)
        np.testing.assert_array_equal(shares.opened[0].sums, again.opened[0].sums)
        require_exact(plan, shares.open(plan), add_sums(a, b))
        assert end("leader", signal.SIGTERM) == end("helper", signal.SIGINT) == 0
    finally:
        for role in list(running_now):
            end(role, signal.SIGKILL)
