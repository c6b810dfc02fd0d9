"""Leader and helper are restored together, with ledgers and live secrets. Neither can notice it; the sites do.

The services are real processes. The sites answer with their own code and ledgers. The attacker holds the disks of both
aggregators and the keys of coordinator and collector.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from aggregator.errors import RemoteRefusal
from base.times import DAY_US, wall_clock
from covey.cli import call
from deployment.coordinator.announcement import Announcement, announce
from deployment.coordinator.planning import PlanRequest, make_plan
from edge_client.events import Events, make_events
from edge_client.policy import Refuse
from edge_client.policy_file import load_policy
from edge_client.site import SiteSettings, respond
from featurestore.define.views_file import load_views
from federation.batch.batch import SealedBatch
from federation.keys import load_keys
from federation.ledger.operator import LEDGERS, open_operator_ledger
from federation.plan import PlannedView
from tests.attacks.test_budget_spent_twice import DAY, VIEW
from tests.attacks.test_live_secret import Deployment, copy

CLIENTS = 5


@pytest.fixture
def project(tmp_path: Path) -> Path:
    assert call(["init", str(tmp_path / "p"), "--sites", "2", "--max-clients", "10", "--budget", "0.1"]) == 0
    (tmp_path / "p" / "first.py").write_text(VIEW.format(name="first", rho=0.1))
    return tmp_path / "p"


def load(_: Sequence[PlannedView]) -> Events:
    """Events of every client on each of three days."""
    who = [f"c{client}" for client in range(CLIENTS)] * 3
    times = pa.array([(DAY + at // CLIENTS) * DAY_US + 1 for at in range(3 * CLIENTS)], pa.timestamp("us"))
    return make_events(pa.table({"who": who, "at": times, "shop": ["a"] * len(who)}), "who", "at")


def announced(deployment: Deployment, day: int) -> Announcement:
    """A plan of one day, prepared and open at both aggregators."""
    coordinator = load_keys(deployment.project / "keys", "coordinator").sign
    wanted = make_plan(
        deployment.project,
        PlanRequest(load_views(deployment.project / "first.py"), (day * DAY_US, (day + 1) * DAY_US)),
        wall_clock,
    )
    assert wanted is not None
    return announce(wanted, coordinator, deployment.client, os.urandom)


def answers(project: Path, signed: bytes) -> list[list[SealedBatch] | Refuse]:
    """The answer of each site by its own code, policy and ledger."""
    found: list[list[SealedBatch] | Refuse] = []
    for path in sorted((project / "keys").glob("site-*.key")):
        policy = replace(load_policy(project / "policy.toml"), min_k=5, allow_activity_visible=True)
        key, ledger = load_keys(project / "keys", path.stem), project.parent / f"{path.stem}.db"
        site = SiteSettings(path.stem.removeprefix("site-"), key, CLIENTS, policy, ledger)
        answer = respond(signed, site, load, wall_clock, os.urandom)
        found.append(answer if isinstance(answer, Refuse) else list(answer))
    return found


def collected(deployment: Deployment, day: int) -> None:
    """A whole collection of one day."""
    plan = announced(deployment, day)
    for batches in answers(deployment.project, plan.signed):
        assert not isinstance(batches, Refuse), batches
        assert not any(deployment.client.submit(batch.to_bytes()).pending for batch in batches)
    deployment.plan = plan.plan
    deployment.collect()


def test_both_aggregators_restored_together_are_found_out_by_the_sites(project: Path, tmp_path: Path) -> None:
    deployment = Deployment(project)
    with deployment:
        pass  # both roles create their files
    copy(project, tmp_path / "copy", live=True)
    with deployment:
        collected(deployment, DAY)
        collected(deployment, DAY + 1)  # its plan carries the head of the first opening to the sites
    copy(tmp_path / "copy", project, live=True)

    with deployment:
        answer = answers(project, announced(deployment, DAY + 2).signed)
    assert [one.code if isinstance(one, Refuse) else "answered" for one in answer] == ["AGGREGATOR_BEHIND"] * 2

    with open_operator_ledger(project / LEDGERS, "leader", wall_clock) as ledger:
        for number in range(20):  # beyond the head that the sites remember: now their batches reveal it
            ledger.record_refusal(bytes([number]) * 32, "CLOCK_SKEW")
    with deployment:
        for batches in answers(project, announced(deployment, DAY + 2).signed):
            assert not isinstance(batches, Refuse), batches
            assert batches
            for batch in batches:
                with pytest.raises(RemoteRefusal) as refused:
                    deployment.client.submit(batch.to_bytes())
                assert refused.value.reason == "LEDGER_BROKEN"
