"""`covey start coordinator`: the plan that it keeps, resumes, or only signs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.errors import RemoteRefusal
from deployment.collecting import collecting, require_nothing_unfinished
from deployment.coordinator import job_run
from deployment.coordinator.announcement import Announcement
from deployment.coordinator.answer_log import AnswerLog
from deployment.coordinator.job import Job
from deployment.coordinator.session import Session, still_to_do
from deployment.coordinator.site_answer import SiteAnswer
from deployment.coordinator.site_results import SiteResults
from deployment.local.unfinished_collection import Unfinished
from deployment.project.project import Project
from featurestore.store import Store
from federation.draft import verify_draft
from federation.plan import plan_from_bytes, plan_to_bytes
from federation.signed_plan import sign_plan
from tests.federation.wire import COORDINATOR, PLAN, live

assert PLAN.wire is not None
LATER = live(replace(PLAN, wire=replace(PLAN.wire, deadline_us=2**62)))
Covey = Callable[..., tuple[int, str, str]]
DAYS = ("--from", "2020-05-01", "--to", "2020-05-04")


@pytest.fixture
def flights(covey: Covey, project: Path) -> Path:
    assert covey("init", project, "--budget", "1", "--sites", 3)[0] == 0
    return project


def job(folder: Path, **changes: Any) -> Job:
    return replace(
        Job(plan_to_bytes(LATER), folder / "keys", "l:1", "h:2", folder, 3, 300.0, Path(), Path()), **changes
    )


class TestThePlanThatIsKept:
    def test_it_is_there_whole_until_it_is_published(self, tmp_path: Path) -> None:
        unfinished = Unfinished(tmp_path)
        with collecting(tmp_path):
            require_nothing_unfinished(tmp_path)
            kept = unfinished.begin(job(tmp_path))
        found = Unfinished(tmp_path).load()
        assert (found.plan, found.leader, found.helper) == (kept.plan, "l:1", "h:2")
        assert found.result.parent == unfinished.folder
        unfinished.save(replace(kept, leader="l:9"))
        assert Unfinished(tmp_path).load().leader == "l:9"
        unfinished.finish()
        assert list(unfinished.folder.parent.iterdir()) == []

    def test_one_coordinator_is_at_work_at_a_time(self, covey: Covey, flights: Path) -> None:
        with collecting(flights):
            Unfinished(flights).begin(job(flights))
            for words in (["--resume"], ["--give-up"], [flights / "views.py", *DAYS]):
                code, _, err = covey("start", "coordinator", *words, "--project", flights)
                assert (code, "another run or coordinator collects into" in err) == (1, True)
            Unfinished(flights).finish()
        assert covey("start", "coordinator", "--resume", "--project", flights)[2].count("no unfinished plan") == 1

    def test_a_new_plan_waits_for_it(self, covey: Covey, flights: Path) -> None:
        with collecting(flights):
            kept = Unfinished(flights).begin(job(flights))
        words = ("start", "coordinator", flights / "views.py", *DAYS, "--project", flights)
        code, _, err = covey(*words)
        assert code == 2
        assert "resume it, or give it up: its panes are then due again; see --resume and --give-up" in err
        code, out, _ = covey("start", "coordinator", "--give-up", "--project", flights, "--json")
        assert (code, json.loads(out)["due"]) == (6, {})  # it was not announced
        assert not kept.result.parent.exists()

    def test_what_the_sites_answered_to_a_plan_that_was_not_announced_is_kept_too(
        self, covey: Covey, flights: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: object) -> SiteResults:
            found = SiteResults()
            found.add(SiteAnswer(1, "1", "VIEW_NOT_ALLOWED", ()), {}, set())
            return found

        monkeypatch.setattr(Session, "_preflight", refused)
        code, _, err = covey("start", "coordinator", flights / "views.py", *DAYS, "--project", flights)
        assert code != 0
        assert "VIEW_NOT_ALLOWED" in err
        (answers,) = AnswerLog(flights).read()
        assert not answers.announced
        assert [one.code for one in answers.sites.values()] == ["VIEW_NOT_ALLOWED", "NO_ANSWER", "NO_ANSWER"]

    def test_what_came_to_its_end_alone_is_told_by_resume(self, covey: Covey, flights: Path) -> None:
        sites = {
            "1": {"state": "answered", "code": "OK", "batches": 2, "refused": {}},
            "2": {"state": "refused", "code": "NOISE_OFF", "batches": 0, "refused": {}},
            "3": {"state": "lost", "code": "OK", "batches": 2, "refused": {"SIGNATURE_INVALID": 1}},
            "4": {"state": "absent", "code": "NO_ANSWER", "batches": 0, "refused": {}},
        }
        result: dict[str, Any] = {
            "views": {"visits": {"opened": 2, "void": 1, "due": 1}}, "sites": sites, "due": {"visits": [0]}, "why_due": None,
            "rejected": {"visits": 3}, "budget_spent": {"visits": [0, 86_400_000_000]}, "taken": {"visits": [86_400_000_000]}, "too_few_sites": {},
        }  # fmt: skip
        with collecting(flights):
            Unfinished(flights).begin(job(flights)).finish(result)
        code, out, err = covey("start", "coordinator", "--resume", "--project", flights)
        assert code == 0
        (answers,) = AnswerLog(flights).read()
        assert {site: one.to_json() for site, one in answers.sites.items()} == sites
        assert " ".join(out.replace("│", " ").split()).endswith("visits 2 1 1 " + "└" + out.split("└")[1].strip())
        for text in (
            "1 site(s) answered: 1\n",
            "visits: 3 report(s) rejected",
            "1 site(s) refused: 2: NOISE_OFF. The plan opens exact sums, without noise. The coordinator collects with noise.",
            "1 site(s) lost reports: 3: 1 batch(es) refused: SIGNATURE_INVALID. An aggregator's covey.toml has another key",
            "1 site(s) absent: 4: no answer in time. The site's operator starts it with `covey start site ID`",
            "no budget left for 1970-01-01 … 1970-01-02",
            "taken by another plan: 1970-01-02T00:00Z",
            "still due: 1970-01-01T00:00Z: fewer clients than min_clients",
        ):
            assert text in err, text
        assert not Unfinished(flights).folder.exists()
        with collecting(flights):
            result |= {"views": {"visits": {"opened": 0, "void": 3, "due": 0}}, "due": {}}
            Unfinished(flights).begin(job(flights)).finish(result)
        code, out, _ = covey("start", "coordinator", "--resume", "--project", flights, "--json")
        assert (code, json.loads(out)) == (3, result)
        with collecting(flights):
            result["views"] = {"visits": {"opened": 0, "void": 2, "due": 0}}
            Unfinished(flights).begin(job(flights)).finish(result)
        assert covey("start", "coordinator", "--resume", "--project", flights)[0] == 4  # every view lacks budget
        with collecting(flights):
            result |= {
                "views": {"visits": {"opened": 0, "void": 0, "due": 1}},
                "due": {"visits": [0]},
                "why_due": "1 site",
            }
            Unfinished(flights).begin(job(flights)).finish(result)
        code, _, err = covey("start", "coordinator", "--resume", "--project", flights)
        assert (code, "still due: 1970-01-01T00:00Z: 1 site" in err) == (6, True)


@pytest.mark.parametrize(
    ("kept", "reason", "ends"),
    [(True, "PLAN_DELETED", True), (True, "PLAN_UNKNOWN", False), (False, "PLAN_DELETED", False)],
)
def test_a_kept_plan_that_gives_no_release_any_more_is_ended_and_not_announced_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool, reason: str, ends: bool
) -> None:
    def refuses(*_: object) -> Announcement:
        raise RemoteRefusal("leader", reason, "why", {})

    monkeypatch.setattr(job_run, "announce", refuses)
    one = job(tmp_path, progress=tmp_path / "progress", result=tmp_path / "result.json")
    announced = Announcement(LATER, sign_plan(LATER, COORDINATOR.sign))
    if kept:
        announced.save(one.announced)
    if ends:
        assert job_run._announce(one, COORDINATOR, None).signed == announced.signed  # type: ignore[arg-type]  # it asks no aggregator
    else:
        with pytest.raises(RemoteRefusal, match=reason):
            job_run._announce(one, COORDINATOR, None)  # type: ignore[arg-type]  # it asks no aggregator


def test_after_the_deadline_no_site_is_asked_and_the_plan_is_still_collected(tmp_path: Path) -> None:
    deadline = plan_from_bytes(plan_to_bytes(LATER)).wire.deadline_us  # type: ignore[union-attr]
    early, late, over = (still_to_do(job(tmp_path), deadline - left * 10**6) for left in (1_000, 60, 0))
    assert [(one.sites, one.seconds) for one in (early, late, over)] == [(3, 300.0), (3, 60.0), (0, 0.0)]
    assert still_to_do(job(tmp_path), deadline + 10**9).sites == 0
    assert {one.plan for one in (early, late, over)} == {plan_to_bytes(LATER)}


class TestPlanOnly:
    def test_it_is_signed_and_nothing_else_happens(self, covey: Covey, flights: Path) -> None:
        path = flights / "week.plan"
        code, out, err = covey(
            "start", "coordinator", flights / "views.py", *DAYS, "--project", flights, "--plan-only", path
        )
        assert (code, out) == (0, "")
        assert f"covey policy check {path}" in err
        parties = Project.load(flights)
        plan = verify_draft(path.read_bytes(), parties.coordinator)
        assert [one.view.name for one in plan.views] == ["visits", "everywhere"]
        assert [len(one.pane_starts) for one in plan.views] == [3, 72]
        assert (plan.noise, plan.terms.participation) == ("full", "active")
        assert plan.wire is not None
        assert (plan.wire.leader, plan.wire.helper) == (parties.leader, parties.helper)
        assert not (flights / "roles" / "coordinator").exists()
        assert list((flights / "store").iterdir()) == []

    def test_views_that_name_no_noisers_are_planned_with_those_of_the_project(
        self, covey: Covey, flights: Path
    ) -> None:
        toml, views, path = flights / "covey.toml", flights / "views.py", flights / "shared.plan"
        toml.write_text(toml.read_text().replace('noisers = "each"', 'noisers = "shared"'))
        words = ("start", "coordinator", views, *DAYS, "--project", flights, "--plan-only", path)
        code, _, err = covey(*words)
        assert (code, "noisers='shared' needs noise of σ² ≥ 8 from each aggregator" in err) == (2, True), err
        cheap = views.read_text().replace("rho=0.5", "rho=0.05")
        views.write_text(cheap.replace("rho=0.05, min_clients=2", "rho=0.05, min_clients=2, noisers='each'"))
        assert covey(*words)[0] == 0
        plan = verify_draft(path.read_bytes(), Project.load(flights).coordinator)
        assert [one.view.privacy.noisers for one in plan.views] == ["shared", "each"]
        assert plan.views[0].layout.micro_rho > 1.9 * plan.views[1].layout.micro_rho

    def test_a_part_of_a_day_is_planned_pane_by_pane(self, covey: Covey, flights: Path) -> None:
        words = ("start", "coordinator", flights / "views.py", "--project", flights, "--plan-only", flights / "a.plan")
        for start, end, hours in (("05:00:00", "08:00:00", [5, 6, 7]), ("05:30:00", "08:59:59", [6, 7])):
            covey(*words, "--from", f"2020-05-01T{start}", "--to", f"2020-05-01T{end}Z")
            plan = verify_draft((flights / "a.plan").read_bytes(), Project.load(flights).coordinator)
            (planned,) = plan.views  # no pane of the daily view lies inside
            assert planned.view.name == "everywhere"
            assert ((planned.pane_starts // (3_600 * 10**6)) % 24).tolist() == hours

    def test_participation_is_all_where_every_site_has_one_client(self, covey: Covey, flights: Path) -> None:
        toml = flights / "covey.toml"
        toml.write_text(toml.read_text().replace("max_clients = 100000", "max_clients = 1"))
        words = ("start", "coordinator", flights / "views.py", *DAYS, "--project", flights, "--json", "--plan-only")
        said = json.loads(covey(*words, flights / "a.plan")[1])
        plan = verify_draft((flights / "a.plan").read_bytes(), Project.load(flights).coordinator)
        assert (plan.terms.participation, said["plan"]) == ("all", plan.hash.hex())
        covey(*words, flights / "b.plan", "--participation", "active", "--noise", "off")
        plan = verify_draft((flights / "b.plan").read_bytes(), Project.load(flights).coordinator)
        assert (plan.terms.participation, plan.noise) == ("active", "none")

    def test_a_draft_is_looked_at_before_any_key_is_made_for_it(self, covey: Covey, flights: Path) -> None:
        policy = flights / "policy.toml"
        policy.write_text(policy.read_text().replace("min_k = 50", "min_k = 2"))
        words = ("start", "coordinator", flights / "views.py", *DAYS, "--project", flights, "--plan-only")
        for path, more in ((flights / "a.plan", ("--validity", "prio3")), (flights / "b.plan", ())):
            assert covey(*words, path, *more)[0] == 0
            draft = verify_draft(path.read_bytes(), Project.load(flights).coordinator)
            assert draft.wire is not None
            assert (draft.wire.leader_live, draft.wire.verify_key_hash) == (None, b"")
            assert draft.terms.validity == (more[1] if more else "none")
            said = json.loads(covey("policy", "check", path, "--project", flights, "--json")[1])
            assert (said["answer"], said["plan"]) == ("ACCEPT", draft.hash.hex())
        assert not (flights / "roles" / "leader").exists()

    def test_the_finish_is_in_the_plan_where_there_is_something_to_suppress(self, covey: Covey, flights: Path) -> None:
        views, path = flights / "views.py", flights / "a.plan"
        words = ("start", "coordinator", views, *DAYS, "--project", flights, "--plan-only", path, "--finish", "mpc")
        code, _, err = covey(*words)
        assert (code, path.exists()) == (1, False)
        assert "view 'visits' has no suppress_below" in err
        daily = views.read_text().split("everywhere =")[0]
        views.write_text(daily.replace("min_clients=5)", "min_clients=5, suppress_below=18)"))
        code, _, err = covey(*words)
        assert code == 0, err
        assert verify_draft(path.read_bytes(), Project.load(flights).coordinator).terms.finish == "mpc"

    def test_panes_that_are_published_are_left_out(self, covey: Covey, flights: Path, run_arguments: list[str]) -> None:
        run_arguments[run_arguments.index("--store") + 1] = str(flights)
        words = (
            "start",
            "coordinator",
            flights / "views.py",
            "--from",
            "2020-05-01",
            "--to",
            "2020-05-05",
            "--project",
            flights,
        )
        assert covey(*run_arguments, "--budget", "1")[0] == 0
        covey(*words, "--plan-only", flights / "a.plan")
        plan = verify_draft((flights / "a.plan").read_bytes(), Project.load(flights).coordinator)
        with Store.open(flights) as store:
            known = store.releases("visits")["pane_start"].cast("int64").to_numpy()
        assert not np.isin(plan.views[0].pane_starts, known).any()
        assert [len(one.pane_starts) for one in plan.views] == [1, 24]
        code, _, err = covey(*words[:3], *DAYS, "--project", flights, "--plan-only", flights / "b.plan")
        assert (code, "published already" in err, (flights / "b.plan").exists()) == (0, True, False)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "give VIEWS.py, --from and --to"),
        (["views.py"], 2, "give VIEWS.py, --from and --to"),
        (["views.py", "--from", "2020-05-01"], 2, "an end needs a start; give both"),
        (
            ["views.py", "--from", "2020-05-01", "--to", "2020-05-01"],
            2,
            "the start 2020-05-01 00:00:00 must be before the end",
        ),
        (
            ["views.py", "--from", "2020-05-01T01:10:00", "--to", "2020-05-01T01:50:00"],
            2,
            "has ended, with the release_delay",
        ),
        (["views.py", *DAYS, "--noise", "some"], 2, "Invalid value for '--noise': 'some' is not one of 'on', 'off'"),
        (["views.py", *DAYS, "--participation", "most"], 2, "'most' is not one of 'active', 'all'"),
        (["views.py", "--from", "2020-05-01", "--to", "2999-01-01"], 2, "is in the future; choose an earlier end"),
        (["views.py", *DAYS, "--finish", "he"], 2, "'he' is not one of 'open', 'mpc'"),
        (["views.py", *DAYS, "--resume"], 2, "--resume and --give-up take the plan as it is"),
        (["--resume"], 2, "no unfinished plan"),
        (["nowhere.py", *DAYS], 2, "no views file nowhere.py"),
    ],
)
def test_what_does_not_fit_is_one_line(
    covey: Covey, flights: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, says: str
) -> None:
    monkeypatch.chdir(flights)
    got, out, err = covey("start", "coordinator", *words)
    assert (got, out, says in err) == (code, "", True), err


@pytest.mark.parametrize("role", ["coordinator", "collector"])
def test_a_key_that_is_missing_is_not_found_before_anything_is_kept(covey: Covey, flights: Path, role: str) -> None:
    (flights / "keys" / f"{role}.key").unlink()
    code, _, err = covey("start", "coordinator", flights / "views.py", *DAYS, "--project", flights)
    assert (code, f"{role}.key" in err) == (5, True)
    assert not (flights / "roles" / "coordinator" / "unfinished").exists()


def test_without_a_project_there_is_none(covey: Covey, project: Path) -> None:
    code, _, err = covey("start", "coordinator", project / "views.py", *DAYS, "--project", project)
    assert code == 5
    assert "covey init" in err
