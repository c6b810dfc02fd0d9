"""A coordinator gives the name of an allowed view to another view, which reads another column.

The attacker holds the coordinator's key. The owner of the site inspected the honest plan and pinned its view.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from base.times import DAY_US, wall_clock
from covey.cli import call
from deployment.coordinator.planning import PlanRequest, make_plan
from deployment.project.site_folders import configure_site
from edge_client.answering import answer_plan
from edge_client.policy import Refuse
from edge_client.site_config import load_config
from featurestore.define.views_file import load_views
from federation.draft import with_live
from federation.keys import load_keys
from federation.live_keys import LiveSecret
from federation.signed_plan import sign_plan

DAY = 18_383  # 2020-05-01

HONEST = """
from covey import *

shop_visits = FeatureView(
    "shop_visits",
    entity=Entity("shop", domain=["a", "b"]),
    pane="1d",
    features=[Count("n"), Mean("spent", clip=(0, 200), resolution=1.0)],
    bounds=Bounds(max_cells=2),
    privacy=Privacy(rho=0.05, min_clients=50),
)
"""
EVENTS = "who,at,shop,spent,diagnosis\n" + "".join(
    f"p{i},2020-05-01T10:00:00Z,{'ab'[i % 2]},{i},F{i % 9}\n" for i in range(60)
)


def check(project: Path, plan: Path) -> tuple[int, Any]:
    """`covey policy check` in a process of its own: exit code and answer."""
    command = [sys.executable, "-m", "covey", "policy", "check", str(plan), "--project", str(project), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 4), done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    assert call(["init", str(tmp_path / "p"), "--sites", "2"]) == 0
    (tmp_path / "p" / "events.csv").write_text(EVENTS)
    return tmp_path / "p"


def signed_plan(project: Path, name: str, text: str) -> Path:
    """The plan that the coordinator signs for these views, with live keys of both aggregators."""
    views, path = project / f"{name}.py", project / f"{name}.plan"
    views.write_text(text)
    draft = make_plan(project, PlanRequest(load_views(views), (DAY * DAY_US, (DAY + 1) * DAY_US)), wall_clock)
    assert draft is not None
    leader, helper, coordinator = (load_keys(project / "keys", role) for role in ("leader", "helper", "coordinator"))
    secrets = LiveSecret.draw(os.urandom), LiveSecret.draw(os.urandom)
    plan = with_live(draft, (leader.sign, secrets[0]), (helper.sign, secrets[1]))
    path.write_bytes(sign_plan(plan, coordinator.sign))
    return path


def change_policy(project: Path, old: str, new: str) -> None:
    policy = project / "policy.toml"
    assert old in policy.read_text()
    policy.write_text(policy.read_text().replace(old, new, 1))


def answer_of_site(project: Path, plan: Path) -> str:
    """The answer of a site with this policy over its own events."""
    config = load_config(configure_site(project, "1", str(project / "events.csv"), "who", "at", allow_noise_off=False))
    answer = answer_plan(plan.read_bytes(), b"", config)
    return str(answer.code) if isinstance(answer, Refuse) else "OK"


def test_another_definition_under_a_pinned_name_is_refused(project: Path) -> None:
    honest = signed_plan(project, "honest", HONEST)
    _, told = check(project, honest)
    pin = told["views"][0].get("pin", "shop_visits")  # older policies contain the name only
    change_policy(project, 'views = ["*"]', f'views = ["{pin}"]')
    split = HONEST.replace('Entity("shop", domain=["a", "b"])', 'Entity("diagnosis", domain=["F0", "F1"])')
    evil = signed_plan(project, "evil", split)
    code, told = check(project, evil)
    assert (code, told["answer"], answer_of_site(project, evil)) == (4, *["DEFINITION_NOT_ALLOWED"] * 2)
    assert answer_of_site(project, honest) == "OK"


def test_a_site_that_lists_its_columns_gives_no_other_one_away(project: Path) -> None:
    change_policy(project, 'columns = ["*"]', 'columns = ["spent"]')
    change_policy(project, 'join_keys = ["*"]', 'join_keys = ["shop"]')
    split = HONEST.replace('Entity("shop", domain=["a", "b"])', 'Entity("shop", domain=["F0"], column="diagnosis")')
    tested = HONEST.replace('Count("n")', 'Rate("n", where="spent > 9 OR diagnosis LIKE \'F%\'")')
    for name, text, code in (("split", split, "JOIN_KEY_NOT_ALLOWED"), ("tested", tested, "COLUMN_NOT_ALLOWED")):
        evil = signed_plan(project, name, text)
        told = check(project, evil)[1]
        assert told["answer"] == code
        assert "diagnosis" in [*told["views"][0]["reads"]["join_keys"], *told["views"][0]["reads"]["where"]]
        assert answer_of_site(project, evil) == code
