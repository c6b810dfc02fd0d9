"""The alerts: when each fires, what it means, and what mends it. `rules.yml` and docs/metrics.md are made from this list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from base import metrics as m

JOB: Final = "covey"
"""The name of the scrape job (prometheus.yml), by which `up` is a role's."""
SERVER_JOB: Final = f"{JOB}-server"
"""The job of a feature server with API keys."""
READ: Final = "/get-online-features"
_OF_MODELS: Final = "/predict|/v2/infer|/inference.*"
"""Routes whose 503 and 504 are refusals: a timeout is the client's choice, and models have alerts of their own."""


class AlertSeverity(StrEnum):
    """How soon an operator must act."""

    PAGE = "page"
    """At once."""
    TICKET = "ticket"
    """On the next working day."""


@dataclass(frozen=True)
class Alert:
    """One alert rule.

    Attributes:
        when: the condition, in PromQL.
        wait: how long the condition must hold, as Prometheus writes durations.
        summary: one line; `{{ $labels.NAME }}` is a label of the alert.
        meaning, mend: for people, in docs/metrics.md.
    """

    name: str
    severity: AlertSeverity
    when: str
    wait: str
    summary: str
    meaning: str
    mend: str


ALERTS: Final = (
    Alert(
        "CoveyRoleDown", AlertSeverity.PAGE, f'up{{job=~"{JOB}|{SERVER_JOB}"}} == 0', "2m",
        "{{ $labels.instance }} does not answer",
        "Prometheus cannot reach the role's monitor: the process has ended, or the network between them is down.",
        "Read the role's log, and start the role again. No accepted report is lost.",
    ),
    Alert(
        "CoveyRoleNotReady", AlertSeverity.TICKET, f"{m.READY.name} == 0", "15m",
        "{{ $labels.instance }} is not ready; its /readyz says what it waits for",
        "The process works, but it waits for something else, such as a peer, sites or disk space.",
        "`curl http://ADDRESS/readyz` says what it waits for. Off the loopback, that is https with the operator's certificate, as "
        "for Prometheus.",
    ),
    Alert(
        "CoveyPeerAway", AlertSeverity.TICKET, f"{m.PEER_UP.name} == 0", "10m",
        "{{ $labels.instance }} cannot reach the {{ $labels.peer }}",
        "A leader cannot reach its helper, key holder or provider, or a site its SuperLink.",
        "Ask the peer's operator whether it runs; check its address and the network between the two.",
    ),
    Alert(
        "CoveyCallsFail", AlertSeverity.PAGE,
        f'sum by (instance, method) (increase({m.CALL.name}{{code=~"INTERNAL|DATA_LOSS|UNKNOWN"}}[15m])) > 0', "0m",
        "{{ $labels.instance }}: {{ $labels.method }} fails",
        "A service answers calls with an error that no caller has caused: a defect, or files that are damaged or rolled back.",
        "Read the service's log, which has the traceback, and its /readyz.",
    ),
    Alert(
        "CoveyLedgerBroken", AlertSeverity.PAGE, f"{m.LEDGER_ENTRIES.name} < 0", "0m",
        "the ledger of {{ $labels.instance }} is broken",
        "The operator's ledger was edited, cut or rolled back. Nothing is opened until it is repaired.",
        "Put no older copy back: it does not know what was spent since. Follow docs/backup.md#restore, or rebuild the ledger: "
        "`covey ledger rebuild --force`.",
    ),
    Alert(
        "CoveyBudgetNearlySpent", AlertSeverity.TICKET, f"{m.BUDGET_LEFT.name} < 0.1", "5m",
        "view {{ $labels.view }} has less than a tenth of its budget left",
        "The last charged day of the view has less than a tenth of the budget of a client-day left. A further view or version "
        "for the same days would be refused.",
        "`covey ledger show` lists the charges. Lower `rho` of views, or raise the budget if your policy allows it.",
    ),
    Alert(
        "CoveyReportsRejected", AlertSeverity.TICKET,
        f'sum by (instance) (increase({m.REPORTS.name}{{verdict="rejected"}}[1h])) > 0', "0m",
        "{{ $labels.instance }} rejected reports whose proofs do not hold",
        "A client within its bounds is rejected once in 2^56 reports: a site has a defect, or somebody lies.",
        "The coordinator's result counts rejected reports by view. Ask the operators of the sites that answered, and remove a site "
        "from the roster if it goes on.",
    ),
    Alert(
        "CoveyBatchesRefused", AlertSeverity.TICKET,
        f'sum by (instance, reason) (increase({m.REFUSALS.name}{{method=~"Submit|Aggregate"}}[1h])) > 0', "0m",
        "{{ $labels.instance }} refuses batches: {{ $labels.reason }}",
        "Whole batches are refused, so the clients of a site are missing in a release.",
        "docs/codes.md has the reason and its mend.",
    ),
    Alert(
        "CoveyJobsPending", AlertSeverity.TICKET, f"{m.JOBS_PENDING.name} > 0", "30m",
        "{{ $value }} batches wait for the helper",
        "The leader keeps batches that the helper has not answered. They are sent again with the next batch or collect.",
        "Start the helper, or mend the network to it. Nothing is lost until the plan's deadline has passed by a day.",
    ),
    Alert(
        "CoveyPanesDue", AlertSeverity.TICKET, f'{m.PANES.name}{{state="due"}} > 0', "1d",
        "{{ $value }} panes of view {{ $labels.view }} are due",
        "Panes that have ended were not opened for a day: no coordinator runs, or too few sites answer.",
        "`covey status` names the panes; `covey collect` collects them.",
    ),
    Alert(
        "CoveyCollectionLate", AlertSeverity.TICKET, f"time() - {m.NEXT_COLLECTION.name} > 900", "5m",
        "the coordinator {{ $labels.instance }} is late by {{ $value | humanizeDuration }}",
        "A pane has closed, or is to be tried again, and the coordinator has not planned it: it fails, or waits for sites.",
        "`covey logs coordinator` and its /readyz say why.",
    ),
    Alert(
        "CoveyPanesExhausted", AlertSeverity.TICKET, f'{m.PANES.name}{{state="exhausted"}} > 0', "5m",
        "{{ $value }} panes of view {{ $labels.view }} were attempted too often",
        "The coordinator does not plan these panes again, because each attempt may cost budget.",
        "Find out why the attempts failed (`covey status`), and give the panes up or collect them in a new version.",
    ),
    Alert(
        "CoveyDrift", AlertSeverity.TICKET, f"{m.DRIFT.name} > 0", "0m",
        "view {{ $labels.view }} differs from its own past",
        "The newest pane differs from the past by more than noise and usual variation. Without drift a view fires on about one "
        "day in a hundred. The alert ends with the first pane that does not differ.",
        "`covey monitor VIEW` names the features, the keys and the sizes; docs/drift.md explains them.",
    ),
    Alert(
        "CoveySitesMissing", AlertSeverity.TICKET, f'{m.RELEASE_SITES.name}{{state="missing"}} > 0', "1h",
        "{{ $value }} sites are missing in the newest pane of view {{ $labels.view }}",
        "Sites of the roster are not counted in the newest release: their clients are not in it.",
        "The server's /health names the sites. Ask their operators.",
    ),
    Alert(
        "CoveyViewStale", AlertSeverity.TICKET, f'{m.VIEW_AGE.name}{{since="released_at"}} > 2 * 86400', "10m",
        "view {{ $labels.view }} has had no release for two days",
        "Readers get old values. The limit of two days fits panes of a day; use a shorter one for shorter panes.",
        "See CoveyPanesDue. Check that the server reads the store to which the coordinator publishes.",
    ),
    Alert(
        "CoveyCertificateExpires", AlertSeverity.TICKET, f"{m.CERTIFICATE.name} - time() < 14 * 86400", "1h",
        "the certificate of {{ $labels.role }} at {{ $labels.instance }} expires within two weeks",
        "Peers refuse the role once its certificate has expired.",
        "`covey keys tls --renew` makes a new certificate; running services take it up without a restart.",
    ),
    Alert(
        "CoveyCertificateExpired", AlertSeverity.PAGE, f"{m.CERTIFICATE.name} - time() < 0", "0m",
        "the certificate of {{ $labels.role }} at {{ $labels.instance }} has expired",
        "Peers refuse the role: no plan is opened, and no batch is taken.",
        "`covey keys tls --renew` makes a new certificate; running services take it up without a restart.",
    ),
    Alert(
        "CoveyClocksApart", AlertSeverity.TICKET, f"abs({m.CLOCK_OFFSET.name}) > 60", "0m",
        "the clock of the {{ $labels.peer }} is off by {{ $value }} s",
        "A plan is refused once the clocks are too far apart, because deadlines and budgets of days depend on them.",
        "Set the clocks by NTP on both machines.",
    ),
    Alert(
        "CoveySourceAway", AlertSeverity.TICKET, f"{m.SOURCE_CONNECTED.name} == 0", "10m",
        "the site at {{ $labels.instance }} is not connected to its source",
        "A site does not reach the broker of its events. The broker keeps them only as long as its own limits allow.",
        "The site's /readyz and its log say why. `covey doctor` checks the broker, its certificate and the topic.",
    ),
    Alert(
        "CoveySourceLogFull", AlertSeverity.PAGE, f"{m.SOURCE_LOG_FULL.name} == 1", "10m",
        "the event log of {{ $labels.instance }} is full",
        "A site reads nothing while its event log is full. The broker keeps the events only as long as its own limits allow.",
        "Raise `size` or lower `days` in [source.log] of the site's file: its next plan takes that up. `covey source show` "
        "has the numbers.",
    ),
    Alert(
        "CoveySourceBad", AlertSeverity.TICKET,
        f'sum by (instance) (increase({m.SOURCE_EVENTS.name}{{outcome="bad"}}[1h])) '
        f'/ sum by (instance) (increase({m.SOURCE_EVENTS.name}{{outcome=~"kept|duplicate|bad"}}[1h])) > 0.01', "5m",
        "{{ $value | humanizePercentage }} of the records of {{ $labels.instance }} cannot be understood",
        "More than one record in a hundred is no event: not JSON, without a client or a time, or too large. They are kept aside.",
        "`covey source bad` shows them with their reasons. Correct the producer, or the columns in the site's file.",
    ),
    Alert(
        "CoveySourceLost", AlertSeverity.TICKET,
        f'sum by (instance) (increase({m.SOURCE_EVENTS.name}{{outcome="lost"}}[1h])) > 0', "0m",
        "{{ $value }} records of {{ $labels.instance }} were deleted by the broker before the site read them",
        "The site was away or slow for longer than the broker keeps records. Their events are missing in its reports.",
        "Let the broker keep records for longer than the site may be away.",
    ),
    Alert(
        "CoveyReadsSlow", AlertSeverity.TICKET,
        "histogram_quantile(0.99, sum by (instance, le) "
        f'(rate({m.REQUEST_SECONDS.name}_bucket{{route="{READ}"}}[5m]))) > 0.1', "10m",
        "one read in a hundred takes {{ $value }} s at {{ $labels.instance }}",
        "Reads of the feature server are slow.",
        "Add workers (`covey serve --workers N`) or limit consumers (`--rate`); see docs/serving.md.",
    ),
    Alert(
        "CoveyReadsFail", AlertSeverity.PAGE,
        f'sum by (instance) (rate({m.REQUESTS.name}{{status=~"5..",route!~"{_OF_MODELS}"}}[5m])) '
        f'/ sum by (instance) (rate({m.REQUESTS.name}{{route!~"{_OF_MODELS}"}}[5m])) > 0.01', "5m",
        "more than one request in a hundred fails at {{ $labels.instance }}",
        "The feature server answers with errors of its own: a defect, or an online store that is away.",
        "Read the server's log and its /readyz.",
    ),
    Alert(
        "CoveyModelFailed", AlertSeverity.PAGE, f"{m.MODEL_READY.name} == 0", "2m",
        "{{ $labels.model }}@v{{ $labels.version }} does not answer at {{ $labels.instance }}",
        "A version of a model could not be loaded, or its process was ended. If an earlier version is in force, it answers.",
        "Read the server's log; `covey models rollback NAME` brings back the version before.",
    ),
    Alert(
        "CoveyModelRefuses", AlertSeverity.TICKET,
        f'sum by (instance, model) (rate({m.MODEL_REQUESTS.name}{{outcome=~"busy|late"}}[5m])) '
        f"/ sum by (instance, model) (rate({m.MODEL_REQUESTS.name}[5m])) > 0.01", "10m",
        "more than one request in a hundred to {{ $labels.model }} is refused at {{ $labels.instance }}",
        "The queue of the model is full, its rate is reached, or its requests wait longer than their timeouts.",
        "Add workers (`covey serve --workers N`), or raise queue, rate or share of the model in covey.toml.",
    ),
    Alert(
        "CoveyDiskNearlyFull", AlertSeverity.PAGE, f"{m.DISK_FREE.name} / {m.DISK_SIZE.name} < 0.1", "10m",
        "the disk of {{ $labels.instance }} is nearly full",
        "A role that cannot write charges and reports refuses them. Nothing that was accepted is lost.",
        "Free space, or move the project to a larger disk.",
    ),
)  # fmt: skip
"""All alerts."""
