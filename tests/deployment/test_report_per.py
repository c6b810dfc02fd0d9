"""Where users state that a report belongs to a site, and where Covey shows it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_client.policy import HOUR_US
from edge_client.policy_file import load_policy, policy_to_toml
from federation.terms import ReportPer
from tests.edge_client.making import POLICY, plan_with, sign
from tests.federation.words import with_words

Covey = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--report-per", "phone"], "'phone' is not one of 'client', 'site'"),
        (["--report-per", "site", "--protection", "he"], "report_per 'site' requires protection 'shares'"),
    ],
)
def test_a_run_that_cannot_be_is_refused_before_a_store_is_made(
    covey: Covey, project: Path, run_arguments: list[str], words: list[str], told: str
) -> None:
    coordinator = ["start", "coordinator", str(project / "views.py"), "--from", "2020-05-01", "--to", "2020-05-02"]
    for command in (run_arguments, [*coordinator, "--project", str(project)]):
        code, _, err = covey(*command, *words)
        assert code == 2
        assert told in " ".join(err.split())
    assert not (project / "store").exists()


def test_the_label_of_a_view_says_what_a_sites_proof_bounds(covey: Covey, project: Path) -> None:
    code, out, _ = covey("explain", project / "views.py", "--site-clients", 20)
    assert code == 0
    assert "the sum of 20 clients at most" in " ".join(out.split())
    plain, of_sites = (
        json.loads(covey("explain", project / "views.py", "--json", *more)[1])["views"]
        for more in ([], ["--site-clients", "20"])
    )
    for one, many in zip(plain, of_sites, strict=True):
        assert "site_clients" not in one
        assert many.pop("site_clients") == 20
        assert many.pop("with_proofs")["measurement"] > one.pop("with_proofs")["measurement"]
        assert many == one


def test_a_policy_can_refuse_it_and_the_check_says_so(covey: Covey, tmp_path: Path) -> None:
    plan = with_words(plan_with(deadline_us=time.time_ns() // 1_000 + HOUR_US), report_per="site", max_clients=7)
    (tmp_path / "plan").write_bytes(sign(plan))
    for policy, answer, exit_code in (
        (POLICY, "ACCEPT", 0),
        (replace(POLICY, report_per=ReportPer.CLIENT), "REPORT_PER_NOT_ALLOWED", 4),
    ):
        path = tmp_path / "policy.toml"
        path.write_text(policy_to_toml(policy))
        assert load_policy(path) == policy
        code, out, _ = covey("policy", "check", tmp_path / "plan", "--policy", path)
        assert (code, out.splitlines()[0]) == (exit_code, answer)
        assert "one report of a site, of 7 clients at most" in " ".join(out.split())
        told = json.loads(covey("policy", "check", tmp_path / "plan", "--policy", path, "--json")[1])
        assert told["report_per"] == "site"
