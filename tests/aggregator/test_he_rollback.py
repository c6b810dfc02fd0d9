"""A leader or key holder on older copies of its files sends the bytes that it sent before, or refuses. It sends no others."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection import CollectedShares
from aggregator.collect.collection_job import collect_request
from aggregator.intake.refusals import INTERNAL, refusal_of
from aggregator.storage.live_folder import LiveFile, LiveFolder
from aggregator.storage.role_storage import Storage
from federation.ledger.ledger import Ledger
from federation.plan import Plan
from tests.aggregator.he_world import HolderLink, Site, draft, make_key_holder, with_keys
from tests.aggregator.world import Clock, make_leader, signed
from tests.aggregator.world import draft as signed_draft
from tests.federation.he_cases import view
from tests.federation.wire import COLLECTOR

DRAFT = draft(view(keys=1), panes=1, noise="full")
FILES = {
    "storage": ("{}.db", "{}.db-wal"),
    "ledger": ("{}.ledger.db", "{}.ledger.db-wal", "{}.ledger.db.head"),
    "live": (f"{{}}.live/{DRAFT.plan_id.hex()}",),
}
ROLES = ("leader", "keyholder")
EVERYTHING = ("storage", "ledger", "live")
KINDS = {
    "a backup": ("storage", "ledger"),  # it does not contain live/
    "storage": ("storage",),
    "ledger": ("ledger",),
    "live": ("live",),
    "storage and live": ("storage", "live"),
    "ledger and live": ("ledger", "live"),
    "everything": EVERYTHING,
}


class Pair:
    """Leader and key holder on the files of a folder. `written(role)` is called whenever the files of a role change."""

    def __init__(self, path: Path, written: Callable[[str], None] = lambda _: None) -> None:
        def classes(role: str) -> dict[str, type]:
            class Watched(Storage):
                synchronous = "OFF"

                def run(self, sql: str, *values: Any) -> int:
                    changed = super().run(sql, *values)
                    if not self._connection.in_transaction and not sql.startswith("PRAGMA"):
                        written(role)
                    return changed

            class WatchedLedger(Ledger):
                synchronous = "OFF"

                @contextmanager
                def transaction(self) -> Iterator[sqlite3.Connection]:
                    with super().transaction() as db:
                        yield db
                    written(role)

            class WatchedLive(LiveFolder):
                def draw(self, *what: Any) -> LiveFile:
                    made = super().draw(*what)
                    written(role)
                    return made

                def erase_seal(self, plan_id: bytes) -> None:
                    super().erase_seal(plan_id)
                    written(role)

                def erase(self, plan_id: bytes) -> None:
                    super().erase(plan_id)
                    written(role)

            return {"storage": Watched, "ledger": WatchedLedger, "live": WatchedLive}

        clock = Clock()
        self.keyholder = make_key_holder(path, clock=clock, **classes("keyholder"))
        self.link = HolderLink(self.keyholder)
        self.leader = make_leader(path, None, clock=clock, key_holder=self.link, **classes("leader"))

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.leader.close()
        self.keyholder.close()

    def collection(self, plan: Plan, keys: bytes, batches: list[bytes]) -> dict[str, list[SealedShare] | str]:
        """A whole collection, each step once. Returns what each role sends to the collector, or the reason of its refusal."""
        request = collect_request(plan, COLLECTOR.sign)
        steps = [
            reason_of(lambda: self.keyholder.open_plan(signed(plan))),
            reason_of(lambda: self.leader.open_plan(signed(plan), keys)),
            *(reason_of(lambda batch=batch: self.leader.submit(batch)) for batch in batches),  # type: ignore[misc]
        ]
        found = {role: reason_of(lambda role=role: getattr(self, role).collect(request)) for role in ROLES}  # type: ignore[misc]
        self.reasons = {step for step in (*steps, *found.values()) if isinstance(step, str)}
        return found


def reason_of(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        refusal = refusal_of(error)
        if refusal.reason == INTERNAL:
            raise
        return refusal.reason


def copy(source: Path, target: Path, role: str, kinds: tuple[str, ...]) -> None:
    (target / f"{role}.live").mkdir(mode=0o700, parents=True, exist_ok=True)
    for kind in kinds:
        for name in (pattern.format(role) for pattern in FILES[kind]):
            (target / name).unlink(missing_ok=True)
            (target / (name + "-shm")).unlink(missing_ok=True)
            if (source / name).exists():
                shutil.copy(source / name, target / name)


def plain(plan: Plan, role: str, shares: list[SealedShare]) -> list[bytes]:
    """The opened content of a role's shares; the leader has statements only."""
    if role == "leader":
        return []
    return [share.plaintext(plan, view, "helper", COLLECTOR.seal)[1] for view, share in enumerate(shares)]


class Run:
    """A whole collection: its plan, its last files, what was sent, and a copy of all files after every write of each role."""

    def __init__(self, path: Path) -> None:
        self.last = path / "last"
        self.last.mkdir()
        self.copies: dict[str, list[Path]] = {role: [] for role in ROLES}
        with Pair(self.last, self._written) as pair:
            pair.leader.prepare(signed_draft(DRAFT))
            self.plan, self.keys = with_keys(DRAFT, pair.keyholder.prepare)
            self.batches = [Site(self.plan, self.keys, site).batch([0]).to_bytes() for site in "ab"]
            self.sent = pair.collection(self.plan, self.keys, self.batches)
        assert all(isinstance(shares, list) for shares in self.sent.values()), self.sent
        CollectedShares.of(self.plan, self.sent["leader"], self.sent["keyholder"], COLLECTOR.seal)  # type: ignore[arg-type]
        self.plain = {role: plain(self.plan, role, shares) for role, shares in self.sent.items()}  # type: ignore[arg-type]

    def _written(self, role: str) -> None:
        folder = self.last.parent / f"{role}-{len(self.copies[role])}"
        for every in ROLES:
            copy(self.last, folder, every, EVERYTHING)
        self.copies[role].append(folder)

    def again(self, pair: Pair) -> dict[str, list[SealedShare] | str]:
        """Repeat the collection; no share with fresh noise is sent."""
        found = pair.collection(self.plan, self.keys, self.batches)
        for role, shares in found.items():
            assert isinstance(shares, str) or plain(self.plan, role, shares) == self.plain[role]
        return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("run"))


REFUSALS = {"LEDGER_BROKEN", "ENCRYPTION_KEYS_MISSING", "LIVE_SECRET_LOST"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("role", ROLES)
def test_files_of_every_moment_give_the_same_bytes_or_a_refusal(run: Run, tmp_path: Path, role: str, kind: str) -> None:
    copies = run.copies[role]
    assert len(copies) > 12
    seen: set[str] = set()
    for number, copied in enumerate(copies):
        path = tmp_path / str(number)
        for every in ROLES:
            copy(run.last, path, every, EVERYTHING)
        copy(copied, path, role, KINDS[kind])
        with Pair(path) as pair:
            for _ in range(2):
                found = run.again(pair)
                assert found == run.sent or pair.reasons & REFUSALS, pair.reasons
                seen |= pair.reasons or {"the same"}
        shutil.rmtree(path)
    assert "the same" in seen
    assert seen <= {"the same", "NOT_COMMITTED", "PLAN_UNKNOWN", "COMMITMENT_CONFLICT", *REFUSALS}


def test_a_deployment_that_is_restored_whole_with_its_live_secrets_noises_as_before(run: Run, tmp_path: Path) -> None:
    """The leader's encryption is fresh, because it cannot be seeded. Noise and opened sums equal the first ones."""
    drawn = 0
    for role in ROLES:
        for copied in run.copies[role]:
            path = tmp_path / copied.name
            for every in ROLES:
                copy(copied, path, every, EVERYTHING)
            with Pair(path) as pair:
                drawn += run.again(pair) != run.sent
    assert drawn


def test_a_deployment_that_is_restored_from_backups_does_not_noise_again(run: Run, tmp_path: Path) -> None:
    refused = 0
    for role in ROLES:
        for copied in run.copies[role]:
            path = tmp_path / copied.name
            for every in ROLES:
                copy(copied, path, every, KINDS["a backup"])
            with Pair(path) as pair:
                found = run.again(pair)
                assert all(shares == run.sent[side] or isinstance(shares, str) for side, shares in found.items())
                refused += "LIVE_SECRET_LOST" in pair.reasons
    assert refused > 8
