"""The dashboards and alert rules are what the code makes, and each of their queries names metrics and labels that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from base.metrics import METRICS, Choice, Kind, Metric
from deploy.grafana.alerts import ALERTS, JOB, SERVER_JOB
from deploy.grafana.generate import COORDINATOR, FOLDER, SERVER, TARGETS, files
from deploy.grafana.panels import DASHBOARDS
from tests.deploy.promql import names_in, tokens_of

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool, of Debian's package prometheus, is not installed"
)
SCRAPED = {"instance", "job"}
"""The labels that Prometheus itself adds."""


def samples_of(metric: Metric) -> dict[str, set[str]]:
    """The labels of each series that a metric has."""
    labels = {label.name for label in metric.labels}
    if metric.kind is not Kind.HISTOGRAM:
        return {metric.name: labels}
    return {f"{metric.name}_bucket": labels | {"le"}, f"{metric.name}_sum": labels, f"{metric.name}_count": labels}


SERIES = {name: labels for metric in METRICS for name, labels in samples_of(metric).items()} | {"up": set[str]()}
VALUES = {(metric.name, label.name): label.values for metric in METRICS for label in metric.labels}


def queries() -> Iterator[tuple[str, str]]:
    """(place, expression) of every query of alerts and dashboards."""
    for alert in ALERTS:
        yield alert.name, alert.when
    for board in DASHBOARDS:
        for _, panels in board.sections:
            for panel in panels:
                for expression, _ in panel.queries:
                    yield f"{board.name}: {panel.title}", expression.replace("$__rate_interval", "5m")


def require_known(expression: str) -> None:
    named = names_in(expression)
    assert named.selectors
    labels = {"le", *SCRAPED}
    for series, matchers in named.selectors:
        assert series in SERIES, series
        labels |= SERIES[series]
        for label, operator, value in matchers:
            assert label in SERIES[series] | SCRAPED, (series, label)
            family = re.sub(r"_(bucket|sum|count)$", "", series)
            known = VALUES.get((family, label)) or VALUES.get((series, label))
            if isinstance(known, Choice):
                matching = [one for one in known.values if re.fullmatch(value, one)] if "~" in operator else [value]
                assert matching, (series, label, value)
                assert set(matching) <= set(known.values), (series, label, value)
    assert named.grouped <= labels, named.grouped


@pytest.mark.parametrize("name", [*files()])
def test_a_committed_file_is_what_the_code_makes(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == files()[name], "run `make reference`"


@pytest.mark.parametrize(("place", "expression"), [*queries()])
def test_a_query_names_series_labels_and_values_that_exist(place: str, expression: str) -> None:
    require_known(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "covey_reprots_total > 0",
        'covey_reports_total{outcome="accepted"}',
        'covey_reports_total{verdict="taken"}',
        'covey_refusals_total{method=~"Send|Receive"}',
        "sum by (view) (covey_ready)",
        "rate(covey_step_seconds[5m])",
    ],
)
def test_the_check_finds_a_query_that_names_something_else(expression: str) -> None:
    with pytest.raises(AssertionError):
        require_known(expression)


def test_the_tokenizer_reads_every_kind_of_token() -> None:
    named = names_in('sum by (a, le) (rate(x_bucket{b="}\\"",c!~"d|e"}[5m])) / on (f) y > 1.5e3 and z offset 5m')
    assert named.selectors[0] == ("x_bucket", [("b", "=", '}\\"'), ("c", "!~", "d|e")])
    assert [series for series, _ in named.selectors][1:3] == ["y", "z"]
    assert named.grouped == {"a", "le", "f"}
    assert tokens_of("a<=2")[1] == ("sign", "<=")


def test_every_metric_is_on_a_dashboard() -> None:
    shown = {series for _, expression in queries() for series, _ in names_in(expression).selectors}
    assert [metric.name for metric in METRICS if not samples_of(metric).keys() & shown] == []


def test_a_legend_and_a_summary_name_labels_that_their_query_keeps() -> None:
    for board in DASHBOARDS:
        for _, panels in board.sections:
            for expression, legend in (query for panel in panels for query in panel.queries):
                require_kept(expression, re.findall(r"{{(\w+)}}", legend))
    for alert in ALERTS:
        require_kept(alert.when, re.findall(r"\$labels\.(\w+)", alert.summary))


def require_kept(expression: str, labels: list[str]) -> None:
    named = names_in(expression)
    kept = {"instance", "job"}.union(*(SERIES[series] for series, _ in named.selectors))
    if named.grouped:
        kept = named.grouped - {"le"}
    assert set(labels) <= kept, (expression, labels)


def test_a_dashboard_has_panels_that_do_not_overlap_and_asks_for_its_source() -> None:
    for board in DASHBOARDS:
        made: dict[str, Any] = json.loads(files()[f"{board.name}.json"])
        cells: set[tuple[int, int]] = set()
        for panel in made["panels"]:
            at = panel["gridPos"]
            mine = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not mine & cells
            assert at["x"] + at["w"] <= 24
            cells |= mine
        assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])
        assert made["templating"]["list"][0]["type"] == "datasource"


@needs_promtool
def test_promtool_accepts_the_rules_the_configuration_and_each_query_of_the_dashboards(tmp_path: Path) -> None:
    for name, text in files().items():
        (tmp_path / name).write_text(text)
    queried = [{"record": f"query:{i}", "expr": expression} for i, (_, expression) in enumerate(queries())]
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "queries", "rules": queried}]}))
    for command in (
        ["check", "rules", "rules.yml"],
        ["check", "rules", "queries.yml"],
        ["check", "config", "prometheus.yml"],
    ):
        assert promtool(tmp_path, *command).returncode == 0


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL is not None
    return subprocess.run([PROMTOOL, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


_AT = 'instance="leader:9301",job="covey"'
# (series and values of each minute that fire the alert; the same that do not)
CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "CoveyRoleDown": ({f"up{{{_AT}}}": "0x60"}, {f"up{{{_AT}}}": "1x60", 'up{job="other"}': "0x60"}),
    "CoveyRoleNotReady": ({f"covey_ready{{{_AT}}}": "0x60"}, {f"covey_ready{{{_AT}}}": "0x10 1x50"}),
    "CoveyPeerAway": (
        {f'covey_peer_up{{peer="helper",{_AT}}}': "0x60"},
        {f'covey_peer_up{{peer="helper",{_AT}}}': "1x60"},
    ),
    "CoveyCallsFail": (
        {f'covey_grpc_requests_total{{method="Submit",code="INTERNAL",{_AT}}}': "0 0+1x59"},
        {f'covey_grpc_requests_total{{method="Submit",code="UNAVAILABLE",{_AT}}}': "0 0+1x59"},
    ),
    "CoveyLedgerBroken": ({f"covey_ledger_entries{{{_AT}}}": "-1x60"}, {f"covey_ledger_entries{{{_AT}}}": "0x60"}),
    "CoveyBudgetNearlySpent": (
        {f'covey_budget_left_ratio{{view="v",{_AT}}}': "0.05x60"},
        {f'covey_budget_left_ratio{{view="v",{_AT}}}': "0.5x60"},
    ),
    "CoveyReportsRejected": (
        {f'covey_reports_total{{verdict="rejected",{_AT}}}': "0x40 1x20"},
        {
            f'covey_reports_total{{verdict="rejected",{_AT}}}': "3x60",
            f'covey_reports_total{{verdict="accepted",{_AT}}}': "0+9x60",
        },
    ),
    "CoveyBatchesRefused": (
        {f'covey_refusals_total{{method="Submit",reason="UNKNOWN_SITE",{_AT}}}': "0x40 1x20"},
        {f'covey_refusals_total{{method="Collect",reason="PLAN_UNKNOWN",{_AT}}}': "0x40 1x20"},
    ),
    "CoveyJobsPending": ({f"covey_jobs_pending{{{_AT}}}": "2x60"}, {f"covey_jobs_pending{{{_AT}}}": "2x20 0x40"}),
    "CoveyPanesDue": (
        {f'covey_panes{{view="v",state="due",{_AT}}}': "3x1500"},
        {f'covey_panes{{view="v",state="due",{_AT}}}': "3x1000 0x500"},
    ),
    "CoveyCollectionLate": (
        {f"covey_next_collection_timestamp_seconds{{{_AT}}}": "600x60"},  # promtool's time begins at 0
        {f"covey_next_collection_timestamp_seconds{{{_AT}}}": "600+60x60"},
    ),
    "CoveyPanesExhausted": (
        {f'covey_panes{{view="v",state="exhausted",{_AT}}}': "1x60"},
        {f'covey_panes{{view="v",state="opened",{_AT}}}': "1x60"},
    ),
    "CoveyDrift": (
        {f'covey_drift{{view="v",{_AT}}}': "1x60"},
        {f'covey_drift{{view="v",{_AT}}}': "1x20 0x40"},
    ),
    "CoveySitesMissing": (
        {f'covey_release_sites{{view="v",version="1",state="missing",{_AT}}}': "1x120"},
        {f'covey_release_sites{{view="v",version="1",state="counted",{_AT}}}': "1x120"},
    ),
    "CoveyViewStale": (
        {f'covey_view_age_seconds{{view="v",version="1",since="released_at",{_AT}}}': "172801x60"},
        {
            f'covey_view_age_seconds{{view="v",version="1",since="released_at",{_AT}}}': "90000x60",
            f'covey_view_age_seconds{{view="v",version="1",since="pane_end",{_AT}}}': "999999x60",
        },
    ),
    # the clock of promtool's tests starts at 0
    "CoveyCertificateExpires": (
        {f'covey_certificate_expiry_timestamp_seconds{{role="leader",{_AT}}}': "604800x120"},
        {f'covey_certificate_expiry_timestamp_seconds{{role="leader",{_AT}}}': "7776000x120"},
    ),
    "CoveyCertificateExpired": (
        {f'covey_certificate_expiry_timestamp_seconds{{role="leader",{_AT}}}': "60x120"},
        {f'covey_certificate_expiry_timestamp_seconds{{role="leader",{_AT}}}': "7776000x120"},
    ),
    "CoveyClocksApart": (
        {f'covey_clock_offset_seconds{{peer="helper",{_AT}}}': "-3600x60"},
        {f'covey_clock_offset_seconds{{peer="helper",{_AT}}}': "2x60"},
    ),
    "CoveySourceAway": (
        {f"covey_source_connected{{{_AT}}}": "0x60"},
        {f"covey_source_connected{{{_AT}}}": "0x9 1x51"},
    ),
    "CoveySourceLogFull": (
        {f"covey_source_log_full{{{_AT}}}": "1x60"},
        {f"covey_source_log_full{{{_AT}}}": "1x9 0x51"},
    ),
    "CoveySourceBad": (
        {
            f'covey_source_events_total{{outcome="bad",{_AT}}}': "0+2x60",
            f'covey_source_events_total{{outcome="kept",{_AT}}}': "0+98x60",
        },
        {
            f'covey_source_events_total{{outcome="bad",{_AT}}}': "7x60",
            f'covey_source_events_total{{outcome="future",{_AT}}}': "0+60x60",
            f'covey_source_events_total{{outcome="kept",{_AT}}}': "0+100x60",
        },
    ),
    "CoveySourceLost": (
        {f'covey_source_events_total{{outcome="lost",{_AT}}}': "0x40 5x20"},
        {f'covey_source_events_total{{outcome="expired",{_AT}}}': "0x40 5x20"},
    ),
    "CoveyReadsSlow": (
        {
            f'covey_request_seconds_bucket{{route="/get-online-features",le="0.1",{_AT}}}': "0x60",
            f'covey_request_seconds_bucket{{route="/get-online-features",le="0.25",{_AT}}}': "0+60x60",
            f'covey_request_seconds_bucket{{route="/get-online-features",le="+Inf",{_AT}}}': "0+60x60",
        },
        {
            f'covey_request_seconds_bucket{{route="/get-online-features",le="0.01",{_AT}}}': "0+60x60",
            f'covey_request_seconds_bucket{{route="/get-online-features",le="+Inf",{_AT}}}': "0+60x60",
            f'covey_request_seconds_bucket{{route="/metrics",le="0.01",{_AT}}}': "0x60",
            f'covey_request_seconds_bucket{{route="/metrics",le="+Inf",{_AT}}}': "0+60x60",
        },
    ),
    "CoveyReadsFail": (
        {
            f'covey_requests_total{{route="/get-online-features",status="500",{_AT}}}': "0+2x60",
            f'covey_requests_total{{route="/get-online-features",status="200",{_AT}}}': "0+98x60",
        },
        {
            f'covey_requests_total{{route="/get-online-features",status="404",{_AT}}}': "0+90x60",
            f'covey_requests_total{{route="/get-online-features",status="200",{_AT}}}': "0+10x60",
            f'covey_requests_total{{route="/predict",status="504",{_AT}}}': "0+90x60",
        },
    ),
    "CoveyModelFailed": (
        {f'covey_model_ready{{model="late",version="2",{_AT}}}': "0x60"},
        {f'covey_model_ready{{model="late",version="1",{_AT}}}': "1x60"},
    ),
    "CoveyModelRefuses": (
        {
            f'covey_model_requests_total{{model="late",version="1",outcome="busy",{_AT}}}': "0+2x60",
            f'covey_model_requests_total{{model="late",version="1",outcome="ok",{_AT}}}': "0+98x60",
        },
        {
            f'covey_model_requests_total{{model="late",version="1",outcome="refused",{_AT}}}': "0+90x60",
            f'covey_model_requests_total{{model="late",version="1",outcome="ok",{_AT}}}': "0+10x60",
        },
    ),
    "CoveyDiskNearlyFull": (
        {f"covey_disk_free_bytes{{{_AT}}}": "9x60", f"covey_disk_size_bytes{{{_AT}}}": "100x60"},
        {f"covey_disk_free_bytes{{{_AT}}}": "11x60", f"covey_disk_size_bytes{{{_AT}}}": "100x60"},
    ),
}
_LONG = {"CoveyPanesDue": "1460m", "CoveySitesMissing": "90m", "CoveyCertificateExpires": "90m"}


@needs_promtool
def test_each_alert_fires_on_its_case_and_none_fires_on_the_other_case(tmp_path: Path) -> None:
    assert set(CASES) == {alert.name for alert in ALERTS}
    (tmp_path / "rules.yml").write_text(files()["rules.yml"])
    cases = []
    for name, (fires, silent) in CASES.items():
        at = _LONG.get(name, "50m")
        firing = f'count(ALERTS{{alertname="{name}",alertstate="firing"}})'
        any_firing = 'count(ALERTS{alertstate="firing"})'
        cases.append(_case(fires, firing, at, [{"labels": "{}", "value": 1}]))
        cases.append(_case(silent, any_firing, at, []))
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": cases}
    (tmp_path / "tests.yml").write_text(json.dumps(tests))
    done = promtool(tmp_path, "test", "rules", "tests.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def _case(series: dict[str, str], expression: str, at: str, expected: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": at, "exp_samples": expected}],
    }


def test_the_targets_are_the_monitors_of_the_systemd_units_and_the_server() -> None:
    units = "".join(unit.read_text() for unit in (FOLDER.parent / "systemd").glob("*.service"))
    targets = {target for _, targets in TARGETS for target in targets} | {COORDINATOR, SERVER}
    assert targets == {*re.findall(r"--monitor (\S+)", units), "127.0.0.1:6566"}


def test_the_scrape_jobs_have_the_names_that_the_rules_ask_for() -> None:
    named = re.findall(r"job_name: (\S+)", files()["prometheus.yml"])
    (asked,) = re.findall(r'job=~"(.+)"', next(alert.when for alert in ALERTS if alert.name == "CoveyRoleDown"))
    assert [job for job in named if re.fullmatch(asked, job)] == [JOB, SERVER_JOB]
    assert len(named) == 3  # a coordinator's is not down when it has ended
