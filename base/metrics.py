"""The list of all metrics, and the counting of them in a process.

`METRICS` is the only list: `/metrics`, docs/metrics.md, the dashboards and the alert rules are made from it. A label holds one
value of a closed set, or a public name: a view, or a code of the product. No label holds a client, a key or a value.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from threading import Lock
from typing import Final, TypeAlias, assert_never

OTHER: Final = "other"
"""The value of a label whose set of names is full."""


class Kind(StrEnum):
    """The kind of a metric, as Prometheus spells it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Role(StrEnum):
    """The processes that have metrics."""

    COORDINATOR = "coordinator"
    LEADER = "leader"
    HELPER = "helper"
    KEY_HOLDER = "keyholder"
    PROVIDER = "provider"
    SUPERLINK = "superlink"
    SITE = "site"
    SERVER = "server"


@dataclass(frozen=True)
class Choice:
    """The closed set of a label's values."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Names:
    """An open set of public names. Beyond `most` names of a metric, counts have the value `other`, and a gauge has no sample.

    Attributes:
        what: the kind of name, in the plural, for people.
    """

    what: str
    most: int


@dataclass(frozen=True)
class Label:
    """A label of a metric."""

    name: str
    values: Choice | Names


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: as queries spell it; a histogram's without `_bucket`, `_sum` and `_count`.
        roles: the roles that have it.
        buckets: the upper ends of a histogram's buckets, s.
    """

    name: str
    kind: Kind
    help: str
    roles: tuple[Role, ...]
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()


@dataclass(frozen=True)
class Distribution:
    """The value of a histogram: the observations of each bucket (the last one is open), and their sum."""

    counts: tuple[float, ...]
    total: float


@dataclass(frozen=True)
class Sample:
    """One value of a metric."""

    metric: Metric
    labels: tuple[str, ...]
    value: float | Distribution


Key: TypeAlias = tuple[Metric, tuple[str, ...]]

ALL: Final = tuple(Role)
CERTIFIED: Final = tuple(role for role in Role if role is not Role.SITE)
"""The roles that have a certificate; a site has a node key."""
AGGREGATORS: Final = (Role.LEADER, Role.HELPER, Role.KEY_HOLDER)
SERVICES: Final = (*AGGREGATORS, Role.PROVIDER)
PROJECT: Final = (Role.COORDINATOR, Role.SUPERLINK)

LATENCIES: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""The buckets of reads, s."""
DURATIONS: Final = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""The buckets of calls and steps of a collection, s."""

STEPS: Final = ("intake", "verify", "noise", "open", "publish")
CALLS: Final = (
    "Check", "Prepare", "OpenPlan", "Submit", "TakeKey", "Aggregate", "Commit", "Witness", "Digest", "Swap", "Finish",
    "OpenSums", "Provide", "Collect", "Free", "Status",
)  # fmt: skip
"""The calls of leader, helper, key holder and provider (aggregator.proto)."""
CALL_CODES: Final = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""The status codes of gRPC."""
PLAN_STATES: Final = ("open", "closed", "noised", "witnessed", "freed", "disowned", "burnt")
READS: Final = (
    "/get-online-features",
    "/health",
    "/healthz",
    "/readyz",
    "/metrics",
    *(f"/covey.features.v1.Features/{call}" for call in ("GetFeatures", "Subscribe", "Read")),
    "/predict",
    "/v2/infer",
    *(f"/inference.GRPCInferenceService/{call}" for call in ("ModelInfer", "ModelStreamInfer")),
    OTHER,
)
"""The counted routes of the feature server."""
READ_STATUSES: Final = ("0", *(str(int(status)) for status in HTTPStatus))

_VIEW: Final = Label("view", Names("feature views", 1_000))
_VERSION: Final = Label("version", Names("versions of a view", 100))
_CODE: Final = Names("codes of docs/codes.md", 200)
_CALL: Final = Label("method", Choice((*CALLS, OTHER)))

# of every process
BUILD: Final = Metric(
    "covey_build_info", Kind.GAUGE, "1; the labels name the role and the version of Covey.",
    ALL, (Label("role", Choice(ALL)), Label("version", Names("versions of Covey", 10))),
)  # fmt: skip
STARTED: Final = Metric(
    "process_start_time_seconds", Kind.GAUGE, "The start of the process, seconds since the epoch.", ALL
)
MEMORY: Final = Metric(
    "process_resident_memory_bytes", Kind.GAUGE, "The memory of the process that answers, in bytes.", ALL
)
READY: Final = Metric(
    "covey_ready", Kind.GAUGE, "1 if the role is ready; 0 while `/readyz` says what it waits for.", ALL
)
DISK_FREE: Final = Metric(
    "covey_disk_free_bytes", Kind.GAUGE, "Free space of the disk with the role's files, in bytes.", ALL
)
DISK_SIZE: Final = Metric("covey_disk_size_bytes", Kind.GAUGE, "Size of the disk with the role's files, in bytes.", ALL)
CERTIFICATE: Final = Metric(
    "covey_certificate_expiry_timestamp_seconds", Kind.GAUGE,
    "When the certificate of the role expires, seconds since the epoch.", CERTIFIED, (Label("role", Choice(CERTIFIED)),),
)  # fmt: skip

# of the aggregators
REPORTS: Final = Metric(
    "covey_reports_total", Kind.COUNTER,
    "Reports by final verdict: accepted, rejected by their proof, or a duplicate of a known report.",
    (Role.LEADER, Role.HELPER), (Label("verdict", Choice(("accepted", "rejected", "duplicate"))),),
)  # fmt: skip
BATCHES: Final = Metric(
    "covey_batches_total", Kind.COUNTER, "Batches with a final answer: accepted, report by report, or refused as a whole.",
    (Role.LEADER, Role.HELPER), (Label("verdict", Choice(("accepted", "refused"))),),
)  # fmt: skip
REFUSALS: Final = Metric(
    "covey_refusals_total", Kind.COUNTER, "Refused calls and refused batches, by reason.",
    SERVICES, (_CALL, Label("reason", _CODE)),
)  # fmt: skip
JOBS_PENDING: Final = Metric(
    "covey_jobs_pending", Kind.GAUGE, "Batches that the helper has not answered yet.", (Role.LEADER,)
)
PLANS: Final = Metric(
    "covey_plans", Kind.GAUGE, "Plans by state, as the aggregator stores it.",
    AGGREGATORS, (Label("state", Choice(PLAN_STATES)),),
)  # fmt: skip
COLLECTIONS: Final = Metric(
    "covey_collections_total", Kind.COUNTER, "Panes of noised plans by outcome (docs/codes.md).",
    AGGREGATORS, (_VIEW, Label("outcome", _CODE)),
)  # fmt: skip
STEP: Final = Metric(
    "covey_step_seconds", Kind.HISTOGRAM,
    "Seconds of a step: intake and verify of a batch; noise, open and publish of a plan.",
    (*AGGREGATORS, Role.COORDINATOR), (Label("step", Choice(STEPS)),), DURATIONS,
)  # fmt: skip
CALL: Final = Metric(
    "covey_grpc_requests_total", Kind.COUNTER, "Answered calls by method and status code.",
    SERVICES, (_CALL, Label("code", Choice(CALL_CODES))),
)  # fmt: skip
CALL_SECONDS: Final = Metric(
    "covey_grpc_request_seconds", Kind.HISTOGRAM, "Seconds from a call to the end of its answer.",
    SERVICES, (_CALL,), DURATIONS,
)  # fmt: skip
PEER_UP: Final = Metric(
    "covey_peer_up", Kind.GAUGE, "1 if the peer accepts the role's connections and certificate; checked at most every few seconds.",
    (Role.LEADER, Role.SITE), (Label("peer", Choice(("helper", "keyholder", "provider", "superlink"))),),
)  # fmt: skip
LEDGER_ENTRIES: Final = Metric(
    "covey_ledger_entries", Kind.GAUGE, "Entries of the operator's ledger; -1 if the ledger is broken.", AGGREGATORS
)
BUDGET_LEFT: Final = Metric(
    "covey_budget_left_ratio", Kind.GAUGE,
    "The share of a client-day's budget that is left for a view on the last day that was charged.",
    AGGREGATORS, (_VIEW,),
)  # fmt: skip

# of the coordinator's operator
PANES: Final = Metric(
    "covey_panes", Kind.GAUGE, "Panes of a view by state. An exhausted pane is due, but was attempted too often.",
    PROJECT, (_VIEW, Label("state", Choice(("opened", "void", "due", "exhausted")))),
)  # fmt: skip
SITES: Final = Metric(
    "covey_sites", Kind.GAUGE, "Sites of the plan under way: on the roster, answered, and missing.",
    (Role.COORDINATOR,), (Label("state", Choice(("expected", "answered", "missing"))),),
)  # fmt: skip
NEXT_COLLECTION: Final = Metric(
    "covey_next_collection_timestamp_seconds", Kind.GAUGE,
    "When the coordinator that stays plans next, seconds since the epoch.", (Role.COORDINATOR,),
)  # fmt: skip
LAST_OPENED: Final = Metric(
    "covey_last_opened_timestamp_seconds", Kind.GAUGE,
    "When the coordinator that stays last opened a pane, seconds since the epoch.", (Role.COORDINATOR,),
)  # fmt: skip
CLOCK_OFFSET: Final = Metric(
    "covey_clock_offset_seconds", Kind.GAUGE, "How far an aggregator's clock is ahead of the coordinator's.",
    (Role.COORDINATOR,), (Label("peer", Choice(("leader", "helper"))),),
)  # fmt: skip
DRIFT: Final = Metric(
    "covey_drift", Kind.GAUGE,
    "1 if the newest pane of a view differs from its past by more than noise and usual variation (docs/drift.md), else 0.",
    (Role.COORDINATOR,), (_VIEW,),
)  # fmt: skip
DRIFT_SERIES: Final = Metric(
    "covey_drift_series", Kind.GAUGE, "How many features of keys differ in a view's newest pane.",
    (Role.COORDINATOR,), (_VIEW,),
)  # fmt: skip
NODES: Final = Metric(
    "covey_superlink_nodes", Kind.GAUGE, "Sites of the roster whose node key the SuperLink admits.", (Role.SUPERLINK,)
)

# of a site
ANSWERS: Final = Metric(
    "covey_site_answers_total", Kind.COUNTER, "Answered messages by code (docs/codes.md).",
    (Role.SITE,), (Label("code", _CODE),),
)  # fmt: skip
ANSWER_SECONDS: Final = Metric(
    "covey_site_answer_seconds", Kind.HISTOGRAM, "Seconds from a message to the end of its answer.",
    (Role.SITE,), (), DURATIONS,
)  # fmt: skip

SOURCE_CONNECTED: Final = Metric(
    "covey_source_connected", Kind.GAUGE, "1 if the site is connected to the stream of its events.", (Role.SITE,)
)
SOURCE_BEHIND: Final = Metric(
    "covey_source_behind_events", Kind.GAUGE,
    "Records that the broker has and the site's event log has not; no sample where the broker has no such number.", (Role.SITE,),
)  # fmt: skip
SOURCE_EVENTS: Final = Metric(
    "covey_source_events_total", Kind.COUNTER,
    "Records of the site's stream or event log by outcome. Exact, without noise. Future ones are kept too.",
    (Role.SITE,), (Label("outcome", Choice(("kept", "duplicate", "bad", "future", "expired", "lost"))),),
)  # fmt: skip
SOURCE_LOG_SIZE: Final = Metric(
    "covey_source_log_bytes", Kind.GAUGE, "Size of the site's event log on disk, in bytes.", (Role.SITE,)
)
SOURCE_LOG_FULL: Final = Metric(
    "covey_source_log_full", Kind.GAUGE, "1 while the site's event log is full, so that nothing is read.", (Role.SITE,)
)
LATE_EVENTS: Final = Metric(
    "covey_late_events_total", Kind.COUNTER,
    "Events of a pane that came after the site had reported it, by view. Exact, without noise.", (Role.SITE,), (_VIEW,),
)  # fmt: skip

# of the feature server
REQUESTS: Final = Metric(
    "covey_requests_total", Kind.COUNTER, "Requests; status 0: the client went away.",
    (Role.SERVER,), (Label("route", Choice(READS)), Label("status", Choice(READ_STATUSES))),
)  # fmt: skip
REQUEST_SECONDS: Final = Metric(
    "covey_request_seconds", Kind.HISTOGRAM, "Seconds from a request's head to the end of its answer.",
    (Role.SERVER,), (Label("route", Choice(READS)),), LATENCIES,
)  # fmt: skip
ROWS: Final = Metric("covey_rows_total", Kind.COUNTER, "Requested rows.", (Role.SERVER,))
EPOCH: Final = Metric("covey_epoch", Kind.GAUGE, "The served publication.", (Role.SERVER,))
VIEW_AGE: Final = Metric(
    "covey_view_age_seconds", Kind.GAUGE, "The age of a view's rows, in seconds.",
    (Role.SERVER,), (_VIEW, _VERSION, Label("since", Choice(("pane_end", "released_at")))),
)  # fmt: skip
RELEASE_SITES: Final = Metric(
    "covey_release_sites", Kind.GAUGE,
    "The sites of the roster that are counted in a view's newest pane, and those that are missing.",
    (Role.SERVER,), (_VIEW, _VERSION, Label("state", Choice(("counted", "missing")))),
)  # fmt: skip


# of the feature server, for each model that it serves
MODEL_OUTCOMES: Final = ("ok", "refused", "busy", "late", "not_ready", "failed", "gone")
MODEL_STAGES: Final = ("queue", "fetch", "transform", "infer")
FEATURE_STATES: Final = ("used", "null", "stale")
BATCH_ROWS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1_024.0)
"""The buckets of batches, rows."""
_OF_MODEL: Final = (
    Label("model", Names("models", 200)),
    Label("version", Names("versions of models", 1_000)),
)
MODEL_READY: Final = Metric(
    "covey_model_ready", Kind.GAUGE, "1 if a version of a model answers; 0 if it cannot be loaded, or has failed.",
    (Role.SERVER,), _OF_MODEL,
)  # fmt: skip
MODEL_QUEUE_ROWS: Final = Metric(
    "covey_model_queue_rows", Kind.GAUGE, "Rows that wait for a batch.", (Role.SERVER,), _OF_MODEL
)
MODEL_BATCH_ROWS: Final = Metric(
    "covey_model_batch_rows", Kind.HISTOGRAM, "Rows of a batch.", (Role.SERVER,), _OF_MODEL, BATCH_ROWS
)
MODEL_SECONDS: Final = Metric(
    "covey_model_seconds", Kind.HISTOGRAM,
    "Seconds. queue: a request waits for its batch. fetch: a batch reads stored features. transform: it computes "
    "on-demand features and draws noise for intervals. infer: it runs the model.",
    (Role.SERVER,), (*_OF_MODEL, Label("stage", Choice(MODEL_STAGES))), LATENCIES,
)  # fmt: skip
MODEL_REQUESTS: Final = Metric(
    "covey_model_requests_total", Kind.COUNTER, "Requests by outcome; gone: the client went away.",
    (Role.SERVER,), (*_OF_MODEL, Label("outcome", Choice(MODEL_OUTCOMES))),
)  # fmt: skip
MODEL_FEATURES: Final = Metric(
    "covey_model_features_total", Kind.COUNTER, "Features that predictions used: all, those without a value, and stale ones.",
    (Role.SERVER,), (*_OF_MODEL, Label("state", Choice(FEATURE_STATES))),
)  # fmt: skip
MODEL_PSI: Final = Metric(
    "covey_model_output_psi", Kind.GAUGE,
    "Population stability index of the outputs against those of the test rows; above 0.25 they differ much.",
    (Role.SERVER,), _OF_MODEL,
)  # fmt: skip

METRICS: Final = (
    BUILD, STARTED, MEMORY, READY, DISK_FREE, DISK_SIZE, CERTIFICATE,
    REPORTS, BATCHES, REFUSALS, JOBS_PENDING, PLANS, COLLECTIONS, STEP, CALL, CALL_SECONDS, PEER_UP, LEDGER_ENTRIES, BUDGET_LEFT,
    PANES, SITES, NEXT_COLLECTION, LAST_OPENED, CLOCK_OFFSET, DRIFT, DRIFT_SERIES, NODES, ANSWERS, ANSWER_SECONDS,
    SOURCE_CONNECTED, SOURCE_BEHIND, SOURCE_EVENTS, SOURCE_LOG_SIZE, SOURCE_LOG_FULL, LATE_EVENTS,
    REQUESTS, REQUEST_SECONDS, ROWS, EPOCH, VIEW_AGE, RELEASE_SITES,
    MODEL_READY, MODEL_QUEUE_ROWS, MODEL_BATCH_ROWS, MODEL_SECONDS, MODEL_REQUESTS, MODEL_FEATURES, MODEL_PSI,
)  # fmt: skip
"""All metrics."""


class LabelBounds:
    """Keeps labels within their sets. It remembers the names that it has passed; its user holds a lock."""

    def __init__(self) -> None:
        self._names: dict[tuple[Metric, Label], set[str]] = {}

    def within(self, metric: Metric, values: tuple[str, ...]) -> tuple[str, ...]:
        """The values, with `other` for each name that is one too many. Raises ValueError: the metric has no such labels."""
        if len(values) != len(metric.labels):
            raise ValueError(f"{metric.name} has {len(metric.labels)} labels, not {len(values)}")
        return tuple(self._value(metric, label, value) for label, value in zip(metric.labels, values, strict=True))

    def _value(self, metric: Metric, label: Label, value: str) -> str:
        match label.values:
            case Choice(values):
                if value not in values:
                    raise ValueError(f"label {label.name} has no value {value!r}")
                return value
            case Names(most=most):
                known = self._names.setdefault((metric, label), set())
                if value not in known and value != OTHER:
                    if len(known) >= most:
                        return OTHER
                    known.add(value)
                return value
            case other:
                assert_never(other)


class Meters:
    """The counters and histograms of one process. Threads may share it; a count takes a few µs."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._values: dict[Key, float] = {}
        self._distributions: dict[Key, list[float]] = {}  # the buckets, then the sum
        self._bounds = LabelBounds()

    def add(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Count. Raises ValueError: the metric has no such labels."""
        with self._lock:
            key = metric, self._bounds.within(metric, labels)
            self._values[key] = self._values.get(key, 0.0) + by

    def set(self, metric: Metric, *labels: str, to: float) -> None:
        """Set a gauge. Raises ValueError: the metric has no such labels."""
        with self._lock:
            self._values[metric, self._bounds.within(metric, labels)] = to

    def observe(self, metric: Metric, *labels: str, seconds: float) -> None:
        """Add an observation to a histogram. Raises ValueError: the metric has no such labels."""
        with self._lock:
            cells = self._distributions.setdefault(
                (metric, self._bounds.within(metric, labels)), [0.0] * (len(metric.buckets) + 2)
            )
            cells[bisect_left(metric.buckets, seconds)] += 1
            cells[-1] += seconds

    @contextmanager
    def timed(self, metric: Metric, *labels: str) -> Iterator[None]:
        """Observe the seconds of a block that ends without an exception."""
        start = time.perf_counter()
        yield
        self.observe(metric, *labels, seconds=time.perf_counter() - start)

    def samples(self) -> list[Sample]:
        """All values as they are now."""
        with self._lock:
            plain = [Sample(metric, labels, value) for (metric, labels), value in self._values.items()]
            return plain + [
                Sample(metric, labels, Distribution(tuple(cells[:-1]), cells[-1]))
                for (metric, labels), cells in self._distributions.items()
            ]


def gauges(metric: Metric, values: Iterable[tuple[str, float]]) -> list[Sample]:
    """The samples of a gauge with one label."""
    return [Sample(metric, (label,), value) for label, value in values]
