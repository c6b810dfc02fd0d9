"""The API of budgets, on a project with ledgers."""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from base.times import DAY_US, PANES
from covey.console.api.budgets.what_if_forms import Pane
from deployment.inspect.lasting import MOST_DAYS
from featurestore.publish.publish import Publisher
from tests.covey.console.asking import Api, console_of
from tests.covey.test_ledger_show import FIRST, write
from tests.featurestore.making import DAY, a_view

Covey = Callable[..., tuple[int, str, str]]
LIMITED = a_view("limited", windows=["3h"])
UNSAVED = """from covey import Bounds, Count, Entity, FeatureView, Privacy

unsaved = FeatureView("unsaved", entity=Entity("k", domain=["a", "b"]), pane="1d", features=[Count("n")],
    bounds=Bounds(2, 1), privacy=Privacy(rho=0.02))
broken = FeatureView("broken", entity=Entity("k", domain=keys()), pane="1d", features=[Count("n")], privacy=Privacy(rho=0.02))
"""
NOW = (FIRST + 4) * DAY_US + 5


@pytest.fixture
def project(covey: Covey, tmp_path: Path) -> Path:
    covey("init", tmp_path / "p")
    for owner, role in (("site-1", ""), ("operator", "leader"), ("operator", "helper")):
        write(tmp_path / "p" / "ledgers", owner, role)
    with Publisher(tmp_path / "p", lambda: DAY) as publisher:
        publisher.register(LIMITED)
    return tmp_path / "p"


@pytest.fixture
def api(project: Path) -> Iterator[Api]:
    with console_of(project, now=NOW) as console:
        yield Api(console, "reader")


@pytest.fixture
def covey(capfd: pytest.CaptureFixture[str]) -> Covey:
    from covey.cli import call

    return lambda *words: (call([str(word) for word in words]), *capfd.readouterr())


class TestLedgers:
    def test_every_ledger_has_its_budget_and_what_today_has_left(self, api: Api) -> None:
        found = api.get("/budgets/ledgers")
        assert [one["owner"] for one in found["ledgers"]] == ["operator", "site-1"]
        state = found["ledgers"][0]["state"]
        assert (state["budget_micro_rho"], state["today_spent"], state["today_left"]) == (100_000, 100_000, 0)
        assert (state["days_charged"], state["refusals"], state["views"]) == (11, 4, ["area", "carrier", "dest"])
        assert [one["days"] for one in state["budget_claims"]] == [1, 7, 30]

    def test_pages_of_owners_are_the_same_list(self, api: Api) -> None:
        first = api.get("/budgets/ledgers", limit=1)
        second = api.get("/budgets/ledgers", limit=1, after=first["next"])
        assert [page["ledgers"][0]["owner"] for page in (first, second)] == ["operator", "site-1"]
        assert second["next"] is None
        assert api.get("/budgets/ledgers", after="gone")["ledgers"] == []

    def test_a_broken_ledger_is_shown_with_its_mend_beside_the_others(self, project: Path, api: Api) -> None:
        broken = project / "ledgers" / "site-1.db"
        with sqlite3.connect(broken) as database:
            database.execute("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)")
        database.close()
        operator, site = api.get("/budgets/ledgers")["ledgers"]
        assert (operator["problem"], site["state"]) == (None, None)
        assert site["problem"]["code"] == "LEDGER_BEHIND"
        assert "covey ledger rebuild" in site["problem"]["mend"]
        assert api.get("/budgets/ledgers/site-1/check")["problem"]["code"] == "LEDGER_BEHIND"
        status, problem = api.ask("GET", "/budgets/ledgers/site-1/days")
        assert (status, problem["code"]) == (500, "LEDGER_BEHIND")

    def test_a_store_without_ledgers_has_none(self, tmp_path: Path) -> None:
        with console_of(tmp_path) as console:
            api = Api(console)
            assert api.get("/budgets/ledgers") == {"ledgers": [], "next": None}
            assert api.ask("GET", "/budgets/ledgers/operator/days")[0] == 404

    @pytest.mark.parametrize("owner", ["..%2Fkeys%2Fleader", "nothing", "%00", "x" * 101])
    def test_an_owner_is_a_name_of_the_list_and_no_path(self, api: Api, owner: str) -> None:
        for part in ("days", "refusals", "check"):
            assert api.ask("GET", f"/budgets/ledgers/{owner}/{part}")[0] in (404, 422)


class TestDays:
    def test_each_day_has_its_views_and_both_prices(self, api: Api) -> None:
        found = api.get("/budgets/ledgers/operator/days")
        assert [day["day"] // DAY_US - FIRST for day in found["days"]] == [*range(10), 20]
        day = found["days"][4]
        assert [(one["view"], one["micro_rho"], one["roles"]) for one in day["views"]] == [
            ("area", 80_000, ["helper", "leader"]),
            ("carrier", 20_000, ["helper", "leader"]),
        ]
        assert (day["spent"], day["left"]) == (100_000, 0)
        assert day["outsiders_micro_rho"] < day["aggregator_micro_rho"]

    def test_a_span_and_the_newest_days_can_be_chosen(self, api: Api) -> None:
        found = api.get("/budgets/ledgers/operator/days", first="2020-05-02", last="2020-05-04")
        assert [day["day"] // DAY_US - FIRST for day in found["days"]] == [1, 2, 3]
        newest = api.get("/budgets/ledgers/operator/days", limit=2)
        assert ([day["day"] // DAY_US - FIRST for day in newest["days"]], newest["more"]) == ([9, 20], True)
        assert api.ask("GET", "/budgets/ledgers/operator/days?first=never")[0] == 422

    def test_one_view_is_shown_alone(self, api: Api) -> None:
        found = api.get("/budgets/ledgers/operator/days", view="dest")
        assert [one["view"] for day in found["days"] for one in day["views"]] == ["dest"]

    def test_refusals_have_their_sentence_and_their_days(self, api: Api) -> None:
        found = api.get("/budgets/ledgers/site-1/refusals")
        by_code = {one["code"]: one for one in found["refusals"]}
        assert found["total"] == 2
        assert by_code["DAY_BUDGET_SPENT"]["days"] == [[(FIRST + 4) * DAY_US] * 2]
        assert "more than allowed" in by_code["DAY_BUDGET_SPENT"]["sentence"]
        assert by_code["PLAN_EXPIRED"]["view"] is None

    def test_an_answer_with_the_newest_refusals_only_says_that_there_are_more(self, api: Api) -> None:
        whole = api.get("/budgets/ledgers/site-1/refusals")
        assert (len(whole["refusals"]), whole["more"]) == (2, False)
        newest = api.get("/budgets/ledgers/site-1/refusals", limit=1)
        assert (newest["refusals"], newest["total"], newest["more"]) == (whole["refusals"][:1], 2, True)

    def test_a_check_reads_every_entry(self, api: Api) -> None:
        found = api.get("/budgets/ledgers/operator/check")
        assert (found["problem"], found["plans"]) == (None, 3)


class TestOutlook:
    def test_it_says_for_how_many_days_and_what_today_still_pays_for(self, api: Api) -> None:
        found = api.get("/budgets/ledgers/operator/outlook", epsilon=10)
        assert (found["today_left"], found["daily_micro_rho"]) == (0, 500_000)
        assert [(one["view"], one["paid"], one["fits"]) for one in found["today"]] == [("limited", False, False)]
        assert found["worst"]["outsiders_days"] > found["spent"]["outsiders_days"] > 0
        assert found["worst"]["aggregator_days"] >= found["spent"]["aggregator_days"] > 0
        assert api.ask("GET", "/budgets/ledgers/operator/outlook?epsilon=0")[0] == 422
        assert api.ask("GET", "/budgets/ledgers/nothing/outlook")[0] == 404

    def test_its_command_says_the_same(self, api: Api, covey: Covey) -> None:
        found = api.get("/budgets/ledgers/site-1/outlook", epsilon=3.5)
        code, out, err = covey(*shlex.split(found["command"])[1:], "--json")
        assert (code, err) == (0, "")
        (ledger,) = json.loads(out)["ledgers"]
        for name in ("spent", "worst"):
            assert ledger["outlook"][name].items() <= found[name].items()
        assert ledger["outlook"]["daily_micro_rho"] == found["daily_micro_rho"]


class TestWhatIf:
    def test_views_of_a_text_are_priced_before_they_are_saved(self, project: Path) -> None:
        with console_of(project, now=NOW, views_file=project / "views.py") as console:
            api = Api(console, "reader")
            listed = api.post("/composer/prices", {"text": UNSAVED})
            assert [(one["view"], one["rho"]) for one in listed["views"]] == [("unsaved", 0.02)]
            assert [one["node"] for one in listed["problems"]] == ["broken.entity"]
            body = {"text": UNSAVED, "views": [{"view": "unsaved", "rho": 0.03}], "epsilon": 10}
            found = api.post("/composer/what-if", body)
            assert (found["micro_rho"], found["budgets"][0]["left"]) == (30_000, 70_000)
            status, problem = api.ask("POST", "/composer/what-if", json={**body, "views": [{"view": "limited"}]})
            assert (status, "there is no view 'limited' here" in problem["detail"]) == (404, True)
            assert api.post("/composer/prices", {"text": "a ="})["problems"][0]["line"] == 1

    def test_the_command_says_the_same(self, project: Path, covey: Covey) -> None:
        file = project / "views.py"
        file.write_text(UNSAVED.partition("broken")[0])
        changed = {"views": [{"view": "unsaved", "rho": 0.03, "pane": "1h"}], "days": 90, "epsilon": 2.5}
        registered = {"views": [{"view": "limited", "rho": 0.05}]}
        with console_of(project, now=NOW, views_file=file) as console:
            api = Api(console, "reader")
            answers = [
                api.post("/composer/what-if", {"text": file.read_text(), **changed}),
                api.post("/budgets/what-if", registered),
            ]
        for found in answers:
            code, out, err = covey(*shlex.split(found["command"])[1:], "--json")
            assert (code, err) == (0, "")
            printed = json.loads(out)
            assert {name: printed[name] for name in ("micro_rho", "delta", "days", "claims", "curve")} == {
                name: found[name] for name in ("micro_rho", "delta", "days", "claims", "curve")
            }
            assert [one["cost"] for one in printed["budgets"]] == [one["micro_rho"] for one in found["budgets"]]

    def test_views_of_the_store_can_be_priced_for_a_year(self, api: Api) -> None:
        (view,) = api.get("/budgets/views")["views"]
        assert (view["view"], view["rho"], view["mechanism"]) == ("limited", 0.5, "gaussian")
        found = api.post("/budgets/what-if", {"views": [{"view": "limited", "rho": 0.05}], "epsilon": 10})
        assert (found["micro_rho"], [one["days"] for one in found["claims"]]) == (50_000, [1, 7, 30, 365])
        assert next((one["owner"], one["fits"], one["left"]) for one in found["budgets"]) == ("operator", True, 50_000)
        assert 0 < found["lasting"]["aggregator_days"] < found["lasting"]["outsiders_days"] < MOST_DAYS

    def test_a_price_above_the_budget_does_not_fit(self, api: Api) -> None:
        found = api.post("/budgets/what-if", {"views": [{"view": "limited"}], "days": 1})
        assert [one["fits"] for one in found["budgets"]] == [False, False]

    def test_without_a_ledger_the_budget_of_a_new_project_counts(self, tmp_path: Path) -> None:
        with Publisher(tmp_path, lambda: DAY) as publisher:
            publisher.register(LIMITED)
        with console_of(tmp_path) as console:
            found = Api(console).post("/budgets/what-if", {"views": [{"view": "limited"}]})
        assert [(one["owner"], one["budget_micro_rho"]) for one in found["budgets"]] == [("operator", 100_000)]

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"views": []}, 422),
            ({"views": [{"view": "nothing"}]}, 404),
            ({"views": [{"view": "limited"}, {"view": "limited"}]}, 422),
            ({"views": [{"view": "limited", "rho": -1}]}, 422),
            ({"views": [{"view": "limited", "rho": 1, "epsilon": 1}]}, 422),
            ({"views": [{"view": "limited", "pane": "1d"}]}, 422),
            ({"views": [{"view": "limited", "pane": "2h"}]}, 422),
            ({"views": [{"view": "limited"}], "days": 0}, 422),
            ({"views": [{"view": "limited"}], "days": MOST_DAYS + 1}, 422),
            ({"views": [{"view": "limited", "other": 1}]}, 422),
            ({"views": [{"view": "limited", "rho": 1e-6}]}, 422),
        ],
    )
    def test_what_cannot_be_collected_is_refused(self, api: Api, body: dict[str, Any], status: int) -> None:
        found, problem = api.ask("POST", "/budgets/what-if", json=body)
        assert (found, bool(problem["detail"])) == (status, True)

    def test_the_panes_of_the_form_are_those_of_covey(self) -> None:
        assert Pane.__args__ == PANES
