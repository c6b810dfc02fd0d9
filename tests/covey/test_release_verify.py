"""`covey release verify`: every check has its line, and every change of a store is named."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployment.inspect.verification import CHECKS
from deployment.project.project import Project
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import Release, Void
from featurestore.define.wire import view_to_bytes
from featurestore.publish.publish import Publisher
from federation.manifest import manifest_of
from federation.parties import Roster, RosterEntry
from tests.featurestore.making import HOUR, a_release, a_view
from tests.federation.test_release_check import NOTHING, NOW, PLAN, SIGNED, STATEMENTS, VALUES, release, void
from tests.federation.wire import COLLECTOR, COORDINATOR, HELPER, LEADER, SITE

Covey = Callable[..., tuple[int, str, str]]
OPENED, SMALL, SPENT = release(), void("BATCH_TOO_SMALL", 1), void("BUDGET_SPENT", 2, NOTHING)
OTHER_VIEW = manifest_of(PLAN, PLAN.views[0], noise_source="x", trust="one-honest-noiser", commitments=("", ""))
OTHERS = [void("BUDGET_SPENT", pane, OTHER_VIEW) for pane in range(3)]
"""The plan asks for two views. Nothing of the other view was opened."""
TOMBSTONE = void("RETRACTED: a faulty source", 0, released_at=NOW, clock="live")


def publish(directory: Path, *items: Release | Void, evidence: Any = (SIGNED, *STATEMENTS, *VALUES)) -> Path:
    with Publisher(directory, lambda: NOW) as publisher:
        for planned in PLAN.views:
            publisher.register(planned.view)
        publisher.publish(items, evidence)
    return directory


def pin(directory: Path, **changed: Any) -> None:
    parties = Project("p", COORDINATOR.sign.public, COLLECTOR.public.collector, LEADER.sign.public, HELPER.sign.public,
                      Roster([RosterEntry("a", SITE.sign.public, 1)]))  # fmt: skip
    (directory / "covey.toml").write_text(replace(parties, **changed).to_toml())


@pytest.fixture
def store(tmp_path: Path) -> Path:
    pin(tmp_path)
    return publish(tmp_path, OPENED, SMALL, SPENT, *OTHERS, TOMBSTONE)


def found(covey: Covey, store: Path, *words: Any) -> dict[str, tuple[str, str | None]]:
    """State and failed check of each release, by the release's id."""
    _, out, _ = covey("release", "verify", "--store", store, *(words or ("--all",)), "--json")
    return {one["release_id"]: (one["state"], one["check"]) for one in json.loads(out)["releases"] if one["release_id"]}


def test_one_release_is_shown_check_by_check(covey: Covey, store: Path) -> None:
    code, out, err = covey("release", "verify", OPENED.release_id.hex()[:8], "--store", store)
    assert (code, err) == (0, "")
    lines = [line.split()[:2] for line in out.splitlines()]
    assert lines[1:-1] == [["ok", check] for check in CHECKS]
    assert lines[-1] == ["keys:", "covey.toml's"]


def test_show_names_the_key_that_signed_it_or_what_does_not_fit(covey: Covey, store: Path) -> None:
    words = ("release", "show", OPENED.release_id.hex(), "--store", store)
    key = COLLECTOR.sign.public.id.hex()
    code, out, _ = covey(*words)
    assert (code, f"the collector's key {key}" in out) == (0, True)
    shown = json.loads(covey(*words, "--json")[1])
    assert (shown["verified"], shown["key"], shown["state"]) == (True, key, "retracted")
    pin(store, leader=COLLECTOR.sign.public)
    code, out, _ = covey(*words)
    assert (code, "not verified, parties: " in out) == (0, True)
    assert json.loads(covey(*words, "--json")[1])["key"] is None


def test_all_are_verified_with_voids_and_tombstones(covey: Covey, store: Path) -> None:
    code, out, err = covey("release", "verify", "--all", "--store", store)
    assert code == 0
    assert "6 verified, 0 failed, 0 unsigned" in out
    assert "6/6" in err
    assert found(covey, store) == {
        item.release_id.hex(): ("verified", None) for item in (OPENED, SMALL, SPENT, *OTHERS)
    }
    assert covey("release", "verify", "--all", "--view", OPENED.manifest.view, "--store", store)[0] == 0


def test_without_pinned_keys_it_says_whose_they_are(covey: Covey, store: Path) -> None:
    (store / "covey.toml").unlink()
    code, out, _ = covey("release", "verify", "--all", "--store", store)
    assert (code, "the plan's own: there is no covey.toml that pins keys" in out) == (0, True)


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"coordinator": SITE.sign.public}, "plan"),
        ({"leader": COLLECTOR.sign.public}, "parties"),
        ({"collector": replace(COLLECTOR.public.collector, sign=LEADER.sign.public)}, "parties"),
    ],
)
def test_other_parties_than_the_pinned_ones_are_named(
    covey: Covey, store: Path, changed: dict[str, Any], check: str
) -> None:
    pin(store, **changed)
    code, out, err = covey("release", "verify", OPENED.release_id.hex(), "--store", store)
    assert code == 1
    assert f"failed  {check}" in out
    assert "outcome" not in out  # checks after the first failure do not run
    assert f"{check}: " in err


@pytest.mark.parametrize(
    ("sql", "check"),
    [
        ("UPDATE panes SET signature = zeroblob(64)", "signature"),
        ("UPDATE panes SET published_at = published_at + 1", "signature"),
        ("UPDATE panes SET released_at = released_at + 1", "pane"),
        ("UPDATE panes SET content = zeroblob(32)", "content"),
        ("UPDATE panes SET reason = 'RETRACTED: nothing at all' WHERE tombstone", "content"),
        ("UPDATE manifests SET json = replace(json, '\"min_clients\":2', '\"min_clients\":9')", "manifest"),
        ('UPDATE manifests SET json = replace(json, \'"trust":"one-\', \'"trust":"two-\')', "manifest"),
        (f"DELETE FROM evidence WHERE data = x'{STATEMENTS[1].hex()}'", "commitments"),
        (f"DELETE FROM evidence WHERE data = x'{VALUES[0].hex()}'", "values"),
        ("DELETE FROM evidence", "plan"),
    ],
)
def test_a_change_in_the_store_is_found_and_named(covey: Covey, store: Path, sql: str, check: str) -> None:
    with sqlite3.connect(store / "store" / "registry.db") as db:
        assert db.execute(sql).rowcount
    db.close()
    code, out, err = covey("release", "verify", "--all", "--store", store)
    assert code == 1
    assert f"{OPENED.release_id.hex()}  {OPENED.manifest.view}  {check}: " in out
    assert "release(s) failed" in err
    assert found(covey, store, OPENED.release_id.hex()[:6]) == {OPENED.release_id.hex(): ("failed", check)}


def test_a_view_that_was_changed_in_the_store_is_found(covey: Covey, store: Path) -> None:
    """The view's layout, clips and resolution turn sums into served values."""
    other = FeatureView(
        "v1",
        entity=Entity("k", domain=[0, 1, 2]),
        features=[Count("n")],
        pane="1d",
        bounds=Bounds(max_cells=2, max_events_per_cell=3),
        privacy=Privacy(rho=0.5, min_clients=2),
        release_delay="9m",
    )
    with sqlite3.connect(store / "store" / "registry.db") as db:
        db.execute(
            "UPDATE definitions SET data = ? WHERE view_id = (SELECT id FROM versions WHERE name = 'v1')",
            (view_to_bytes(other),),
        )
    db.close()
    states = found(covey, store)
    assert {states[item.release_id.hex()] for item in (OPENED, SMALL, SPENT)} == {("failed", "content")}


def test_an_id_that_is_not_the_releases_own_is_found(covey: Covey, store: Path) -> None:
    with sqlite3.connect(store / "store" / "registry.db") as db:
        db.execute("UPDATE panes SET release_id = zeroblob(16) WHERE release_id = ?", (OPENED.release_id,))
    db.close()
    assert found(covey, store)["00" * 16] == ("failed", "content")


def test_a_manifest_that_cannot_be_read_is_one_line(covey: Covey, store: Path) -> None:
    with sqlite3.connect(store / "store" / "registry.db") as db:
        db.execute("UPDATE manifests SET json = '{'")
    db.close()
    code, out, err = covey("release", "verify", "--all", "--store", store)
    assert (code, out) == (1, "")
    assert err.startswith("error: the manifest of a release cannot be read")
    assert err.count("\n") == 1


def test_a_pane_that_was_published_against_its_statement_is_found(covey: Covey, tmp_path: Path) -> None:
    wrong = void("BATCH_MISMATCH", 0), release(pane=1), void("BATCH_TOO_SMALL", 2)
    publish(tmp_path, *wrong, *OTHERS)
    states = found(covey, tmp_path)
    assert {states[item.release_id.hex()] for item in wrong} == {("failed", "outcome")}


class TestUnsigned:
    """A run in one process, which signs nothing."""

    @pytest.fixture
    def unsigned(self, collect: Callable[..., Path]) -> Path:
        return collect()

    def test_it_is_said_plainly_and_is_a_failure_unless_allowed(self, covey: Covey, unsigned: Path) -> None:
        said = "in-process: one process saw everything and signed nothing"
        code, out, err = covey("release", "verify", "--all", "--view", "visits", "--store", unsigned)
        assert (code, said in out, said in err, "--allow-unsigned" in err) == (1, True, True, True)
        one = next(iter(found(covey, unsigned)))
        code, out, _ = covey("release", "verify", one, "--store", unsigned, "--allow-unsigned")
        assert (code, said in out) == (0, True)
        assert set(found(covey, unsigned).values()) == {("unsigned", None)}

    def test_values_that_were_changed_are_found_all_the_same(self, covey: Covey, unsigned: Path) -> None:
        with sqlite3.connect(unsigned / "store" / "registry.db") as db:
            db.execute("UPDATE panes SET content = zeroblob(32)")
        db.close()
        assert covey("release", "verify", "--all", "--store", unsigned, "--allow-unsigned")[0] == 1

    def test_a_signature_that_was_taken_away_is_no_excuse(self, covey: Covey, store: Path) -> None:
        with sqlite3.connect(store / "store" / "registry.db") as db:
            db.execute("UPDATE panes SET signature = x''")
        db.close()
        assert found(covey, store)[OPENED.release_id.hex()] == ("failed", "signature")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "give the ID of a release, or --all"),
        (["abcdef", "--all"], 2, "give the ID of a release, or --all"),
        (["abcdef", "--view", "v"], 2, "give the ID of a release, or --all"),
        (["000000"], 5, "no release 000000"),
        (["--all", "--view", "nothing"], 5, "nothing"),
    ],
)
def test_what_does_not_fit_is_one_line(covey: Covey, store: Path, words: list[str], code: int, says: str) -> None:
    got, _, err = covey("release", "verify", *words, "--store", store)
    assert (got, says in err) == (code, True), err


def test_an_empty_store_has_nothing_to_fail(covey: Covey, tmp_path: Path) -> None:
    publish(tmp_path, evidence=())
    assert "0 verified" in covey("release", "verify", "--all", "--store", tmp_path)[1]


def test_a_release_whose_sums_have_left_is_expired_and_no_failure(covey: Covey, tmp_path: Path) -> None:
    view = a_view(retention="1d")
    with Publisher(tmp_path, lambda: NOW) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, hour * HOUR, 1) for hour in range(96)])
    code, out, err = covey("release", "verify", "--all", "--store", tmp_path, "--allow-unsigned")
    assert code == 0, err
    assert "0 verified, 0 failed, 48 unsigned, 48 expired: the sums have left the store" in out
    states = found(covey, tmp_path, "--all", "--allow-unsigned").values()
    assert list(states).count(("expired", None)) == 48
    first = next(iter(found(covey, tmp_path, "--all", "--allow-unsigned")))
    code, out, _ = covey("release", "verify", first[:8], "--store", tmp_path, "--allow-unsigned")
    assert (code, "by the view's `retention`" in out) == (0, True)
    code, _, err = covey("release", "show", first[:8], "--store", tmp_path)
    assert (code, "older than the view's `retention`" in err) == (5, True)
