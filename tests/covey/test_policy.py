"""`covey policy check`, and the policy files that fleets and deployments write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from base.times import wall_clock
from deployment.errors import UsageError
from deployment.project.site_folders import configure_site
from edge_client.policy import Policy
from edge_client.policy_file import load_policy, policy_to_toml
from edge_client.site_config import load_config
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Mean, Rate
from featurestore.define.privacy import Privacy
from featurestore.define.wire import definition_hash
from federation.plan import Plan, PlannedView
from federation.refusal_codes import RefusalCode
from tests.aggregator.world import make_plan
from tests.edge_client.making import POLICY, VIEW, answered, events, plan_with, proven, settings_in, sign
from tests.federation.wire import DAY, LEADER

Covey = Callable[..., tuple[int, str, str]]
FAR = wall_clock() + DAY
"""A deadline that the command, which reads the wall clock, accepts."""
OLD = replace(POLICY, max_plan_hours=10**6)
"""Settings of a site whose clock is that of the tests; a deadline so far away is valid there."""


def write(path: Path, plan: Plan | bytes, name: str = "plan") -> Path:
    (path / name).write_bytes(plan if isinstance(plan, bytes) else sign(plan))
    return path / name


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    (tmp_path / "policy.toml").write_text(policy_to_toml(POLICY))
    return tmp_path / "policy.toml"


def test_a_plan_that_is_taken_says_what_it_costs_and_what_is_left(covey: Covey, tmp_path: Path, policy: Path) -> None:
    plan = plan_with(deadline_us=FAR)
    code, out, err = covey("policy", "check", write(tmp_path, plan), "--policy", policy)
    assert (code, err) == (0, "")
    assert out.startswith("ACCEPT\n")
    assert plan.hash.hex()[:16] in out
    assert "1970-01-01 … 1970-01-02" in out
    code, out, _ = covey("policy", "check", write(tmp_path, plan), "--policy", policy, "--json")
    told = json.loads(out)
    assert (code, told["answer"], told["repeated"], told["participation"]) == (0, "ACCEPT", False, "active")
    definition = definition_hash(VIEW).hex()
    assert told["views"] == [
        {
            "view": "v",
            "panes": 2,
            "min_clients": 2,
            "rho": 0.5,
            "rho_outsiders": 0.25,
            "noisers": "each",
            "definition": definition,
            "pin": f"v@{definition}",
            "reads": {"time": None, "join_keys": ["k"], "columns": [], "where": []},
            "join_keys": ["k"],
            "domain": 2,
            "bounds": {"max_cells": 2, "max_events_per_cell": 3},
        }
    ]
    assert told["days"] == [
        {"day": day, "spent": 0.0, "plan": 0.5, "left": 0.5} for day in ("1970-01-01", "1970-01-02")
    ]


def test_a_budget_that_counts_outsiders_prices_is_shown_as_one(covey: Covey, tmp_path: Path, policy: Path) -> None:
    shared = replace(VIEW, name="w", privacy=Privacy(rho=0.5, min_clients=2, noisers="shared"))
    plan = make_plan(VIEW, shared, noise="full")
    assert plan.wire is not None
    path = write(tmp_path, replace(plan, wire=replace(plan.wire, deadline_us=FAR)))
    code, out, _ = covey("policy", "check", path, "--policy", policy)
    assert (code, out.splitlines()[0]) == (4, "DAY_BUDGET_SPENT: w, 1970-01-01")
    words = [" ".join(line.replace("│", " ").split()) for line in out.splitlines()]
    assert "w 1970-01-01 … 1970-01-02 2 2 shared 1.0 0.5" in words
    assert "of 1.0 a client-day; it counts prices against an aggregator" in out
    trusts = policy.read_text().replace('budget_counts = "aggregator"', 'budget_counts = "outsiders"')
    policy.write_text(trusts)
    code, out, _ = covey("policy", "check", path, "--policy", policy)
    assert code == 0
    assert "it counts prices against outsiders, which trusts both aggregators" in out
    told = json.loads(covey("policy", "check", path, "--policy", policy, "--json")[1])
    assert [(view["rho"], view["rho_outsiders"]) for view in told["views"]] == [(0.5, 0.25), (1.0, 0.5)]
    assert (told["budget"], told["budget_counts"], told["days"][0]["left"]) == (1.0, "outsiders", 0.25)


def test_it_shows_what_each_view_reads_and_how_to_pin_it(covey: Covey, tmp_path: Path, policy: Path) -> None:
    reads = replace(
        VIEW,
        entity=Entity(["k", "l"], domain=[("x", 1), ("y", 2)], column=["kind", "le\nvel"]),
        features=[Count("n"), Mean("spent", clip=(0, 9)), Rate("old", where="age > 9 AND sex = 'f'")],
        time="booked_at",
    )
    plan = make_plan(reads, noise="full")
    assert plan.wire is not None
    path = write(tmp_path, replace(plan, wire=replace(plan.wire, deadline_us=FAR)))
    _, out, _ = covey("policy", "check", path, "--policy", policy)
    words = [" ".join(line.replace("│", " ").split()) for line in out.splitlines()]
    assert r'v booked_at kind, "le\nvel" (2 keys) spent age, sex 2 cell(s), 3 event(s) each' in words
    (pin,) = [line for line in out.splitlines() if line.startswith("pin: ")]
    changed = policy.read_text().replace('views = ["*"]', pin.removeprefix("pin: "))
    policy.write_text(changed.replace("time_columns = []", 'time_columns = ["booked_at"]'))
    assert covey("policy", "check", path, "--policy", policy)[1].startswith("ACCEPT\n")
    told = json.loads(covey("policy", "check", path, "--policy", policy, "--json")[1])
    assert told["views"][0]["reads"] == {
        "time": "booked_at", "join_keys": ["kind", "le\nvel"], "columns": ["spent"], "where": ["age", "sex"],
    }  # fmt: skip


def test_a_refusal_is_its_code_and_sentence_and_exit_code_4(covey: Covey, tmp_path: Path, policy: Path) -> None:
    dear = make_plan(VIEW, *(replace(VIEW, name=name) for name in "wu"), noise="full")
    assert dear.wire is not None
    dear = replace(dear, wire=replace(dear.wire, deadline_us=FAR))
    code, out, _ = covey("policy", "check", write(tmp_path, dear), "--policy", policy)
    assert code == 4
    assert out.startswith("DAY_BUDGET_SPENT: u, 1970-01-01\n" + RefusalCode.DAY_BUDGET_SPENT.sentence)
    assert "−0.5" in out
    foreign = write(tmp_path, sign(plan_with(deadline_us=FAR), LEADER))
    code, out, _ = covey("policy", "check", foreign, "--policy", policy, "--json")
    told = json.loads(out)
    assert (code, told["answer"], told["plan"], told["views"]) == (4, "PLAN_UNSIGNED", None, [])
    code, out, _ = covey("policy", "check", write(tmp_path, plan_with()), "--policy", policy)
    assert (code, out.splitlines()[0]) == (4, "PLAN_EXPIRED")


def test_all_refusals_are_shown_the_answer_first(covey: Covey, tmp_path: Path, policy: Path) -> None:
    narrow = (
        policy.read_text()
        .replace('views = ["*"]', 'views = ["none"]')
        .replace('validity = "any"', 'validity = "prio3"')
    )
    policy.write_text(narrow)
    dear = make_plan(VIEW, *(replace(VIEW, name=name) for name in "wu"), noise="full")
    assert dear.wire is not None
    path = write(tmp_path, replace(dear, wire=replace(dear.wire, deadline_us=FAR)))
    code, out, _ = covey("policy", "check", path, "--policy", policy)
    proofs, views, budget = (
        RefusalCode.PROOFS_REQUIRED, RefusalCode.VIEW_NOT_ALLOWED, RefusalCode.DAY_BUDGET_SPENT,
    )  # fmt: skip
    assert (code, out.splitlines()[:11]) == (4, [
        "PROOFS_REQUIRED", proofs.sentence, proofs.mend,
        *(f"VIEW_NOT_ALLOWED: {view.view.name}" for view in dear.views), views.sentence, views.mend,
        "DAY_BUDGET_SPENT: u, 1970-01-01", budget.sentence, budget.mend,
    ])  # fmt: skip
    told = json.loads(covey("policy", "check", path, "--policy", policy, "--json")[1])
    assert told["answer"] == "PROOFS_REQUIRED"
    shown = [(one["answer"], one["view"], one["day"]) for one in told["refusals"]]
    assert shown == [
        ("PROOFS_REQUIRED", None, None),
        *(("VIEW_NOT_ALLOWED", view.view.name, None) for view in dear.views),
        ("DAY_BUDGET_SPENT", "u", "1970-01-01"),
    ]


def test_a_site_that_demands_proofs_refuses_a_plan_without_them(covey: Covey, tmp_path: Path, policy: Path) -> None:
    policy.write_text(policy.read_text().replace('validity = "any"', 'validity = "prio3"'))
    plan = plan_with(deadline_us=FAR)
    code, out, _ = covey("policy", "check", write(tmp_path, plan), "--policy", policy)
    assert (code, out.splitlines()[:2]) == (4, ["PROOFS_REQUIRED", RefusalCode.PROOFS_REQUIRED.sentence])
    assert "noise full, protection shares, validity none" in out
    code, out, _ = covey("policy", "check", write(tmp_path, proven(plan)), "--policy", policy, "--json")
    assert (code, json.loads(out)["answer"], json.loads(out)["validity"]) == (0, "ACCEPT", "prio3")


def test_a_site_that_refuses_shared_noise_says_so_with_the_view_and_the_mend(
    covey: Covey, tmp_path: Path, policy: Path
) -> None:
    shared = replace(VIEW, name="w", privacy=replace(VIEW.privacy, noisers="shared"))
    plan = make_plan(replace(VIEW, privacy=Privacy(rho=0.4, min_clients=2)), shared, noise="full")
    assert plan.wire is not None
    path = write(tmp_path, replace(plan, wire=replace(plan.wire, deadline_us=FAR)))
    policy.write_text(policy.read_text().replace("max_rho_per_day = 1.0", "max_rho_per_day = 1.4"))
    code, out, _ = covey("policy", "check", path, "--policy", policy)
    assert (code, out.splitlines()[0]) == (0, "ACCEPT")
    words = [" ".join(line.replace("│", " ").split()) for line in out.splitlines()]
    assert [line for line in words if line.endswith(("each 0.4 0.2", "shared 1.0 0.5"))] != []
    policy.write_text(policy.read_text().replace('noisers = "any"', 'noisers = "each"'))
    code, out, _ = covey("policy", "check", path, "--policy", policy)
    refused = RefusalCode.NOISERS_NOT_ALLOWED
    assert (code, out.splitlines()[:3]) == (4, ["NOISERS_NOT_ALLOWED: w", refused.sentence, refused.mend])
    told = json.loads(covey("policy", "check", path, "--policy", policy, "--json")[1])
    assert [(one["view"], one["noisers"], one["rho"]) for one in told["views"]] == [
        ("v", "each", 0.4),
        ("w", "shared", 1.0),
    ]


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def test_it_asks_a_site_s_ledger_and_touches_nothing(covey: Covey, tmp_path: Path, policy: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    settings = settings_in(site, OLD)
    before = plan_with(deadline_us=FAR)
    answered(before, events(("p", 0, "x")), settings)
    kept = files(site)
    ask = ["--policy", policy, "--ledger", settings.ledger, "--json"]
    told = json.loads(covey("policy", "check", write(tmp_path, before), *ask)[1])
    assert (told["answer"], told["repeated"], told["days"]) == ("ACCEPT", True, [])
    other = replace(before, plan_id=bytes([7] * 16))
    code, out, _ = covey("policy", "check", write(tmp_path, other), *ask)
    assert (code, json.loads(out)["answer"], json.loads(out)["day"]) == (4, "PANE_ALREADY_REPORTED", "1970-01-01")
    another = replace(other, views=(PlannedView(replace(VIEW, name="w"), np.array([DAY]), 2),))
    told = json.loads(covey("policy", "check", write(tmp_path, another), *ask)[1])
    assert told["days"] == [{"day": "1970-01-02", "spent": 0.5, "plan": 0.5, "left": 0.0}]
    assert files(site) == kept
    settings.ledger.with_name("site-a.db.head").unlink()
    code, out, err = covey("policy", "check", write(tmp_path, before), *ask)
    assert (code, json.loads(out)["answer"]) == (4, "LEDGER_BROKEN")
    assert "head file is missing" in err


def test_a_site_s_file_names_policy_and_ledger(covey: Covey, tmp_path: Path) -> None:
    assert covey("init", tmp_path / "p", "--sites", "2")[0] == 0
    config = configure_site(tmp_path / "p", "1", str(tmp_path / "e.parquet"), "who", "at", allow_noise_off=False)
    plan = write(tmp_path, plan_with(deadline_us=FAR))
    code, out, _ = covey("policy", "check", plan, "--site", config)
    assert (code, out.splitlines()[0]) == (4, "PLAN_UNSIGNED")  # a plan of another project
    assert list((tmp_path / "p" / "ledgers").iterdir()) == []
    code, out, _ = covey("policy", "check", plan, "--project", tmp_path / "p")
    assert (code, out.splitlines()[0]) == (4, "PLAN_UNSIGNED")
    for wrong in (["--site", config, "--policy", tmp_path], ["--site", tmp_path / "no.toml"], []):
        assert covey("policy", "check", plan, *wrong)[0] == 2
    assert covey("policy", "check", tmp_path, "--project", tmp_path / "p")[0] == 2  # a folder is no plan
    assert covey("policy", "check", tmp_path / "no-plan", "--site", config)[0] == 5
    assert (
        covey("policy", "check", plan, "--policy", tmp_path / "p/policy.toml", "--ledger", tmp_path / "no.db")[0] == 5
    )


class TestConfigureSite:
    def test_it_writes_a_strict_policy_if_there_is_none_and_leaves_one_that_is_there(
        self, covey: Covey, tmp_path: Path
    ) -> None:
        covey("init", tmp_path / "p", "--site", "UA", "--max-clients", "7")
        policy = tmp_path / "p" / "policy.toml"
        policy.unlink()
        config = configure_site(tmp_path / "p", "UA", str(tmp_path / "e.parquet"), "who", "at", allow_noise_off=False)
        written = load_policy(policy)
        assert written == Policy(written.coordinator, written.leader, written.helper)
        mine = replace(written, min_k=3, allow_activity_visible=True)
        policy.write_text(policy_to_toml(mine))
        settings = load_config(
            configure_site(tmp_path / "p", "UA", str(tmp_path / "e.parquet"), "who", "at", allow_noise_off=True)
        ).settings
        assert settings.policy == replace(mine, time_columns=("at",))  # its own column needs no mention
        assert (settings.clients, settings.ledger.resolve()) == (7, (tmp_path / "p/ledgers/site-UA.db").resolve())
        assert config.parent.name == "sites"

    def test_a_site_that_is_not_on_the_roster_is_named(self, covey: Covey, tmp_path: Path) -> None:
        covey("init", tmp_path / "p", "--site", "UA")
        with pytest.raises(UsageError, match="'DL' is not on this aggregator's roster"):
            configure_site(tmp_path / "p", "DL", str(tmp_path / "e.parquet"), "who", "at", allow_noise_off=False)
