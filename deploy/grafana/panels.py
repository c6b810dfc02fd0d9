"""The panels of the dashboards. `generate` makes Grafana's files from this list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from base import metrics as m


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        unit: as Grafana names it.
        queries: (PromQL, legend) of each line.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Dashboard:
    """One dashboard: the panels of each section."""

    name: str
    title: str
    sections: tuple[tuple[str, tuple[Panel, ...]], ...]


def _rate(metric: m.Metric, by: str, where: str = "") -> str:
    return f"sum by ({by}) (rate({metric.name}{where}[$__rate_interval]))"


def _quantile(metric: m.Metric, by: str, q: float = 0.99, where: str = "") -> str:
    return f"histogram_quantile({q}, sum by ({by}, le) (rate({metric.name}_bucket{where}[$__rate_interval])))"


_ROLES: Final = (
    "Roles",
    (
        Panel("Ready", "bool_yes_no", ((m.READY.name, "{{instance}}"),)),
        Panel("Version", "none", ((f"count by (role, version) ({m.BUILD.name})", "{{role}} {{version}}"),)),
        Panel("Uptime", "s", ((f"time() - {m.STARTED.name}", "{{instance}}"),)),
        Panel("Memory", "bytes", ((m.MEMORY.name, "{{instance}}"),)),
        Panel("Disk that is free", "percentunit", ((f"{m.DISK_FREE.name} / {m.DISK_SIZE.name}", "{{instance}}"),)),
        Panel("Certificate ends in", "s", ((f"{m.CERTIFICATE.name} - time()", "{{role}} at {{instance}}"),)),
    ),
)

COLLECTIONS: Final = Dashboard(
    "collections",
    "Covey: collections",
    (
        _ROLES,
        (
            "Reports",
            (
                Panel("Reports a second", "ops", ((_rate(m.REPORTS, "instance, verdict"), "{{verdict}} at {{instance}}"),)),
                Panel("Batches a second", "ops", ((_rate(m.BATCHES, "instance, verdict"), "{{verdict}} at {{instance}}"),)),
                Panel(
                    "Refusals in an hour, by reason", "short",
                    ((f"sum by (method, reason) (increase({m.REFUSALS.name}[1h]))", "{{method}}: {{reason}}"),),
                ),
                Panel("Batches that wait for the helper", "short", ((m.JOBS_PENDING.name, "{{instance}}"),)),
                Panel("Peers that answer", "bool_yes_no", ((m.PEER_UP.name, "{{instance}} to {{peer}}"),)),
                Panel("Offset of clocks", "s", ((m.CLOCK_OFFSET.name, "{{peer}}"),)),
            ),
        ),
        (
            "Plans and panes",
            (
                Panel("Plans by state", "short", ((f"sum by (instance, state) ({m.PLANS.name})", "{{state}} at {{instance}}"),)),
                Panel("Panes by state", "short", ((m.PANES.name, "{{view}}: {{state}}"),)),
                Panel(
                    "Outcomes of panes in a day", "short",
                    ((f"sum by (view, outcome) (increase({m.COLLECTIONS.name}[1d]))", "{{view}}: {{outcome}}"),),
                ),
                Panel(
                    "Since a pane was opened, until the next plan", "s",
                    (
                        (f"time() - {m.LAST_OPENED.name}", "since opened"),
                        (f"{m.NEXT_COLLECTION.name} - time()", "until the next"),
                    ),
                ),
                Panel("Sites of the plan under way", "short", ((m.SITES.name, "{{state}}"), (m.NODES.name, "admitted"))),
                Panel("Budget that is left", "percentunit", ((m.BUDGET_LEFT.name, "{{view}} at {{instance}}"),)),
                Panel("Features of keys that differ from their past", "short", ((m.DRIFT_SERIES.name, "{{view}}"),)),
                Panel("Entries of ledgers", "short", ((m.LEDGER_ENTRIES.name, "{{instance}}"),)),
            ),
        ),
        (
            "Time",
            (
                Panel("Steps, 99th percentile", "s", ((_quantile(m.STEP, "instance, step"), "{{step}} at {{instance}}"),)),
                Panel("Calls, 99th percentile", "s", ((_quantile(m.CALL_SECONDS, "instance, method"), "{{instance}} {{method}}"),)),
                Panel("Calls a second, by code", "ops", ((_rate(m.CALL, "method, code"), "{{method}}: {{code}}"),)),
                Panel("Answers of sites in an hour", "short", ((f"sum by (code) (increase({m.ANSWERS.name}[1h]))", "{{code}}"),)),
                Panel("Answers of sites, 99th percentile", "s", ((_quantile(m.ANSWER_SECONDS, "instance"), "{{instance}}"),)),
            ),
        ),
        (
            "Source of a site",
            (
                Panel("Connected", "bool_yes_no", ((m.SOURCE_CONNECTED.name, "{{instance}}"),)),
                Panel("Behind its broker", "short", ((m.SOURCE_BEHIND.name, "{{instance}}"),)),
                Panel("Records a second", "ops", ((_rate(m.SOURCE_EVENTS, "outcome"), "{{outcome}}"),)),
                Panel("Event log", "bytes", ((m.SOURCE_LOG_SIZE.name, "{{instance}}"),)),
                Panel("Event log is full", "bool_yes_no", ((m.SOURCE_LOG_FULL.name, "{{instance}}"),)),
                Panel("Late events in an hour", "short", ((f"sum by (view) (increase({m.LATE_EVENTS.name}[1h]))", "{{view}}"),)),
            ),
        ),
    ),
)  # fmt: skip

_OF_MODEL: Final = "{{model}}@v{{version}}"
_FEATURES: Final = f"sum by (model, version, state) (rate({m.MODEL_FEATURES.name}"
_MODELS: Final = (
    "Models",
    (
        Panel("Ready", "bool_yes_no", ((m.MODEL_READY.name, _OF_MODEL),)),
        Panel(
            "Requests a second", "reqps",
            ((_rate(m.MODEL_REQUESTS, "model, version, outcome"), f"{_OF_MODEL} {{{{outcome}}}}"),),
        ),
        Panel("Rows that wait", "short", ((f"sum by (model, version) ({m.MODEL_QUEUE_ROWS.name})", _OF_MODEL),)),
        Panel("Rows of a batch, median", "short", ((_quantile(m.MODEL_BATCH_ROWS, "model, version", 0.5), _OF_MODEL),)),
        Panel(
            "Stages, 99th percentile", "s",
            ((_quantile(m.MODEL_SECONDS, "model, version, stage"), f"{_OF_MODEL} {{{{stage}}}}"),),
        ),
        Panel(
            "Features that are null or stale", "percentunit",
            (
                (
                    f'{_FEATURES}{{state=~"null|stale"}}[$__rate_interval])) / ignoring (state) group_left () '
                    f'sum by (model, version) (rate({m.MODEL_FEATURES.name}{{state="used"}}[$__rate_interval]))',
                    f"{_OF_MODEL} {{{{state}}}}",
                ),
            ),
        ),
        Panel("Drift of outputs (PSI)", "short", ((m.MODEL_PSI.name, _OF_MODEL),)),
    ),
)  # fmt: skip

SERVING: Final = Dashboard(
    "serving",
    "Covey: serving",
    (
        (
            "Reads",
            (
                Panel("Requests a second", "reqps", ((_rate(m.REQUESTS, "route, status"), "{{route}} {{status}}"),)),
                Panel("Rows a second", "ops", ((_rate(m.ROWS, "instance"), "{{instance}}"),)),
                Panel(
                    "Latency", "s",
                    tuple(
                        (_quantile(m.REQUEST_SECONDS, "route", q), f"{{{{route}}}} p{q * 100:.0f}") for q in (0.5, 0.99)
                    ),
                ),
            ),
        ),
        _MODELS,
        (
            "Releases",
            (
                Panel("Age of views", "s", ((m.VIEW_AGE.name, "{{view}}@v{{version}} since {{since}}"),)),
                Panel("Sites in the newest pane", "short", ((m.RELEASE_SITES.name, "{{view}}@v{{version}}: {{state}}"),)),
                Panel("Served publication", "short", ((m.EPOCH.name, "{{instance}}"),)),
            ),
        ),
    ),
)  # fmt: skip

DASHBOARDS: Final = (COLLECTIONS, SERVING)
