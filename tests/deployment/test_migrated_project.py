"""A project that an earlier version wrote is migrated, and its roles go on: sites, aggregators, coordinator, store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from base.errors import DONE
from deployment.local.processes import Processes
from featurestore.publish.verify import check_store
from featurestore.store import Store
from tests.covey.conftest import make_events, write_project
from tests.deployment.deployed import start_superlink, words
from tests.deployment.test_deployment import start_services
from tests.fixtures.kept import VERSIONS, unpacked

pytest.importorskip("flwr")

Covey = Callable[..., tuple[int, str, str]]
SITES = {"1": "x", "2": "y"}


@pytest.mark.long
@pytest.mark.parametrize("version", VERSIONS)
def test_the_next_day_is_collected_with_the_migrated_files(
    covey: Covey, project: Path, tmp_path: Path, version: str
) -> None:
    unpacked(version, "project", project)
    write_project(project)
    assert covey("store", "migrate", "--project", project)[0] == DONE
    at, table = ["--project", str(project)], make_events()
    with Processes(tmp_path / "logs") as processes:
        ports = start_services(project, processes)
        link = start_superlink(project, processes)
        for site, name in SITES.items():
            events = tmp_path / f"events-{site}.parquet"
            pq.write_table(table.filter([value == name for value in table["site"].to_pylist()]), events)
            of_site = ["--source", str(events), "--client-column", "who", "--time-column", "at"]
            processes.start(f"site-{site}", words("start", "site", site, *at, "--superlink", link, *of_site))
        collect = (
            "start", "coordinator", project / "views.py", *at, "--json", "--seconds", 120,
            "--leader", f"127.0.0.1:{ports['leader']}", "--helper", f"127.0.0.1:{ports['helper']}", "--from", "2020-05-01",
        )  # fmt: skip
        code, out, err = covey(*collect, "--to", "2020-05-04")
        assert code == DONE, err
        assert json.loads(out)["views"]["visits"]["opened"] == 1  # the two days before are known
        assert json.loads(covey(*collect, "--to", "2020-05-04")[1])["views"] == {}
    with Store.open(project) as store:
        assert store.history("visits").num_rows == 3 * 3
        assert store.releases("everywhere").num_rows == 3 * 24
    assert not check_store(project).damaged
    assert covey("release", "verify", "--all", *at)[0] == DONE
    assert covey("ledger", "verify", *at)[0] == DONE
