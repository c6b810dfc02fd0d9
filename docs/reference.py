"""Writes the pages of reference, `codes.md`, `metrics.md` and `views.md`, from the code: `python -m docs.reference`."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

import base.errors
import deployment.coordinator.site_results
import deployment.doctor.finding
import featurestore.define.decoded
import federation.commitment
from base.errors import CoveyError
from base.metrics import METRICS, Choice, Metric, Names, Role
from deploy.grafana.alerts import ALERTS
from deployment.doctor.doctor import CHECKS
from deployment.doctor.finding import Severity
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import KINDS, ViewFeature
from featurestore.define.privacy import Bounds, Privacy
from federation.refusal_codes import RefusalCode

FOLDER: Final = Path(__file__).parent
ROOMS: Final = (
    "base", "crypto", "featurestore", "federation", "edge_client", "aggregator", "deployment", "training", "simulations", "covey",
)  # fmt: skip
_LISTED: Final = 8
"""The most values of a label that its row lists."""
_MONITORS: Final = """
Every role counts its work. It sends the counts to nobody: Prometheus, or `curl`, reads them at the address of `--monitor`.

## A monitor for each role

`covey start ROLE --monitor HOST:PORT` opens a port with three paths. Without the option the role has no monitor. The feature
server has the same paths on its own port, where `/metrics` needs an API key if the server uses keys.

| path | answer |
|---|---|
| `/metrics` | the metrics below, as Prometheus text |
| `/healthz` | 200 while the process works |
| `/readyz` | 200 if the role is ready; 503 with `{"ready": false, "role": …, "waits_for": "…"}` while it waits for something |

A role waits for a peer that does not answer, for the SuperLink, for the sites of the plan under way, for a ledger that is
intact, for a certificate that is valid, or for space on its disk; a site also for its source, and for room in its event log.

A monitor shows an operator what the operator's role sees anyway: numbers of reports, sites, views and budgets, and no client, key
or value. Numbers of reports are outside the claim of privacy where only active clients report ([privacy.md](privacy.md)). So a
monitor listens on the loopback. Do not publish its answers, and do not scrape the roles of another operator.

Off the loopback, a monitor speaks TLS with the role's certificate (`covey keys tls`), and clients need a certificate of the same
operator's authority. Without a certificate the role refuses such an address by name. Prometheus uses a certificate of the operator:

```yaml
scheme: https
tls_config:
  ca_file: keys/tls/ca.crt
  cert_file: keys/tls/leader.crt
  key_file: keys/tls/leader.key
  server_name: leader.covey.internal
```

A site has no certificate, so its monitor stays on its machine. It counts the site's events (`covey_source_…`,
`covey_late_events_total`) exactly: private numbers, without noise, for the site's operator only. Whoever scrapes them every 15 s
knows when events came, to 15 s. A Prometheus of somebody else must not read them.

A monitor answers GET within bounds: 8 KiB and 5 s for a request, and 20 connections. A request must name the host as localhost or
by an address, so a web page cannot read the monitor; with TLS it may use any name.

## Prometheus and Grafana

`deploy/grafana/` has `prometheus.yml`, an example of a scrape configuration, `rules.yml` with the alerts below, and two dashboards,
`collections.json` and `serving.json`, which Grafana imports. All of them, and this page, are written from `base/metrics.py` and
`deploy/grafana/` by `make reference`. To change a limit, edit a copy of `rules.yml`.
"""
_GENERATED: Final = "<!-- Written by `make reference` from the code; do not edit. -->"
_PARAMETER: Final = re.compile(r"(\w+(?:, \w+)*): (.+)", re.DOTALL)


def codes_page() -> str:
    """All codes: exit codes, errors, refusals, outcomes, states of sites, statuses of values."""
    return _page(
        "Codes",
        "Every code that Covey prints or sends. A code is a stable word for programs; it survives a rename of its class.",
        "## Exit codes of commands",
        _table(("code", "name", "meaning"), _exit_codes()),
        "## Refusals of plans",
        "Sites, ledgers and aggregators refuse a plan with one of these codes. None of them depends on events.",
        _table(("code", "meaning", "mend"), ((f"`{code}`", code.sentence, code.mend) for code in RefusalCode)),
        "## Outcomes of collections",
        "The collection of a pane ends with one of these.",
        _table(("code", "meaning"), _members(federation.commitment, "Outcome")),
        "## States of sites",
        "`covey run` and the coordinator say for each site what became of it.",
        _table(("state", "meaning"), _members(deployment.coordinator.site_results, "SiteOutcome", lower=True)),
        "## Statuses of values",
        "The `__status` of a value says whether it is usable. [features.md](features.md) has the conditions.",
        _table(("status", "number", "meaning"), _statuses()),
        "## Errors",
        "Each error has a code and the exit code of the command that fails with it. Classes are in the room's `errors.py`.",
        *(part for room in ROOMS for part in _errors(room)),
    )


def views_page() -> str:
    """Every parameter of a view, its entity, bounds and price, and of each kind of feature."""
    return _page(
        "Views",
        "Every parameter of a feature view. [quickstart.md](quickstart.md) shows a whole view, [features.md](features.md) says"
        " what the features mean, [changing-views.md](changing-views.md) what a change does.",
        *(part for kind in (FeatureView, Entity, Bounds, Privacy) for part in _parameters("##", kind)),
        "## Kinds of features",
        *(part for kind in kinds_of_features() for part in _parameters("###", kind)),
    )


def metrics_page() -> str:
    """Every metric with its labels, and every alert with its mend."""
    return _page(
        "Metrics",
        *_MONITORS.strip().split("\n\n"),
        "## All metrics",
        _table(("metric", "kind", "labels", "roles", "meaning"), map(_metric, METRICS)),
        "## Alerts",
        "The condition must hold for the time in the second column. A *page* needs an operator at once, a *ticket* on the next "
        "working day.",
        _table(
            ("alert", "after", "severity", "meaning", "mend"),
            ((f"`{one.name}`", one.wait, one.severity.value, one.meaning, one.mend) for one in ALERTS),
        ),
        "## Conditions of the alerts",
        _table(("alert", "condition"), ((f"`{one.name}`", f"`{one.when}`") for one in ALERTS)),
    )


def doctor_page() -> str:
    """Every check of `covey doctor`."""
    return _page(
        "Doctor",
        "`covey doctor --project DIR` checks a project on one machine and prints the mend for each finding. It changes nothing, and"
        " no finding contains a secret. It ends with exit code 1 if there is a problem, otherwise with 0. `--json` prints the"
        " findings for programs: `{project, problems, warnings, findings: [{check, severity, found, mend}]}`.",
        "`--address ROLE=HOST:PORT` names the address of a role, instead of `[network]` in covey.toml. Each wait for a peer"
        " lasts a few seconds at most, and the checks run at the same time.",
        "## Checks",
        _table(("check", "what must hold"), ((f"`{one.name}`", one.what) for one in CHECKS)),
        "## Severities",
        _table(("severity", "meaning"), _severities()),
    )


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "codes.md": codes_page,
    "doctor.md": doctor_page,
    "metrics.md": metrics_page,
    "views.md": views_page,
}


def kinds_of_features() -> list[type[ViewFeature]]:
    """The kinds of features that Covey brings, by name."""
    kinds = (kind for kind in KINDS.values() if kind.__module__.startswith("featurestore."))
    return sorted(kinds, key=lambda kind: kind.__name__)


def parameters_of(kind: type) -> Mapping[str, str]:
    """The meaning of each parameter that the docstring of a class has under `Args:`."""
    found: dict[str, str] = {}
    for section in re.findall(r"^Args:\n((?:    .*\n?|\n)+)", inspect.getdoc(kind) or "", flags=re.MULTILINE):
        for item in re.split(r"^    (?=\S)", section, flags=re.MULTILINE):
            if match := _PARAMETER.match(item):
                found |= dict.fromkeys(match[1].split(", "), " ".join(match[2].split()))
    return found


def errors_of(room: str) -> Iterator[type[CoveyError]]:
    """The classes of errors of a room, in the order of its `errors.py`."""
    for value in vars(import_module(f"{room}.errors")).values():
        if inspect.isclass(value) and issubclass(value, CoveyError) and value.__module__ == f"{room}.errors":
            yield value


def _page(title: str, *parts: str) -> str:
    return "\n\n".join((f"# {title}", _GENERATED, *parts)) + "\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _metric(metric: Metric) -> tuple[str, ...]:
    labels = "; ".join(f"`{label.name}`: {_values(label.values)}" for label in metric.labels)
    return f"`{metric.name}`", metric.kind.value, labels or "none", _roles(metric), metric.help


def _roles(metric: Metric) -> str:
    return "all" if metric.roles == tuple(Role) else ", ".join(metric.roles)


def _values(values: Choice | Names) -> str:
    match values:
        case Choice(closed):
            return ", ".join(closed) if len(closed) <= _LISTED else f"one of {len(closed)}"
        case Names(what, most):
            return f"{what}, at most {most:,}"


def _exit_codes() -> Iterator[tuple[str, str, str]]:
    for name, meaning in _documented(base.errors, None).items():
        yield str(getattr(base.errors, name)), f"`{name}`", meaning


def _members(module: ModuleType, name: str, *, lower: bool = False) -> Iterator[tuple[str, str]]:
    for member, meaning in _documented(module, name).items():
        yield f"`{member.lower() if lower else member}`", meaning


def _severities() -> Iterator[tuple[str, str]]:
    for name, meaning in _documented(deployment.doctor.finding, "Severity").items():
        yield f"`{Severity[name].value}`", meaning


def _statuses() -> Iterator[tuple[str, str, str]]:
    for name, meaning in _documented(featurestore.define.decoded, "Status").items():
        yield f"`{name}`", str(featurestore.define.decoded.Status[name].value), meaning


def _errors(room: str) -> Iterator[str]:
    yield f"### {room}"
    rows = ((f"`{one.code}`", str(one.exit_code), f"`{one.__name__}`", _summary(one)) for one in errors_of(room))
    yield _table(("code", "exit", "class", "meaning"), rows)


def _parameters(level: str, kind: type) -> Iterator[str]:
    yield f"{level} {kind.__name__}"
    yield re.split(r"^(?:Args|Attributes|Raises):$", inspect.getdoc(kind) or "", flags=re.MULTILINE)[0].strip()
    meanings = parameters_of(kind)
    yield _table(
        ("parameter", "type", "default", "meaning"),
        (
            (
                f"`{one.name}`",
                f"`{one.annotation}`",
                "required" if one.default is one.empty else f"`{one.default!r}`",
                meanings[one.name],
            )
            for one in inspect.signature(kind).parameters.values()
        ),
    )


def _summary(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())


def _documented(module: ModuleType, kind: str | None) -> dict[str, str]:
    """The public constants of a module, or the members of a class of it, each with the docstring below it."""
    body: list[ast.stmt] = ast.parse(inspect.getsource(module)).body
    if kind is not None:
        (body,) = [one.body for one in body if isinstance(one, ast.ClassDef) and one.name == kind]
    found = {}
    for one, after in zip(body, [*body[1:], None], strict=True):
        targets = one.targets if isinstance(one, ast.Assign) else [one.target] if isinstance(one, ast.AnnAssign) else []
        text = after.value if isinstance(after, ast.Expr) else None
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper() and not target.id.startswith("_"):
                said = text.value if isinstance(text, ast.Constant) else ""
                found[target.id] = " ".join(str(said).split())
    return found


if __name__ == "__main__":
    for _name, _write in PAGES.items():
        (FOLDER / _name).write_text(_write(), encoding="utf-8")
