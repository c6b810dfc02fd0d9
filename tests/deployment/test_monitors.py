"""A small deployment whose roles have monitors, scraped by a real Prometheus: what it stores is what happened."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families

from base.metrics import METRICS, Choice, Names
from base.ports import free_port
from base.probes import Probe
from base.version import VERSION
from deploy.grafana.generate import FOLDER
from deployment.local.processes import Processes
from tests.covey.conftest import make_events
from tests.deploy.test_grafana import samples_of
from tests.deployment.deployed import start_superlink, words
from tests.deployment.test_deployment import kill

pytest.importorskip("flwr")
PROMETHEUS = shutil.which("prometheus")
Covey = Callable[..., tuple[int, str, str]]
ROLES = ("leader", "helper", "superlink", "site-1", "site-2", "server")
DAY = datetime(2020, 5, 1, tzinfo=UTC).date()


def reports_of(table: pa.Table) -> int:
    """The reports of the first day of both views: a client's, of a day with a known shop, and of at most four hours."""
    found: set[Any] = set()
    hours: dict[tuple[str, str], set[int]] = {}
    for row in table.to_pylist():
        if row["who"] is None or row["at"].date() != DAY:
            continue
        client = row["site"], row["who"]
        if row["shop"] in ("a", "b", "c,d=e"):
            found.add(client)
        hours.setdefault(client, set()).add(row["at"].hour)
    return len(found) + sum(min(4, len(ones)) for ones in hours.values())


def require_listed(role: str, text: str) -> None:
    """Each sample of a role's /metrics is in the list, with its labels and their values, for this role."""
    series = {name: metric for metric in METRICS for name in samples_of(metric)}
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len(samples) > 5
    for sample in samples:
        metric = series[sample.name]
        assert role.partition("-")[0] in metric.roles, (role, sample.name)
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        assert set(labels) == {label.name for label in metric.labels}, sample
        for label in metric.labels:
            match label.values:
                case Choice(values):
                    assert labels[label.name] in values, sample
                case Names(what):
                    assert re.fullmatch(NAMES[what], labels[label.name]), sample


NAMES = {
    "feature views": "visits|everywhere",
    "versions of a view": "1",
    "versions of Covey": re.escape(VERSION),
    "codes of docs/codes.md": "[A-Z][A-Z_]+|other",
}


class Monitors:
    """The ports of the monitors, by role, and their answers."""

    def __init__(self) -> None:
        self.ports = {role: free_port() for role in ROLES}

    def option(self, role: str) -> list[str]:
        return ["--monitor", f"127.0.0.1:{self.ports[role]}"]

    def probe(self, role: str) -> Probe | None:
        """The answer of a role's /readyz; None: it does not answer."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.ports[role]}/readyz", timeout=10)
        except httpx.TransportError:
            return None
        assert answer.status_code in (200, 503), (role, answer.status_code, answer.text)
        return Probe.from_json(answer.content)

    def wait(self, role: str, *, waits: str | None) -> None:
        """Wait until a role is ready, or waits for what a text begins."""
        end = time.monotonic() + 180
        while True:
            probe = self.probe(role)
            if (
                probe is not None
                and (probe.waits_for or "").startswith(waits or "")
                and bool(waits) == bool(probe.waits_for)
            ):
                return
            assert time.monotonic() < end, (role, probe)
            time.sleep(0.1)


class Prometheus:
    """A running Prometheus, by its API."""

    def __init__(self, folder: Path, processes: Processes, monitors: Monitors) -> None:
        assert PROMETHEUS is not None
        port, config = free_port(), folder / "prometheus.yml"
        targets = [{"targets": [f"127.0.0.1:{monitors.ports[role]}"], "labels": {"instance": role}} for role in ROLES]
        config.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"},
                    "rule_files": [str(FOLDER / "rules.yml")],
                    "scrape_configs": [{"job_name": "covey", "static_configs": targets}],
                }
            )
        )
        at = ["--storage.tsdb.path", str(folder / "tsdb"), "--web.listen-address", f"127.0.0.1:{port}"]
        processes.start("prometheus", [PROMETHEUS, "--config.file", str(config), "--log.level", "warn", *at])
        processes.wait_for_port("prometheus", port, 180)
        self._api, end = f"http://127.0.0.1:{port}/api/v1", time.monotonic() + 180
        while (
            httpx.get(f"http://127.0.0.1:{port}/-/ready", timeout=60).status_code != 200
        ):  # it listens before it is ready
            assert time.monotonic() < end
            time.sleep(0.1)

    def query(self, expression: str) -> dict[str, float]:
        """instance → value."""
        answer = httpx.get(f"{self._api}/query", params={"query": expression}, timeout=30).json()
        assert answer["status"] == "success"
        return {one["metric"].get("instance", ""): float(one["value"][1]) for one in answer["data"]["result"]}

    def wait(self, expression: str, expected: dict[str, float]) -> None:
        end = time.monotonic() + 180
        while (found := self.query(expression)) != expected:
            assert time.monotonic() < end, (expression, found, expected)
            time.sleep(0.5)


@pytest.mark.skipif(PROMETHEUS is None, reason="prometheus, of the Debian package of that name, is not installed")
def test_a_real_prometheus_scrapes_every_role_and_stores_what_happened(covey: Covey, project: Path) -> None:
    assert covey("init", project, "--budget", "1")[0] == 0
    policy = project / "policy.toml"
    policy.write_text(policy.read_text().replace("min_k = 50", "min_k = 2"))
    table = make_events()
    for site, name in (("1", "x"), ("2", "y")):
        own = table.filter([value == name for value in table["site"].to_pylist()])
        pq.write_table(own, project / f"events-{site}.parquet")
    at, monitors = ["--project", str(project)], Monitors()
    with Processes(project / "logs") as processes:
        ports = {name: free_port() for name in ("leader", "helper")}
        peer = ["--helper", f"127.0.0.1:{ports['helper']}"]
        leader = words("start", "leader", *at, "--port", str(ports["leader"]), *peer, *monitors.option("leader"))
        helper = words("start", "helper", *at, "--port", str(ports["helper"]), *monitors.option("helper"))
        processes.start("leader", leader)
        monitors.wait("leader", waits=f"the helper at 127.0.0.1:{ports['helper']} cannot be reached: ")
        pid = processes.start("helper", helper)
        link = start_superlink(project, processes, *monitors.option("superlink"))
        for site in ("1", "2"):
            events = ["--source", str(project / f"events-{site}.parquet"), "--client-column", "who"]
            command = words("start", "site", site, *at, "--superlink", link, *events, "--time-column", "at")
            processes.start(f"site-{site}", [*command, *monitors.option(f"site-{site}")])
        for role in ROLES[:-1]:
            monitors.wait(role, waits=None)
        code, _, err = covey(
            "start", "coordinator", project / "views.py", *at, *peer, "--leader", f"127.0.0.1:{ports['leader']}",
            "--from", "2020-05-01", "--to", "2020-05-02", "--seconds", "120", "--monitor", "127.0.0.1:0", "--json",
        )  # fmt: skip
        assert code == 0, err
        processes.start("server", words("start", "server", *at, "--port", str(monitors.ports["server"])))
        processes.wait_for_port("server", monitors.ports["server"], 180)
        monitors.wait("server", waits=None)
        body = {"features": ["visits:visits"], "entities": {"shop": ["a", "b"]}}
        url = f"http://127.0.0.1:{monitors.ports['server']}/get-online-features"
        assert httpx.post(url, json=body, timeout=60).status_code == 200

        scraped = Prometheus(project, processes, monitors)
        scraped.wait("up", dict.fromkeys(ROLES, 1.0))
        scraped.wait("covey_ready", dict.fromkeys(ROLES, 1.0))
        reports = float(reports_of(table))
        assert reports > 50
        assert scraped.query('covey_reports_total{verdict="accepted"}') == {"leader": reports, "helper": reports}
        assert scraped.query('covey_reports_total{verdict!="accepted"}') == {}
        panes = {"leader": 1.0, "helper": 1.0}
        assert scraped.query('covey_collections_total{view="visits",outcome="OPENED"}') == panes
        assert scraped.query('sum by (instance) (covey_collections_total{view="everywhere"})') == dict.fromkeys(
            panes, 24
        )
        assert scraped.query('covey_plans{state="witnessed"}') == panes
        assert scraped.query('covey_panes{view="visits",state="opened"}') == {"superlink": 1.0}
        assert scraped.query("covey_superlink_nodes") == {"superlink": 2.0}
        answered = {"site-1": 2.0, "site-2": 2.0}  # the draft, and the plan
        assert scraped.query('covey_site_answers_total{code="OK"}') == answered
        assert scraped.query("covey_site_answer_seconds_count") == answered
        left = scraped.query('covey_budget_left_ratio{view="visits"}')
        assert left == pytest.approx({"leader": 0.0, "helper": 0.0})  # two views of rho 0.5 each
        assert scraped.query("covey_rows_total") == {"server": 2.0}
        assert scraped.query('covey_release_sites{view="visits",state="missing"}') == {"server": 0.0}

        for role, port in monitors.ports.items():
            require_listed(role, httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text)

        kill(processes, "helper", pid)
        monitors.wait("leader", waits=f"the helper at 127.0.0.1:{ports['helper']} cannot be reached: ")
        scraped.wait('up{instance="helper"}', {"helper": 0.0})
        scraped.wait('covey_peer_up{peer="helper"}', {"leader": 0.0})
