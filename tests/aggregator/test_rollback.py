"""An aggregator on older copies of its files: it sends the bytes that it has sent, or refuses. Never other ones."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aggregator.errors import PeerRefused, StateBehindLedger
from aggregator.helper import Helper
from aggregator.leader import Leader
from aggregator.messages import collect_request
from aggregator.refusals import INTERNAL, refusal_of
from aggregator.sealed_share import Fetched, SealedShare
from aggregator.storage import Storage
from federation.errors import LedgerBehind, LedgerBroken
from federation.ledger import Ledger
from federation.plan import Plan
from tests.aggregator.world import COLLECTOR, Clock, LocalLink, Site, make_helper, make_leader, make_plan, signed, view

PLAN = make_plan(view("v", 2), panes=2, noise="full")
NEXT = make_plan(view("v", 2), panes=2, first=10, number=1, noise="full")
BATCHES = {plan.hash: [Site(plan, site).batch([0, 0, 1, 1]).to_bytes() for site in "ab"] for plan in (PLAN, NEXT)}
FILES = {
    "storage": ("{}.db", "{}.db-wal"),
    "ledger": ("{}.ledger.db", "{}.ledger.db-wal", "{}.ledger.db.head"),
}
ROLES = ("leader", "helper")
KINDS = {"both": ("storage", "ledger"), "storage": ("storage",), "ledger": ("ledger",)}


class Pair:
    """Leader and helper on the files of a folder. `written` is called with a role whenever its files have changed."""

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

        self.helper: Helper = make_helper(path, clock=Clock(), **classes("helper"))
        self.leader: Leader = make_leader(path, LocalLink(self.helper), clock=Clock(), **classes("leader"))

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.leader.close()
        self.helper.close()

    def collection(self, plan: Plan) -> dict[str, list[SealedShare] | str]:
        """A whole collection, each step once; what each role sends to the collector, or the reason of its refusal."""
        steps = [reason_of(lambda party=party: party.open_plan(signed(plan))) for party in (self.helper, self.leader)]
        steps += [reason_of(lambda batch=batch: self.leader.submit(batch)) for batch in BATCHES[plan.hash]]
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
    target.mkdir(exist_ok=True)
    for kind in kinds:
        for name in (pattern.format(role) for pattern in FILES[kind]):
            (target / name).unlink(missing_ok=True)
            (target / (name + "-shm")).unlink(missing_ok=True)
            if (source / name).exists():
                shutil.copy(source / name, target / name)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, list[Path]]]:
    """A whole collection: its last files, what was sent, and a copy of each role's files after every write."""
    path = tmp_path_factory.mktemp("run")
    last = path / "last"
    last.mkdir()
    copies: dict[str, list[Path]] = {role: [] for role in ROLES}

    def written(role: str) -> None:
        folder = path / f"{role}-{len(copies[role])}"
        copy(last, folder, role, KINDS["both"])
        copies[role].append(folder)

    with Pair(last, written) as pair:
        sent = pair.collection(PLAN)
    assert all(isinstance(shares, list) for shares in sent.values())
    Fetched.of(PLAN, sent["leader"], sent["helper"], COLLECTOR.seal)
    return last, sent, copies


def restored(last: Path, copied: Path, path: Path, role: str, kind: str) -> Path:
    """The last files, but for older ones of one role."""
    for every in ROLES:
        copy(last, path, every, KINDS["both"])
    copy(copied, path, role, KINDS[kind])
    return path


@pytest.mark.parametrize("kind", ["both", "storage", "ledger"])
@pytest.mark.parametrize("role", ROLES)
def test_files_of_every_moment_give_the_same_bytes_or_a_refusal(
    run: tuple[Path, dict[str, Any], dict[str, list[Path]]], tmp_path: Path, role: str, kind: str
) -> None:
    last, sent, copies = run
    assert len(copies[role]) > 12
    seen: set[str] = set()
    for number, copied in enumerate(copies[role]):
        with Pair(restored(last, copied, tmp_path / str(number), role, kind)) as pair:
            for grown in range(2):
                found = pair.collection(PLAN)
                assert all(shares == sent[side] or isinstance(shares, str) for side, shares in found.items())
                assert found == sent or "LEDGER_BROKEN" in pair.reasons
                seen |= pair.reasons or {"the same"}
                for step in range(9):  # its ledger grows beyond what the other one remembers
                    getattr(pair, role).ledger.record_refusal(bytes([step, grown]) * 16, "CLOCK_SKEW")
            if kind == "both" and found != sent:  # and nothing else is opened from then on
                assert pair.collection(NEXT)["leader"] == "LEDGER_BROKEN"
    assert {"the same", "LEDGER_BROKEN"} <= seen
    assert seen <= {"the same", "LEDGER_BROKEN", "NOT_COMMITTED", "PLAN_UNKNOWN"}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_was_rolled_back_is_found_out_by_the_next_collection(
    run: tuple[Path, dict[str, Any], dict[str, list[Path]]], tmp_path: Path, role: str
) -> None:
    last, _, copies = run
    for grown in (0, 20):
        path = restored(last, copies[role][0], tmp_path / str(grown), role, "both")
        with Pair(path) as pair:
            for step in range(grown):
                getattr(pair, role).ledger.record_refusal(bytes([step]) * 32, "CLOCK_SKEW")
            charged = [dict(getattr(pair, one).ledger.state.spent) for one in ROLES]
            for _ in range(3):
                assert pair.collection(NEXT) == {"leader": "LEDGER_BROKEN", "helper": "NOT_COMMITTED"}
            assert charged == [getattr(pair, one).ledger.state.spent for one in ROLES]  # found before it is charged


def test_each_says_whose_ledger_was_rolled_back(
    run: tuple[Path, dict[str, Any], dict[str, list[Path]]], tmp_path: Path
) -> None:
    last, _, copies = run
    request = collect_request(NEXT, COLLECTOR.sign)
    for role, grown, whose in (
        ("leader", 0, "the leader "),  # by the helper, which remembers a later head
        ("leader", 9, "leader.ledger.db"),  # by the leader, which is told so
        ("helper", 0, "helper.ledger.db"),  # by the helper, likewise
        ("helper", 9, "helper.ledger.db"),
    ):
        path = restored(last, copies[role][0], tmp_path / f"{role}-{grown}", role, "both")
        with Pair(path) as pair:
            for step in range(grown):
                getattr(pair, role).ledger.record_refusal(bytes([step]) * 32, "CLOCK_SKEW")
            for party in (pair.leader, pair.helper):
                party.open_plan(signed(NEXT))
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
    run: tuple[Path, dict[str, Any], dict[str, list[Path]]],
    tmp_path: Path,
    what: str,
    damage: Callable[[Path], None],
) -> None:
    last, _, copies = run
    path = restored(last, copies["leader"][-1], tmp_path / "here", "leader", "both")
    with Pair(path):  # and closed: what is in the -wal files goes to the files
        pass
    damage(path / "leader.ledger.db")
    helper = make_helper(path)
    try:
        with pytest.raises(LedgerBroken, match="Put the newest copies of this file"):
            make_leader(path, LocalLink(helper))
    finally:
        helper.close()


def test_a_storage_that_is_older_than_its_ledger_is_refused_for_good(
    run: tuple[Path, dict[str, Any], dict[str, list[Path]]], tmp_path: Path
) -> None:
    last, _, _ = run
    for every in ROLES:
        copy(last, tmp_path, every, KINDS["both"])
    for name in ("leader.db", "leader.db-wal"):
        (tmp_path / name).unlink(missing_ok=True)
    with Pair(tmp_path) as pair:
        for _ in range(2):
            with pytest.raises(StateBehindLedger, match="Put the newest copy of the file back"):
                pair.leader.open_plan(signed(PLAN))


def test_a_ledger_that_does_not_hold_what_the_storage_sends_is_refused(tmp_path: Path) -> None:
    with Pair(tmp_path) as pair:
        pair.collection(PLAN)
    for name in (pattern.format("leader") for pattern in FILES["ledger"]):
        (tmp_path / name).unlink(missing_ok=True)
    with Pair(tmp_path) as pair, pytest.raises(LedgerBehind, match="does not hold the opening"):
        pair.leader._shares(PLAN)  # whatever the helper says


def test_fresh_noise_is_drawn_at_every_new_plan(tmp_path: Path) -> None:
    """The comparison above sees noise: two collections of the same reports differ in it."""
    found = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        with Pair(tmp_path / str(number)) as pair:
            found.append(pair.collection(PLAN))
    for role, (one, other) in itertools.product(ROLES, [found]):
        assert one[role] != other[role]
