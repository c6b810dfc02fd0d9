"""An aggregator on older copies of its files sends the bytes that it sent before, or refuses. It sends no others."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection import CollectedShares
from aggregator.collect.collection_job import collect_request
from aggregator.errors import PeerRefused, StateBehindLedger
from aggregator.intake.refusals import INTERNAL, refusal_of
from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from aggregator.storage.live_folder import LiveFile, LiveFolder
from aggregator.storage.role_storage import Storage
from federation.errors import LedgerBehind, LedgerBroken
from federation.ledger.ledger import Ledger
from federation.plan import Plan
from tests.aggregator.world import (
    COLLECTOR,
    Clock,
    LocalLink,
    Site,
    draft,
    make_helper,
    make_leader,
    make_plan,
    open_at,
    signed,
    view,
)
from tests.ledgers import spent_of

PLAN = make_plan(view("v", 2), panes=2, noise="full")
NEXT = make_plan(view("v", 2), panes=2, first=10, number=1, noise="full")
BATCHES = {plan.hash: [Site(plan, site).batch([0, 0, 1, 1]).to_bytes() for site in "ab"] for plan in (PLAN, NEXT)}
FILES = {
    "storage": ("{}.db", "{}.db-wal"),
    "ledger": ("{}.ledger.db", "{}.ledger.db-wal", "{}.ledger.db.head"),
    "live": (f"{{}}.live/{PLAN.plan_id.hex()}",),
}
ROLES = ("leader", "helper")
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
    """Leader and helper on the files of a folder. `written(role)` is called whenever the files of a role change.

    Both draw noise at the same time. Only one of them writes at a time, and neither writes while `written` copies the files.
    """

    def __init__(self, path: Path, written: Callable[[str], None] = lambda _: None) -> None:
        turn = threading.RLock()

        def classes(role: str) -> dict[str, type]:
            class Watched(Storage):
                synchronous = "OFF"

                def run(self, sql: str, *values: Any) -> int:
                    with self._lock, turn:
                        changed = super().run(sql, *values)
                        if not self._connection.in_transaction and not sql.startswith("PRAGMA"):
                            written(role)
                        return changed

                def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
                    with self._lock, turn:  # a checkpoint moves pages from one file to another
                        return super().rows(sql, *values)

            class WatchedLedger(Ledger):
                synchronous = "OFF"

                @contextmanager
                def transaction(self) -> Iterator[sqlite3.Connection]:
                    with turn:
                        with super().transaction() as db:
                            yield db
                        written(role)

            class WatchedLive(LiveFolder):
                def draw(self, *what: Any) -> LiveFile:
                    with turn:
                        made = super().draw(*what)
                        written(role)
                        return made

                def erase_seal(self, plan_id: bytes) -> None:
                    with turn:
                        super().erase_seal(plan_id)
                        written(role)

                def erase(self, plan_id: bytes) -> None:
                    with turn:
                        super().erase(plan_id)
                        written(role)

            return {"storage": Watched, "ledger": WatchedLedger, "live": WatchedLive}

        self.helper: Helper = make_helper(path, clock=Clock(), **classes("helper"))
        self.leader: Leader = make_leader(path, LocalLink(self.helper), clock=Clock(), **classes("leader"))

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.leader.close()
        self.helper.close()

    def prepare(self, plan: Plan) -> None:
        for party in (self.helper, self.leader):
            reason_of(lambda party=party: party.prepare(draft(plan)))  # type: ignore[misc]

    def collection(self, plan: Plan, sites: int = 2) -> dict[str, list[SealedShare] | str]:
        """A whole collection, each step once. Returns what each role sends to the collector, or the reason of its refusal."""
        steps = [reason_of(lambda party=party: party.open_plan(signed(plan))) for party in (self.helper, self.leader)]
        steps += [reason_of(lambda batch=batch: self.leader.submit(batch)) for batch in BATCHES[plan.hash][:sites]]
        request = collect_request(plan, COLLECTOR.sign)
        found = {role: reason_of(lambda role=role: getattr(self, role).collect(request)) for role in ROLES}
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
    """Copy some files of a role from the source. A file that the source lacks is deleted from the target."""
    (target / f"{role}.live").mkdir(mode=0o700, parents=True, exist_ok=True)
    for kind in kinds:
        for name in (pattern.format(role) for pattern in FILES[kind]):
            (target / name).unlink(missing_ok=True)
            (target / (name + "-shm")).unlink(missing_ok=True)
            if (source / name).exists():
                shutil.copy(source / name, target / name)


def plain(plan: Plan, role: Any, shares: list[SealedShare]) -> list[bytes]:
    """The noised shares without their seals, which differ each time."""
    return [share.plaintext(plan, view, role, COLLECTOR.seal)[1] for view, share in enumerate(shares)]


class Run:
    """A whole collection: its last files, what was sent, and a copy of all files after every write of each role."""

    def __init__(self, path: Path) -> None:
        self.last = path / "last"
        self.last.mkdir()
        self.copies: dict[str, list[Path]] = {role: [] for role in ROLES}
        with Pair(self.last, self._written) as pair:
            pair.prepare(PLAN)
            self.sent = pair.collection(PLAN)
        assert all(isinstance(shares, list) for shares in self.sent.values())
        CollectedShares.of(PLAN, self.sent["leader"], self.sent["helper"], COLLECTOR.seal)  # type: ignore[arg-type]
        self.plain = {role: plain(PLAN, role, shares) for role, shares in self.sent.items()}  # type: ignore[arg-type]

    def _written(self, role: str) -> None:
        folder = self.last.parent / f"{role}-{len(self.copies[role])}"
        for every in ROLES:
            copy(self.last, folder, every, EVERYTHING)
        self.copies[role].append(folder)

    def restored(self, copied: Path, path: Path, role: str, kind: str) -> Path:
        """The last files of both roles, but older ones of the given role."""
        for every in ROLES:
            copy(self.last, path, every, EVERYTHING)
        copy(copied, path, role, KINDS[kind])
        return path

    def require_no_second_noise(self, found: dict[str, list[SealedShare] | str]) -> None:
        """Check that every sent share is the noised share of the first time."""
        for role, shares in found.items():
            assert isinstance(shares, str) or plain(PLAN, role, shares) == self.plain[role]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("role", ROLES)
def test_files_of_every_moment_give_the_same_bytes_or_a_refusal(run: Run, tmp_path: Path, role: str, kind: str) -> None:
    assert len(run.copies[role]) > 12
    seen: set[str] = set()
    for number, copied in enumerate(run.copies[role]):
        with Pair(run.restored(copied, tmp_path / str(number), role, kind)) as pair:
            for grown in range(2):
                found = pair.collection(PLAN)
                run.require_no_second_noise(found)
                assert found == run.sent or pair.reasons & {"LEDGER_BROKEN", "LIVE_SECRET_LOST", "FINISH_REFUSED"}
                seen |= pair.reasons or {"the same"}
                for step in range(9):  # its ledger grows beyond the head that the other one remembers
                    getattr(pair, role).files.ledger.record_refusal(bytes([step, grown]) * 16, "CLOCK_SKEW")
            behind = (
                found != run.sent and "FINISH_REFUSED" not in pair.reasons
            )  # otherwise only the opened plan is missing
            if kind == "a backup" and behind:  # it opens nothing afterwards
                pair.prepare(NEXT)
                assert pair.collection(NEXT)["leader"] == "LEDGER_BROKEN"
    assert "the same" in seen
    assert seen <= {
        "the same", "LEDGER_BROKEN", "LIVE_SECRET_LOST", "NOT_COMMITTED", "PLAN_UNKNOWN", "FINISH_REFUSED",
    }  # fmt: skip


def test_a_deployment_that_is_restored_whole_with_its_live_secrets_noises_as_before(run: Run, tmp_path: Path) -> None:
    """Neither ledger can notice it. The noise of the same sums is the same, however often it is drawn."""
    drawn = 0
    for role in ROLES:
        for number, copied in enumerate(run.copies[role]):
            path = tmp_path / f"{role}-{number}"
            for every in ROLES:
                copy(copied, path, every, EVERYTHING)
            with Pair(path) as pair:
                pair.prepare(PLAN)
                found = pair.collection(PLAN)
                run.require_no_second_noise(found)
                assert all(isinstance(shares, list) for shares in found.values())
                drawn += found != run.sent
    assert drawn > 12


def test_a_deployment_that_is_restored_from_backups_does_not_noise_again(run: Run, tmp_path: Path) -> None:
    refused = 0
    for role in ROLES:
        for number, copied in enumerate(run.copies[role]):
            path = tmp_path / f"{role}-{number}"
            for every in ROLES:
                copy(copied, path, every, KINDS["a backup"])
            with Pair(path) as pair:
                found = pair.collection(PLAN)
                assert all(shares == run.sent[side] or isinstance(shares, str) for side, shares in found.items())
                refused += "LIVE_SECRET_LOST" in pair.reasons
    assert refused > 12


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_was_rolled_back_is_found_out_by_the_next_collection(run: Run, tmp_path: Path, role: str) -> None:
    for grown in (0, 20):
        path = run.restored(run.copies[role][0], tmp_path / str(grown), role, "a backup")
        with Pair(path) as pair:
            for step in range(grown):
                getattr(pair, role).files.ledger.record_refusal(bytes([step]) * 32, "CLOCK_SKEW")
            pair.prepare(NEXT)
            charged = [spent_of(getattr(pair, one).files.ledger.state) for one in ROLES]
            for _ in range(3):
                assert pair.collection(NEXT) == {"leader": "LEDGER_BROKEN", "helper": "NOT_COMMITTED"}
            assert charged == [
                spent_of(getattr(pair, one).files.ledger.state) for one in ROLES
            ]  # refused before the charge


def test_each_says_whose_ledger_was_rolled_back(run: Run, tmp_path: Path) -> None:
    request = collect_request(NEXT, COLLECTOR.sign)
    for role, grown, whose in (
        ("leader", 0, "the leader "),  # refused by the helper, which remembers a later head
        ("leader", 9, "leader.ledger.db"),  # refused by the leader, which receives the later head
        ("helper", 0, "helper.ledger.db"),  # refused by the helper, which receives it
        ("helper", 9, "helper.ledger.db"),
    ):
        path = run.restored(run.copies[role][0], tmp_path / f"{role}-{grown}", role, "a backup")
        with Pair(path) as pair:
            for step in range(grown):
                getattr(pair, role).files.ledger.record_refusal(bytes([step]) * 32, "CLOCK_SKEW")
            for party in (pair.leader, pair.helper):
                open_at(party, NEXT)
            with pytest.raises((LedgerBehind, PeerRefused)) as refused:
                pair.leader.collect(request)
            refusal = refusal_of(refused.value)
            assert refusal.reason == "LEDGER_BROKEN"
            assert whose in refusal.text
            assert "Put the newest copies" in refusal.text


def damages() -> Iterator[tuple[str, Callable[[Path], None]]]:
    def sql(statement: str) -> Callable[[Path], None]:
        def damage(path: Path) -> None:
            db = sqlite3.connect(path)
            db.execute(statement)
            db.commit()
            db.close()

        return damage

    yield "edited", sql("UPDATE entries SET line = replace(line, '\"micro_rho\":', '\"micro_rho\":1') WHERE seq = 1")
    yield "cut", sql("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)")
    yield "emptied", sql("DELETE FROM entries")
    yield "no head file", lambda path: path.with_name(path.name + ".head").unlink()
    yield "another's", lambda path: shutil.copy(path.with_name("helper.ledger.db"), path) and None


@pytest.mark.parametrize(("what", "damage"), list(damages()))
def test_a_role_does_not_start_on_a_damaged_ledger(
    run: Run,
    tmp_path: Path,
    what: str,
    damage: Callable[[Path], None],
) -> None:
    path = run.restored(run.copies["leader"][-1], tmp_path / "here", "leader", "a backup")
    with Pair(path):  # closing moves the -wal files into the databases
        pass
    damage(path / "leader.ledger.db")
    helper = make_helper(path)
    try:
        with pytest.raises(LedgerBroken, match="Put the newest copies of this file"):
            make_leader(path, LocalLink(helper))
    finally:
        helper.close()


def test_a_storage_that_is_older_than_its_ledger_is_refused_for_good(run: Run, tmp_path: Path) -> None:
    for every in ROLES:
        copy(run.last, tmp_path, every, EVERYTHING)
    for name in ("leader.db", "leader.db-wal"):
        (tmp_path / name).unlink(missing_ok=True)
    with Pair(tmp_path) as pair:
        for _ in range(2):
            with pytest.raises(StateBehindLedger, match="Put the newest copy of the file back"):
                pair.leader.open_plan(signed(PLAN))


def test_a_ledger_that_does_not_hold_what_the_storage_sends_is_refused(tmp_path: Path) -> None:
    with Pair(tmp_path) as pair:
        pair.prepare(PLAN)
        pair.collection(PLAN)
    for name in (pattern.format("leader") for pattern in FILES["ledger"]):
        (tmp_path / name).unlink(missing_ok=True)
    with Pair(tmp_path) as pair, pytest.raises(LedgerBehind, match="does not hold the opening"):
        pair.leader.noising.shares(PLAN)  # without the helper
