"""`--report-per site` through real processes: SuperLink and Ray, leader and helper, the coordinator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from featurestore.store import Store
from tests.covey.conftest import VIEWS

pytest.importorskip("ray", reason="a simulated fleet needs flwr[simulation]")

Covey = Callable[..., tuple[int, str, str]]


def test_proven_sums_of_sites_through_processes_equal_the_reports_of_their_clients(
    covey: Covey, project: Path, run_arguments: list[str]
) -> None:
    (project / "views.py").write_text(VIEWS.split("everywhere =")[0])
    same = [*run_arguments, "--noise", "off", "--participation", "active", "--json"]
    at = same.index("--store") + 1
    code, out, err = covey(*same[:at], str(project / "plain"), *same[at + 1 :])
    assert code == 0, err
    of_clients = {view["view"]: view for view in json.loads(out)["views"]}

    arguments = [word for word in same if word != "--in-process"]
    code, out, err = covey(*arguments, "--report-per", "site", "--validity", "prio3")
    assert code == 0, err
    report = json.loads(out)
    assert report["answers"] == {"x": "OK", "y": "OK"}
    for view in report["views"]:
        many = of_clients[view["view"]]
        assert (view["opened"], view["void"], view["rejected"]) == (many["opened"], many["void"], 0)
    with Store.open(project / "store") as store, Store.open(project / "plain") as plain:
        for name in of_clients:
            one, many = (of.history(name).drop(["published_at"]) for of in (store, plain))
            assert one == many
        release = store.releases("visits")["release_id"][0].as_py()

    code, out, _ = covey("release", "verify", "--all", "--store", project / "store", "--json")
    assert code == 0
    code, out, _ = covey("release", "show", release, "--store", project / "store")
    said = " ".join(out.split())
    assert "report per site: each site bounded its clients one by one" in said
    assert "at least 5 clients, as their sites declare, participation active" in said
