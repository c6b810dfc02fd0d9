"""Recorded batches and restored files are worthless after a plan is closed, even to a holder of every long-lived key.

The services are real processes. The attacker records what passes the coordinator and later takes keys and disks of both
aggregators. Or the attacker restores the helper from copies of its files, while the leader, together with the collector,
asks again.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aggregator.errors import RemoteRefusal
from aggregator.services.client import Aggregators
from base.times import DAY_US, wall_clock
from base.tls.links import links_of
from base.tls.roles import TlsRole
from covey.cli import call
from crypto.errors import CryptoError
from crypto.seal import SEAL_SEED_BYTES, SealKey
from crypto.sharing import SparseRows
from deployment.coordinator.announcement import announce
from deployment.coordinator.planning import PlanRequest, make_plan
from deployment.local.processes import Processes
from featurestore.define.views_file import load_views
from federation.batch.batch import SealedBatch
from federation.batch.reports import Reports
from federation.batch.sealing import open_content, seal_batch
from federation.keys import load_keys
from federation.parties import Aggregator
from federation.plan import Plan
from federation.sharding import shard
from tests.attacks.test_budget_spent_twice import DAY, VIEW, start

ROLES: tuple[Aggregator, Aggregator] = ("leader", "helper")
COPIES = 2


class Deployment:
    """Leader and helper of a project as processes, and the steps of their coordinator."""

    def __init__(self, project: Path) -> None:
        self.project, self.batches = project, list[bytes]()
        self.plan: Plan | None = None

    def __enter__(self) -> Deployment:
        self.processes = Processes(self.project / "logs").__enter__()
        helper = start(self.processes, self.project, "helper")
        leader = start(self.processes, self.project, "leader", "--helper", helper)
        self.client = Aggregators(leader, helper, links_of(self.project / "keys", TlsRole.COORDINATOR), patience_s=5)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.processes.__exit__(None, None, None)

    def report(self) -> None:
        """Announce a plan. Each site sends the reports of five clients, which the coordinator records."""
        keys = self.project / "keys"
        wanted = make_plan(
            self.project,
            PlanRequest(load_views(self.project / "first.py"), (DAY * DAY_US, (DAY + 1) * DAY_US)),
            wall_clock,
        )
        assert wanted is not None
        self.plan = announce(wanted, load_keys(keys, "coordinator").sign, self.client, os.urandom).plan
        assert self.plan is not None
        for path in sorted(keys.glob("site-*.key")):
            site = path.stem.removeprefix("site-")
            slots = SparseRows(
                np.arange(6), np.zeros(5, np.int32), np.ones(5, np.int64), self.plan.views[0].layout.length
            )
            halves = shard(self.plan, Reports(0, np.zeros(5, np.uint32), slots), os.urandom)
            sealed = seal_batch(self.plan, site, os.urandom(16), *halves, load_keys(keys, path.stem).sign).to_bytes()
            assert not self.client.submit(sealed).pending
            self.batches.append(sealed)

    def collect(self) -> bytes:
        """The noised sums, as the collector opens them."""
        assert self.plan is not None
        fetched = self.client.collect(self.plan, load_keys(self.project / "keys", "collector"))
        return fetched.open(self.plan)[0].sums.tobytes()


def copy(source: Path, target: Path, *, live: bool) -> None:
    """The working files and ledgers of both aggregators.

    The leader's copy is complete. The helper's copy lacks its live secrets, as a backup does, or includes them.
    """
    for folder in ("roles", "ledgers"):
        shutil.rmtree(target / folder, ignore_errors=True)
        shutil.copytree(source / folder, target / folder)
    if not live:
        shutil.rmtree(target / "roles" / "helper" / "live", ignore_errors=True)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A project whose sites have reported. Both services are stopped."""
    project = tmp_path_factory.mktemp("once") / "p"
    assert call(["init", str(project), "--sites", "2", "--max-clients", "10", "--budget", "0.1"]) == 0
    (project / "first.py").write_text(VIEW.format(name="first", rho=0.1))
    deployment = Deployment(project)
    with deployment:
        deployment.report()
    return deployment


@pytest.fixture
def reported(once: Deployment, tmp_path: Path) -> Deployment:
    """A copy of the project of `once`."""
    deployment = Deployment(tmp_path / "p")
    shutil.copytree(once.project, deployment.project)
    deployment.plan, deployment.batches = once.plan, once.batches
    return deployment


def seeds_in(project: Path) -> Iterator[bytes]:
    """Every 32 bytes in keys and small files of both aggregators, each a possible seed of a seal key."""
    contents = [base64.b64decode((project / "keys" / f"{role}.key").read_text().split()[2]) for role in ROLES]
    contents += [
        path.read_bytes() for path in (project / "roles").rglob("*") if path.is_file() and path.stat().st_size < 2**10
    ]
    for content in contents:
        yield from (content[at : at + SEAL_SEED_BYTES] for at in range(len(content) - SEAL_SEED_BYTES + 1))


def opened(project: Path, batches: list[bytes]) -> int:
    """How many halves of the recorded batches open with any of these seeds."""
    keys, found = [SealKey(seed) for seed in seeds_in(project)], 0
    for batch in map(SealedBatch.from_bytes, batches):
        for role in ROLES:
            found += any(opens(role, key, batch) for key in keys)
    return found


def opens(role: Aggregator, key: SealKey, batch: SealedBatch) -> bool:
    try:
        return bool(open_content(role, key, batch.half(role)))
    except CryptoError:
        return False


def test_a_recording_opens_with_no_key_and_no_file_once_its_plan_is_closed(reported: Deployment) -> None:
    batches, project = reported.batches, reported.project
    assert (
        opened(project, batches) == 2 * len(batches) == 4
    )  # before the erasure the attack works, with both live secrets
    live = [path.read_bytes() for path in (project / "roles").glob("*/live/*")]
    with reported:
        reported.collect()
    assert opened(project, batches) == 0
    files = b"".join(path.read_bytes() for path in (project / "roles").rglob("*") if path.is_file())
    files += b"".join(path.read_bytes() for path in (project / "ledgers").rglob("*") if path.is_file())
    assert len(live) == 2
    assert not any(secret[-size:][:SEAL_SEED_BYTES] in files for secret in live for size in (32, 64))


def test_a_helper_that_is_restored_from_backups_does_not_noise_again(reported: Deployment, tmp_path: Path) -> None:
    project, sums, reasons = reported.project, set(), set()
    copy(project, tmp_path / "backup", live=False)
    for _ in range(COPIES):
        copy(tmp_path / "backup", project, live=False)
        with reported:
            try:
                sums.add(reported.collect())
            except RemoteRefusal as refused:
                reasons.add(refused.reason)
    assert len(sums) == 0, f"one plan was noised {len(sums)} times, each time with another noise"
    assert reasons == {"LIVE_SECRET_LOST"}


def test_a_helper_that_is_restored_with_its_live_secret_draws_the_same_noise(
    reported: Deployment, tmp_path: Path
) -> None:
    """No ledger can notice it if the attacker owns the leader and its files. The noise protects the plan."""
    project, sums = reported.project, set()
    copy(project, tmp_path / "copy", live=True)
    for _ in range(COPIES):
        copy(tmp_path / "copy", project, live=True)
        with reported:
            sums.add(reported.collect())
    assert len(sums) == 1, f"{len(sums)} different noised sums of one plan"
