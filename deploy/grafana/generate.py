"""Writes dashboards, alert rules and an example of a scrape configuration: `python -m deploy.grafana.generate`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .alerts import ALERTS, JOB, SERVER_JOB, Alert
from .panels import DASHBOARDS, Dashboard, Panel

FOLDER: Final = Path(__file__).parent
_GENERATED: Final = "# Written by `make reference` from the code; do not edit."
_ACROSS, _WIDTH, _HEIGHT = 3, 8, 8
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
TARGETS: Final = (
    ("leader's operator", ("127.0.0.1:9301",)),
    ("helper's operator: helper, and key holder", ("127.0.0.1:9302", "127.0.0.1:9303")),
    ("coordinator's operator: SuperLink", ("127.0.0.1:9306",)),
    ("operator of a site", ("127.0.0.1:9307",)),
)
"""The monitors by operator, at the ports of deploy/systemd."""
COORDINATOR: Final = "127.0.0.1:9305"
SERVER: Final = "127.0.0.1:6566"


def files() -> Mapping[str, str]:
    """The text of each generated file, by its name."""
    boards = {f"{board.name}.json": json.dumps(_board(board), indent=2) + "\n" for board in DASHBOARDS}
    return {**boards, "rules.yml": rules(), "prometheus.yml": scrapes()}


def rules() -> str:
    """The alert rules of Prometheus."""
    lines = [_GENERATED, "groups:", "  - name: covey", "    rules:"]
    for alert in ALERTS:
        lines += _rule(alert)
    return "\n".join(lines) + "\n"


def scrapes() -> str:
    """An example of Prometheus' configuration. Each operator scrapes the own roles only."""
    lines = [
        _GENERATED,
        "# An example. Keep the targets of the roles that you run: monitors listen on the loopback (docs/metrics.md has TLS).",
        "rule_files: [rules.yml]",
        "scrape_configs:",
        f"  - job_name: {JOB}",
        "    scrape_interval: 15s",
        "    static_configs:",
    ]
    for operator, targets in TARGETS:
        lines += [f"      # the {operator}", f"      - targets: {json.dumps(list(targets))}"]
    lines += [
        "  # A coordinator runs for one collection, so it is not down when it does not answer.",
        f"  - job_name: {JOB}-coordinator",
        "    scrape_interval: 15s",
        "    static_configs:",
        f"      - targets: {json.dumps([COORDINATOR])}",
        "  # The coordinator's operator: the feature server. The key of a consumer is needed off the loopback, or with --keys.",
        f"  - job_name: {SERVER_JOB}",
        "    scrape_interval: 15s",
        "    # authorization: {credentials: KEY}",
        "    static_configs:",
        f"      - targets: {json.dumps([SERVER])}",
    ]
    return "\n".join(lines) + "\n"


def _rule(alert: Alert) -> Iterator[str]:
    yield f"      - alert: {alert.name}"
    yield f"        expr: {json.dumps(alert.when)}"
    yield f"        for: {alert.wait}"
    yield f"        labels: {{severity: {alert.severity}}}"
    yield "        annotations:"
    for name, text in (("summary", alert.summary), ("description", alert.meaning), ("mend", alert.mend)):
        yield f"          {name}: {json.dumps(text, ensure_ascii=False)}"


def _board(board: Dashboard) -> dict[str, Any]:
    """A dashboard as Grafana imports it. It asks for the Prometheus source by a variable."""
    return {
        "uid": f"covey-{board.name}",
        "title": board.title,
        "tags": ["covey"],
        "schemaVersion": 39,
        "timezone": "utc",
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": list(_panels(board)),
    }


def _panels(board: Dashboard) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in board.sections:
        number += 1
        grid = {"h": 1, "w": _ACROSS * _WIDTH, "x": 0, "y": top}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": grid, "panels": []}
        top += 1
        for place, panel in enumerate(panels):
            number += 1
            row, column = divmod(place, _ACROSS)
            yield _panel(panel, number, {"h": _HEIGHT, "w": _WIDTH, "x": column * _WIDTH, "y": top + row * _HEIGHT})
        top += -(-len(panels) // _ACROSS) * _HEIGHT


def _panel(panel: Panel, number: int, grid: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": grid,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0 if panel.unit != "s" else None}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {"refId": chr(ord("A") + i), "datasource": _SOURCE, "expr": expr, "legendFormat": legend}
            for i, (expr, legend) in enumerate(panel.queries)
        ],
    }


if __name__ == "__main__":
    for _name, _text in files().items():
        (FOLDER / _name).write_text(_text, encoding="utf-8")
