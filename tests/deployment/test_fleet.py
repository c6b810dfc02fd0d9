"""What is known of a fleet: the coordinator's record of answers, sites, the plan under way, and the sites in each pane."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from base.atomic_files import replace_file
from base.private_files import append_private
from deployment.collecting import collecting
from deployment.coordinator import answer_log
from deployment.coordinator.answer_log import AnswerLog
from deployment.coordinator.job import Job
from deployment.coordinator.site_results import SiteOutcome
from deployment.errors import JobMalformed
from deployment.inspect import site_activity
from deployment.inspect.fleet import Fleet
from deployment.inspect.plan_under_way import read_plan_under_way
from deployment.inspect.site_activity import SiteActivities
from deployment.inspect.site_coverage import SiteCoverage, SiteInPane
from deployment.local.unfinished_collection import Unfinished
from deployment.project.project import Project
from edge_client.ledger import SiteLedger
from edge_client.policy import Refuse
from featurestore.errors import UnknownView
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from federation.plan import plan_to_bytes
from federation.refusal_codes import RefusalCode
from tests.deployment.test_counted_sites import published
from tests.featurestore.making import DAY, a_release, a_view, a_void, fill
from tests.federation.wire import PLAN
from tests.fixtures.kept import VERSIONS, unpacked

BUDGET = RefusalCode.DAY_BUDGET_SPENT.value
ROSTER = {"1": 5, "2": 7}


def a_result(**codes: str) -> dict[str, Any]:
    """The result of a plan, with the code of each site."""
    sites = {site.removeprefix("s"): {"code": code, "batches": 1, "refused": {}} for site, code in codes.items()}
    return {"views": {"visits": {}}, "announced": True, "sites": sites}


class TestTheRecordOfAnswers:
    def test_it_has_every_plan_in_order_and_is_private(self, tmp_path: Path) -> None:
        log = AnswerLog(tmp_path)
        log.add(a_result(s1="OK", s2=BUDGET), 7)
        log.add(a_result(s1="NO_ANSWER") | {"announced": False}, 8)
        first, second = AnswerLog(tmp_path).read()
        assert (first.at_us, first.views, first.announced) == (7, ("visits",), True)
        assert {site: one.state for site, one in first.sites.items()} == {
            "1": SiteOutcome.ANSWERED,
            "2": SiteOutcome.REFUSED,
        }
        assert (second.announced, second.sites["1"].state) == (False, SiteOutcome.ABSENT)
        assert log.path.stat().st_mode & 0o077 == 0

    def test_a_plan_without_sites_is_not_recorded(self, tmp_path: Path) -> None:
        log = AnswerLog(tmp_path)
        log.add(a_result(), 7)
        assert log.read() == []

    def test_it_forgets_the_oldest_plans_and_stays_small(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(answer_log, "MAX_BYTES", 2_000)
        log = AnswerLog(tmp_path)
        for plan in range(100):
            log.add(a_result(s1="OK"), plan)
            assert log.path.stat().st_size <= 2_000
        kept = [one.at_us for one in log.read()]
        assert kept == list(range(kept[0], 100))

    @pytest.mark.parametrize(
        "line",
        [
            "{",
            "[]",
            '{"at_us": 1}',
            '{"at_us": 1, "views": [], "announced": 1, "sites": 3}',
            '{"at_us": 1e999, "views": [], "announced": 1, "sites": {}}',
            '{"at_us": 9223372036854775808, "views": [], "announced": 1, "sites": {}}',
            '{"at_us": 1, "views": [], "announced": 1, "sites": {"\\ud800": {"code": "OK", "batches": 1, "refused": {}}}}',
        ],
    )
    def test_a_damaged_line_is_skipped(self, tmp_path: Path, line: str) -> None:
        log = AnswerLog(tmp_path)
        log.add(a_result(s1="OK"), 7)
        append_private(log.path, line + "\n")
        log.add(a_result(s1="OK"), 7)
        assert len(log.read()) == 2

    def test_a_long_file_with_damaged_bytes_ends_no_collection(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answer_log, "MAX_BYTES", 100)
        log = AnswerLog(tmp_path)
        log.add(a_result(s1="OK"), 7)
        log.path.write_bytes(b"\xff" * 200 + b"\n")
        log.add(a_result(s1="OK"), 7)
        assert len(log.read()) == 1

    def test_a_file_that_cannot_be_written_ends_no_collection(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        log = AnswerLog(tmp_path)
        log.path.mkdir(parents=True)
        with caplog.at_level(logging.WARNING):
            log.add(a_result(s1="OK"), 7)
        assert "the answers of the sites are not kept" in caplog.text
        assert log.read() == []


class TestSites:
    def test_answers_and_refusals_are_counted_by_code(self, tmp_path: Path) -> None:
        log = AnswerLog(tmp_path)
        log.add(a_result(s1="OK", s2=BUDGET), 10)
        log.add(a_result(s1="NO_ANSWER", s2=BUDGET), 20)
        log.add(a_result(s1="NO_ANSWER", s2="ODD", s3="OK"), 30)
        one, two, other = SiteActivities(tmp_path).read(ROSTER)
        assert (one.site, one.max_clients, one.seen_us) == ("1", 5, 10)  # an absent site was not seen
        assert one.outcomes == {SiteOutcome.ABSENT: 2, SiteOutcome.ANSWERED: 1}
        assert one.last_outcome is SiteOutcome.ABSENT
        assert [(each.code, each.count, each.last_us) for each in two.refusals] == [(BUDGET, 2, 20), ("ODD", 1, 30)]
        assert two.refusals[0].sentence == RefusalCode.DAY_BUDGET_SPENT.sentence
        assert (two.refusals[1].sentence, two.refusals[1].mend) == ("", "")
        assert (other.site, other.max_clients) == ("3", None)

    def test_the_record_is_read_again_only_when_it_has_changed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log, read, reads = AnswerLog(tmp_path), AnswerLog.read, list[int]()
        monkeypatch.setattr(AnswerLog, "read", lambda one: (reads.append(1), read(one))[1])
        activities = SiteActivities(tmp_path)
        for plans in (1, 2):
            log.add(a_result(s1="OK"), 7)
            assert activities.read(ROSTER) == activities.read(ROSTER)
            assert activities.read(ROSTER)[0].outcomes == {SiteOutcome.ANSWERED: plans}
        assert len(reads) == 2

    def test_a_ledger_that_lies_here_says_when_its_site_answered_and_what_it_refused(self, tmp_path: Path) -> None:
        (tmp_path / "ledgers").mkdir()
        with SiteLedger(tmp_path / "ledgers" / "site-1.db", "1", lambda: 44) as ledger:
            ledger.refuse(Refuse(RefusalCode.VIEW_NOT_ALLOWED, PLAN.hash, "visits", 3))
        one, two = SiteActivities(tmp_path).read(ROSTER)
        assert (one.seen_us, one.ledger) == (44, "")
        assert [(each.code, each.count) for each in one.refusals] == [("VIEW_NOT_ALLOWED", 1)]
        assert (two.seen_us, two.ledger) == (None, None)

    def test_a_code_in_the_ledger_of_its_site_counts_once_and_one_that_only_the_coordinator_saw_is_shown(
        self, tmp_path: Path
    ) -> None:
        log = AnswerLog(tmp_path)
        log.add(a_result(s1="VIEW_NOT_ALLOWED"), 10)
        log.add(a_result(s1=BUDGET), 20)
        (tmp_path / "ledgers").mkdir()
        with SiteLedger(tmp_path / "ledgers" / "site-1.db", "1", lambda: 44) as ledger:
            for place in (3, 4):
                ledger.refuse(Refuse(RefusalCode.VIEW_NOT_ALLOWED, PLAN.hash, "visits", place))
        for _ in range(2):
            one, _ = SiteActivities(tmp_path).read(ROSTER)
            assert [(each.code, each.count) for each in one.refusals] == [("VIEW_NOT_ALLOWED", 2), (BUDGET, 1)]

    def test_a_broken_ledger_is_named(self, tmp_path: Path) -> None:
        unpacked(VERSIONS[-1], "project", tmp_path)
        (tmp_path / "ledgers" / "site-1.db").write_bytes(b"broken")
        one, two = SiteActivities(tmp_path).read(ROSTER)
        assert one.ledger
        assert two.ledger == ""

    def test_a_deleted_ledger_is_broken_and_not_elsewhere(self, tmp_path: Path) -> None:
        (tmp_path / "ledgers").mkdir()
        with SiteLedger(tmp_path / "ledgers" / "site-1.db", "1", lambda: 44) as ledger:
            ledger.refuse(Refuse(RefusalCode.VIEW_NOT_ALLOWED, PLAN.hash, "visits", 3))
        (tmp_path / "ledgers" / "site-1.db").unlink()
        one, two = SiteActivities(tmp_path).read(ROSTER)
        assert "its head file exists" in (one.ledger or "")
        assert two.ledger is None

    def test_a_ledger_is_read_again_only_when_it_has_changed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unpacked(VERSIONS[-1], "project", tmp_path)
        read, names = site_activity.read_ledger, list[str]()
        monkeypatch.setattr(
            site_activity, "read_ledger", lambda path, owner: (names.append(owner), read(path, owner))[1]
        )
        activities = SiteActivities(tmp_path)
        before = activities.read(ROSTER)
        assert activities.read(ROSTER) == before
        assert names == ["site-1", "site-2"]
        with SiteLedger(tmp_path / "ledgers" / "site-2.db", "2", lambda: 2**60) as ledger:
            ledger.refuse(Refuse(RefusalCode.VIEW_NOT_ALLOWED, PLAN.hash, "visits", 3))
        assert activities.read(ROSTER)[1].seen_us == 2**60
        assert names == ["site-1", "site-2", "site-2"]


class TestThePlanUnderWay:
    @pytest.fixture
    def kept(self, tmp_path: Path) -> Job:
        with collecting(tmp_path):
            job = Job(plan_to_bytes(PLAN), tmp_path, "l:1", "h:2", tmp_path, 3, 300.0, Path(), Path())
            return Unfinished(tmp_path).begin(job)

    def test_there_is_none_without_its_folder(self, tmp_path: Path) -> None:
        assert read_plan_under_way(tmp_path, ROSTER) is None

    def test_it_has_its_panes_and_the_answers_so_far(self, tmp_path: Path, kept: Job) -> None:
        line = {"site": "2", "state": "refused", "code": BUDGET, "batches": 0, "refused": {}, "bytes": 0}
        append_private(kept.progress, json.dumps(line) + "\n")
        found = read_plan_under_way(tmp_path, ROSTER)
        assert found is not None
        assert found.panes == {one.view.name: len(one.pane_starts) for one in PLAN.views}
        assert (found.first_us, found.last_us) == (
            min(int(one.pane_starts.min()) for one in PLAN.views),
            max(int(one.pane_starts.max()) for one in PLAN.views),
        )
        assert PLAN.wire is not None
        assert found.deadline_us == PLAN.wire.deadline_us
        assert {site: one and one.state for site, one in found.sites.items()} == {"1": None, "2": SiteOutcome.REFUSED}

    @pytest.mark.parametrize(
        ("file", "text"),
        [
            ("job", "{"),
            ("progress", "{"),
            ("progress", '{"site": "1", "code": "OK", "batches": "many", "refused": {}}'),
            ("progress", '{"site": "1", "code": "OK", "batches": 1, "refused": 3}'),
        ],
    )
    def test_a_damaged_file_is_named(self, tmp_path: Path, kept: Job, file: str, text: str) -> None:
        path = kept.progress if file == "progress" else kept.progress.with_name("job.json")
        replace_file(path, text, private=True)
        with pytest.raises(JobMalformed, match=path.name):
            read_plan_under_way(tmp_path, ROSTER)

    def test_one_that_ends_while_it_is_read_is_none(
        self, tmp_path: Path, kept: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def load(self: Unfinished) -> Job:
            self.finish()
            raise JobMalformed(f"{kept} is gone")

        monkeypatch.setattr(Unfinished, "load", load)
        assert read_plan_under_way(tmp_path, ROSTER) is None


class TestCoverage:
    def test_each_pane_says_who_is_counted_missing_or_was_not_enrolled(self, tmp_path: Path) -> None:
        published(tmp_path, {"a": [8, 8]})
        found = SiteCoverage(tmp_path).read("v", frozenset({"a", "b", "new"}), 60)
        assert (found.sites, found.panes) == (("a", "b", "new"), 2)
        for pane in found.shown:
            assert pane.sites == (SiteInPane.COUNTED, SiteInPane.MISSING, SiteInPane.NOT_ENROLLED)
            assert (pane.counted, pane.enrolled, pane.client_share, pane.state) == (1, 2, 0.25, "opened")

    def test_a_site_that_left_the_roster_is_still_shown(self, tmp_path: Path) -> None:
        published(tmp_path, {"a": [8, 8]})
        assert SiteCoverage(tmp_path).read("v", frozenset(), 60).sites == ("a", "b")

    def test_only_the_newest_panes_are_read(self, tmp_path: Path) -> None:
        fill(tmp_path, a_view(), 5)
        found = SiteCoverage(tmp_path).read("delays", frozenset({"a"}), 2)
        assert (found.panes, [pane.start_us for pane in found.shown]) == (
            5,
            [3 * a_view().pane_us, 4 * a_view().pane_us],
        )

    def test_a_pane_of_one_process_says_nothing_of_sites(self, tmp_path: Path) -> None:
        view = a_view(pane="1d", windows=["2d"])
        with Publisher(tmp_path, lambda: 9 * DAY) as publisher:
            publisher.register(view)
            publisher.publish([a_release(view, 0), a_void(view, DAY)])
        first, second = SiteCoverage(tmp_path).read("delays", frozenset({"a"}), 60).shown
        assert (first.counted, first.client_share, first.sites) == (None, None, (SiteInPane.UNKNOWN,))
        assert (second.state, second.reason) == ("void", "BATCH_TOO_SMALL")

    def test_a_plan_that_is_not_in_the_store_leaves_its_counted_sites_unknown(self, tmp_path: Path) -> None:
        (tmp_path / "whole").mkdir()
        items = published(tmp_path / "whole", {"a": [8, 8]})
        with Publisher(tmp_path / "bare", lambda: 2**60) as publisher, Store.open(tmp_path / "whole") as store:
            publisher.register(store.view("v"))
            publisher.publish(items)
        pane = SiteCoverage(tmp_path / "bare").read("v", frozenset({"a", "b"}), 60).shown[0]
        assert pane.sites == (SiteInPane.UNKNOWN, SiteInPane.MISSING)

    def test_an_unknown_view_and_an_empty_directory_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(UnknownView):
            SiteCoverage(tmp_path).read("v", frozenset(), 60)
        fill(tmp_path, a_view(), 1)
        with pytest.raises(UnknownView):
            SiteCoverage(tmp_path).read("other", frozenset(), 60)


class TestTheWholeFleet:
    def test_a_store_without_a_project_has_panes_only(self, tmp_path: Path) -> None:
        fill(tmp_path, a_view(), 30)
        with Store.open(tmp_path) as store:
            fleet = Fleet(tmp_path, store, lambda: 0)
            assert (fleet.project(), fleet.sites(), fleet.plan(), fleet.deployment()) == (None, (), None, None)
            (panes,) = fleet.panes()
            assert (panes.counts.opened, panes.next) == (30, ())
            arrivals = fleet.arrivals()
        assert [one.pane_start // a_view().pane_us for one in arrivals] == list(range(29, 9, -1))

    def test_arrivals_are_read_again_only_after_a_publication(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(tmp_path, a_view(), 3)
        read, reads = Store.published, list[str]()
        monkeypatch.setattr(
            Store, "published", lambda store, view, after: (reads.append(view), read(store, view, after))[1]
        )
        with Store.open(tmp_path) as store:
            fleet = Fleet(tmp_path, store, lambda: 0)
            assert len(fleet.arrivals()) == len(fleet.arrivals()) == 3
            assert reads == [a_view().name]
            with Publisher(tmp_path, lambda: 100 * DAY) as publisher:
                publisher.publish([a_release(a_view(), 3 * a_view().pane_us, 4)])
            assert [one.seq for one in fleet.arrivals()] == [2, 1, 1, 1]

    def test_a_project_has_its_sites_and_what_comes_next_of_each_view(self, tmp_path: Path) -> None:
        unpacked(VERSIONS[-1], "project", tmp_path)
        with Store.open(tmp_path) as store:
            fleet = Fleet(tmp_path, store, lambda: 2**60)
            assert [one.site for one in fleet.sites()] == ["1", "2"]
            panes = {one.counts.view.name: one for one in fleet.panes()}
        assert panes["visits"].counts.opened == 2
        assert all(one.next[0].next_us is not None for one in panes.values())

    def test_the_roster_is_read_again_only_when_its_file_has_changed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unpacked(VERSIONS[-1], "project", tmp_path)
        find, finds = Project.find, list[Path]()
        monkeypatch.setattr(Project, "find", lambda folder: (finds.append(folder), find(folder))[1])
        with Store.open(tmp_path) as store:
            fleet = Fleet(tmp_path, store, lambda: 0)
            assert len(fleet.sites()) == len(fleet.sites()) == 2
            assert finds == [tmp_path]
            with (tmp_path / "covey.toml").open("a") as file:
                file.write("# a comment\n")
            assert len(fleet.sites()) == 2
            assert finds == [tmp_path] * 2
            (tmp_path / "covey.toml").unlink()
            assert (fleet.project(), fleet.sites()) == (None, ())

    def test_a_project_without_views_has_no_panes(self, covey: Callable[..., Any], project: Path) -> None:
        assert covey("init", project)[0] == 0
        with Publisher(project, lambda: 0):
            pass
        with Store.open(project) as store:
            assert Fleet(project, store, lambda: 0).panes() == ()
