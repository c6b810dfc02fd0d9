"""`covey status` of a project folder, before and after there is something to tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from deployment.collecting import collecting
from deployment.coordinator.attempts import Attempts
from deployment.coordinator.job import Job
from deployment.local.unfinished_collection import Unfinished
from featurestore.define.views_file import load_views
from featurestore.publish.publish import Publisher
from federation.attempt import MAX_ATTEMPTS
from federation.plan import plan_to_bytes
from tests.edge_client.making import answered, events, hours, settings_in
from tests.featurestore.making import a_release, a_void
from tests.federation.wire import DAY, PLAN, plan

Covey = Callable[..., tuple[int, str, str]]
MAY = 18_383 * DAY  # 2020-05-01


def test_a_new_project_has_everything_before_it(covey: Covey, project: Path) -> None:
    assert covey("status", "--project", project)[0] == 5
    covey("init", project, "--sites", 3)
    code, out, err = covey("status", "--project", project)
    assert (code, "3 site(s) on the roster; a collection needs answers of 3" in err) == (0, True)
    assert "nothing is registered yet: `covey apply VIEWS.py" in err
    assert json.loads(covey("status", "--project", project, "--json")[1])["views"] == {}
    assert out


def test_opened_void_due_and_exhausted_panes_and_an_unfinished_plan_are_told_with_what_to_do(
    covey: Covey, project: Path
) -> None:
    covey("init", project)
    visits, _ = load_views(project / "views.py")
    with Publisher(project, lambda: MAY + 90 * DAY) as publisher:
        publisher.register(visits)
        publisher.publish([a_release(visits, MAY), a_void(visits, MAY + DAY), a_release(visits, MAY + 3 * DAY)])
    attempts = Attempts(project)
    for number in range(MAX_ATTEMPTS):
        attempts.record(plan(number), {"visits": np.array([MAY + 2 * DAY])}, [], reported=True)
    attempts.record(plan(9), {"visits": np.array([MAY + 5 * DAY])}, [], reported=True)
    job = Job(plan_to_bytes(PLAN), project / "keys", "l:1", "h:2", project, 2, 9.0, Path(), Path())
    with collecting(project):
        Unfinished(project).begin(replace(job, keeps_due=True))
    code, out, err = covey("status", "--project", project)
    assert code == 0, err
    assert "visits" in out
    shown = json.loads(covey("status", "--project", project, "--json")[1])
    assert shown["views"]["visits"] == {
        "opened": 2,
        "void": 1,
        "due": ["2020-05-03T00:00:00Z", "2020-05-05T00:00:00Z", "2020-05-06T00:00:00Z"],
        "exhausted": ["2020-05-03T00:00:00Z"],
    }
    assert shown["unfinished_until"] == "1970-01-11T00:00:00Z"
    for text in (
        "--resume`, or",
        "covey release void visits PANE",
        "due: 2020-05-05 … 2020-05-06: `covey collect --project",
    ):
        assert text in err, err


def test_late_events_of_the_sites_here_are_shown(covey: Covey, project: Path) -> None:
    assert covey("init", project)[0] == 0
    assert json.loads(covey("status", "--project", project, "--json")[1])["late_events"] == {}
    settings = replace(settings_in(project), ledger=project / "ledgers" / "site-a.db")
    answered(hours(0, 1), events(("p", 1 / 24, "x")), settings)
    answered(hours(1, 2), events(("p", 1 / 24, "x"), ("q", 1 / 24, "x")), settings)
    code, out, err = covey("status", "--project", project, "--json")
    assert (code, json.loads(out)["late_events"]) == (0, {"a": {"h": 1}}), err
    _, _, err = covey("status", "--project", project)
    assert "site a: events that came after their pane was reported, which are never counted: h: 1" in err
