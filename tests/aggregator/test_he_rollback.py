"""Leader or key holder on older copies of their files: the bytes that were sent, or a refusal. Never other ones."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aggregator.messages import collect_request
from aggregator.refusals import INTERNAL, refusal_of
from aggregator.sealed_share import Fetched, SealedShare
from aggregator.storage import Storage
from federation.ledger import Ledger
from federation.plan import Plan
from tests.aggregator.he_world import HolderLink, Site, draft, make_key_holder, with_keys
from tests.aggregator.world import Clock, make_leader, signed
from tests.federation.he_cases import view
from tests.federation.wire import COLLECTOR

FILES = {
    "storage": ("{}.db", "{}.db-wal"),
    "ledger": ("{}.ledger.db", "{}.ledger.db-wal", "{}.ledger.db.head"),
}
ROLES = ("leader", "keyholder")
KINDS = {"both": ("storage", "ledger"), "storage": ("storage",), "ledger": ("ledger",)}


class Pair:
    """Leader and key holder on the files of a folder. `written` is called with a role whenever its files have changed."""

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

            return {"storage": Watched, "ledger": WatchedLedger}

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
        """A whole collection, each step once; what each role sends to the collector, or the reason of its refusal."""
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
    target.mkdir(exist_ok=True)
    for kind in kinds:
        for name in (pattern.format(role) for pattern in FILES[kind]):
            (target / name).unlink(missing_ok=True)
            (target / (name + "-shm")).unlink(missing_ok=True)
            if (source / name).exists():
                shutil.copy(source / name, target / name)


class Run:
    """A whole collection: its plan, its last files, what was sent, and a copy of each role's files after every write."""

    def __init__(self, path: Path) -> None:
        self.last = path / "last"
        self.last.mkdir()
        self.copies: dict[str, list[Path]] = {role: [] for role in ROLES}

        def written(role: str) -> None:
            folder = path / f"{role}-{len(self.copies[role])}"
            copy(self.last, folder, role, KINDS["both"])
            self.copies[role].append(folder)

        with Pair(self.last, written) as pair:
            self.plan, self.keys = with_keys(draft(view(keys=1), panes=1, noise="full"), pair.keyholder.make_keys)
            self.batches = [Site(self.plan, self.keys, site).batch([0]).to_bytes() for site in "ab"]
            self.sent = pair.collection(self.plan, self.keys, self.batches)
        assert all(isinstance(shares, list) for shares in self.sent.values()), self.sent
        Fetched.of(self.plan, self.sent["leader"], self.sent["keyholder"], COLLECTOR.seal)  # type: ignore[arg-type]

    def again(self, pair: Pair) -> dict[str, list[SealedShare] | str]:
        return pair.collection(self.plan, self.keys, self.batches)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize("kind", ["both", "storage", "ledger"])
@pytest.mark.parametrize("role", ROLES)
def test_files_of_every_moment_give_the_same_bytes_or_a_refusal(run: Run, tmp_path: Path, role: str, kind: str) -> None:
    copies = run.copies[role]
    assert len(copies) > 12
    seen: set[str] = set()
    for number, copied in enumerate(copies):
        path = tmp_path / str(number)
        for every in ROLES:
            copy(run.last, path, every, KINDS["both"])
        copy(copied, path, role, KINDS[kind])
        with Pair(path) as pair:
            for _ in range(2):
                found = run.again(pair)
                assert all(shares == run.sent[side] or isinstance(shares, str) for side, shares in found.items())
                assert found == run.sent or pair.reasons & {"LEDGER_BROKEN", "ENCRYPTION_KEYS_MISSING"}, pair.reasons
                seen |= pair.reasons or {"the same"}
        shutil.rmtree(path)
    assert {"the same", "LEDGER_BROKEN"} <= seen
    assert seen <= {
        "the same", "LEDGER_BROKEN", "NOT_COMMITTED", "PLAN_UNKNOWN", "ENCRYPTION_KEYS_MISSING", "COMMITMENT_CONFLICT",
    }  # fmt: skip


def test_fresh_noise_is_drawn_at_every_new_plan(tmp_path: Path) -> None:
    """The comparison above sees noise: two collections of the same reports differ in it."""
    found = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        found.append(Run(tmp_path / str(number)))
    assert found[0].sent["keyholder"] != found[1].sent["keyholder"]
