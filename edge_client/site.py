"""A site answers a plan: it decides, charges its ledger, computes the reports, records them and seals them.

    signed plan ─decide─► Refuse(code)
                    └──► intend ─► compute ─► record ─► shard, seal, sign ─► batches, at least one

A refusal is an answer: a code that depends on no event. The site never stays silent and sends no exception. Report ids are
stored before anything is sent. A retry keeps the id of each (collection, reporter) and draws fresh share randomness, so a
report counts once however often it is sent. A reported pane is closed: a retry reports no later event of a client. A site
without a report sends one empty batch, so it is counted like any other site.

Under `report_per="site"` the reports of a collection share one id. The site still computes them client by client. It sums them
as the last step before it protects them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import numpy as np
import numpy.typing as npt

from base.fields import Fields
from base.times import utc_text
from base.traces import span
from crypto.bfv import PublicKey
from crypto.sharing import SparseRows
from crypto.signing import SigningKey
from featurestore.errors import FeatureStoreError
from federation.batch.batch import BATCH_ID_BYTES, Heads, SealedBatch
from federation.batch.empty import seal_empty
from federation.batch.he_batch import seal_encrypted
from federation.batch.reports import REPORT_ID_BYTES, Randomness, Reports, declared
from federation.batch.sealing import max_reports, seal_batch
from federation.errors import EncryptionKeysInvalid, LedgerBroken, LedgerRefusal
from federation.he.keys import verify_keys
from federation.he.reports import encrypt_reports
from federation.keys import RoleKeys
from federation.plan import Plan, PlannedView
from federation.refusal_codes import RefusalCode
from federation.sharding import Protect, protect
from federation.terms import Encrypted, Participation, ReportPer, Shares

from .client_names import client_names
from .compute import UsedCells, compute
from .day_cells import DayCells, cells_of
from .encrypting import cores, encrypting
from .errors import EdgeError, LogError, SourceAway
from .events import Events, check_schema
from .late_events import events_of_panes
from .ledger import ReportIds, SiteLedger
from .open_ledgers import EACH_TIME, Ledgers
from .participation import PaneReports, Seats, of_active_clients, of_every_client, of_sites, seats_for, seats_of
from .policy import Policy, Refuse, decide, refusal_of

ENCRYPTED_A_CORE = 8
"""Reports that one core encrypts at a time. A batch of large reports alone holds too few to keep all cores busy."""

_log = logging.getLogger("covey.site")


@dataclass(frozen=True)
class SiteSettings:
    """The settings of a site's operator.

    Attributes:
        site: this site's id on the aggregators' rosters.
        clients: number of enrolled clients, as on the rosters. Under participation `all` this many clients report.
        ledger: path of the site's ledger; the site creates it if it does not exist.
    """

    site: str
    keys: RoleKeys = field(repr=False)
    clients: int
    policy: Policy
    ledger: Path

    def sign_key(self, plan: Plan) -> SigningKey:
        """The site's signing key for its batches of a plan."""
        return self.keys.at(plan.deadline_us).sign


def respond(
    signed_plan: bytes,
    settings: SiteSettings,
    load: Callable[[Sequence[PlannedView]], Events],
    clock: Callable[[], int],
    randomness: Randomness,
    protect: Protect = protect,
    encryption_keys: bytes = b"",
    ledgers: Ledgers = EACH_TIME,
) -> Iterator[SealedBatch] | Refuse:
    """Answer any bytes that claim to be a plan: with batches or with a refusal.

    Args:
        encryption_keys: under `he`, the key holder's signed public keys, which arrive with the plan.
        load: reads the site's events in these panes, and may read more; see `Events.counted`. Raises SourceAway or LogError if
            they cannot be read now, another EdgeError or FeatureStoreError if they do not fit.
        clock: wall clock, µs since the epoch.
        protect: makes shares of the reports before they are sealed.
        ledgers: how the site's ledger is opened.
    """
    try:
        with ledgers.writing(settings.ledger, settings.site, clock) as ledger:
            with span("policy"):
                decision = decide(signed_plan, settings.policy, ledger.state, clock(), clients=settings.clients)
            if isinstance(decision, Refuse):
                ledger.refuse(decision)
                return decision
            plan = decision.plan
            try:
                keys = verify_keys(encryption_keys, plan) if isinstance(plan.terms, Encrypted) else ()
            except EncryptionKeysInvalid:
                _log.exception(
                    "the encryption keys do not fit the plan; the site refuses it with ENCRYPTION_KEYS_INVALID"
                )
                refusal = Refuse(RefusalCode.ENCRYPTION_KEYS_INVALID, plan.hash)
                ledger.refuse(refusal)
                return refusal
            try:
                with span("events", Fields(plan=plan.hash)):
                    events = load(plan.views)
                    for planned in plan.views:
                        check_schema(planned.view, events)
                return answer(plan, events, settings, ledger, randomness, protect, keys)
            except (SourceAway, LogError) as error:
                _log.error("%s. The site refuses the plan with SOURCE_AWAY, and charges nothing for it", error)
                refusal = Refuse(RefusalCode.SOURCE_AWAY, plan.hash)
                ledger.refuse(refusal)
                return refusal
            except (EdgeError, FeatureStoreError):
                _log.exception("the events do not fit the plan; the site refuses it with SCHEMA")
                refusal = Refuse(RefusalCode.SCHEMA, plan.hash)
                ledger.refuse(refusal)
                return refusal
            except LedgerRefusal as error:  # another process charged first; the ledger has recorded the refusal
                return refusal_of(plan, error)
    except LedgerBroken:
        _log.exception("the ledger cannot be used; the site refuses every plan with LEDGER_BROKEN")
        return Refuse(RefusalCode.LEDGER_BROKEN)


def answer(
    plan: Plan,
    events: Events,
    settings: SiteSettings,
    ledger: SiteLedger,
    randomness: Randomness,
    protect: Protect = protect,
    keys: Sequence[PublicKey] = (),
) -> Iterator[SealedBatch]:
    """Make the sealed reports of an accepted plan, or one empty batch. When this returns, charge, ids and used cells are on disk.

    Args:
        keys: under `he`, the public key of each view.

    Raises:
        LedgerRefusal: meanwhile the ledger was charged for other plans. LedgerBroken: the ledger was edited. LedgerWriteFailed:
            its head file could not be written. EdgeError: the events do not fit a view; the charge stands, and the site may
            answer the same plan again.
    """
    with span("ledger", Fields(plan=plan.hash)):
        ledger.intend(plan, settings.policy.budget)
    clients = client_names(events.identities)
    for late in ledger.note_late(plan, events):
        _log.warning(
            "view %s: %d event(s) came after their pane was reported, in %d pane(s) from %s on: they are not counted",
            *(late.view, late.events, late.panes, utc_text(late.first)),
        )
    seen = [events_of_panes(planned.view, events, planned.pane_starts) for planned in plan.views]
    while True:
        basis = ledger.basis(plan)
        before = ledger.recorded(plan) if basis.repeated else None
        made = []
        for view in range(len(plan.views)):
            used = ledger.used(plan, view, basis, clients)
            seats = _seats(plan, settings, clients, None if before is None else before[view])
            frozen = ledger.earlier_reporters(plan, view) if plan.earlier else {}
            with span("compute", Fields(plan=plan.hash, view=plan.views[view].view.name)):
                made.append(_compute(plan, view, events, clients, used, seats, frozen))
        if before is not None:
            sent = [_as_before(one, ids) for one, ids in zip(made, before, strict=True)]
            break
        fresh = [one.with_ids(randomness, of_site=plan.terms.report_per is ReportPer.SITE) for one in made]
        with span("ledger", Fields(plan=plan.hash)):
            is_recorded = ledger.record(plan, basis, fresh, [day for one in made for day in one.cells], seen)
        if is_recorded:
            sent = [_Sent(one.collection, one.slots, ids.ids) for one, ids in zip(made, fresh, strict=True)]
            break
    if plan.terms.report_per is ReportPer.SITE:
        sent = [_summed(one) for one in sent]
    elif plan.earlier:
        sent = [_shuffled(one, randomness) for one in sent]
    heads = ledger.heads(plan)
    match plan.terms:
        case Encrypted():
            batches = _encrypted(plan, sent, settings, randomness, keys, heads)
        case Shares():
            batches = _sealed(plan, sent, settings, randomness, protect, heads)
        case other:
            assert_never(other)
    if any(len(one.collection) for one in sent):
        return batches
    return iter([seal_empty(plan, settings.site, randomness(BATCH_ID_BYTES), settings.sign_key(plan), heads)])


@dataclass(frozen=True, eq=False)
class _ViewAnswer:
    """The reports of one view, and the cells that they use on days that other answers share. Secret.

    Attributes:
        names: the stable names of the reporters.
        collection: uint32[R], collection index.
        reporter: uint32[R], index into `names`.
        slots: the R report vectors.
        width: number of slots of one join key.
    """

    names: Sequence[bytes]
    collection: npt.NDArray[np.uint32]
    reporter: npt.NDArray[np.uint32]
    slots: SparseRows
    width: int
    cells: tuple[DayCells, ...]

    def __repr__(self) -> str:
        return f"_ViewAnswer({len(self.collection)} reports: redacted)"

    def with_ids(self, randomness: Randomness, *, of_site: bool) -> ReportIds:
        """Draw fresh report ids. `of_site`: the reports of a collection share one id, because the site sends their sum."""
        count = len(self.collection)
        named, row = np.unique(self.collection, return_inverse=True) if of_site else (self.collection, np.arange(count))
        ids = np.frombuffer(randomness(len(named) * REPORT_ID_BYTES), np.uint8).reshape(-1, REPORT_ID_BYTES)[row]
        report, cell = _cells_of_reports(self.slots, self.width)
        cells = np.zeros(count, np.uint32)
        np.maximum.at(cells, report, (cell + 1).astype(np.uint32))
        return ReportIds(self.names, self.collection, self.reporter, ids, cells)


@dataclass(frozen=True, eq=False)
class _Sent:
    """The reports of one view as they are sent: collection index, vector, id and number of clients of each. Secret."""

    collection: npt.NDArray[np.uint32]
    slots: SparseRows
    ids: npt.NDArray[np.uint8]
    clients: npt.NDArray[np.uint32] | None = None

    def __repr__(self) -> str:
        return f"_Sent({len(self.collection)} reports: redacted)"


def _seats(plan: Plan, settings: SiteSettings, clients: Sequence[bytes], before: ReportIds | None) -> Seats | None:
    """Assign clients to seats; None if active clients report for themselves.

    A retry keeps the seats: otherwise two clients would count under one id. A site's sum includes no more clients than are
    enrolled, also under `active`, because a site must not declare more.
    """
    if plan.terms.participation is Participation.ACTIVE and plan.terms.report_per is ReportPer.CLIENT:
        return None
    seats = seats_for(clients, settings.clients) if before is None else seats_of(clients, before.names)
    if seats.left_out and before is None:  # a repeated answer has no seat for a client whose first event came late
        _log.warning(
            "%d client(s) beyond the %d enrolled: their events are not reported. Raise `clients` in the site's file and rosters",
            seats.left_out,
            settings.clients,
        )
    return seats


def _compute(
    plan: Plan,
    view: int,
    events: Events,
    clients: Sequence[bytes],
    used: UsedCells,
    seats: Seats | None,
    earlier: Mapping[int, frozenset[bytes]],
) -> _ViewAnswer:
    """`earlier`: see `SiteLedger.earlier_reporters`."""
    planned = plan.views[view]
    panes = planned.pane_starts
    made = compute(planned.view, events, used, panes=panes)
    if seats is None or plan.terms.participation is Participation.ACTIVE:
        reports = _of_earlier_reporters(of_active_clients(panes, made), panes, clients, earlier)
        if seats is not None:
            seated = np.flatnonzero(seats.seat_of[reports.reporter] >= 0)
            reports = PaneReports(reports.pane[seated], reports.reporter[seated], reports.slots.take(seated))
        present, reporter = np.unique(reports.reporter, return_inverse=True)
        names: Sequence[bytes] = [clients[client] for client in present.tolist()]
    else:
        reports = of_every_client(panes, made, seats.seat_of, len(seats.names))
        reporter, names = reports.reporter, seats.names
    collection = (reports.pane + plan.offsets[view]).astype(np.uint32)
    cells = tuple(cells_of(planned, made, lambda: clients))
    width = planned.layout.slots_per_key
    return _ViewAnswer(names, collection, reporter.astype(np.uint32), reports.slots, width, cells)


def _of_earlier_reporters(
    reports: PaneReports,
    panes: npt.NDArray[np.int64],
    clients: Sequence[bytes],
    earlier: Mapping[int, frozenset[bytes]],
) -> PaneReports:
    """Without the reports of clients that did not report the same pane in each earlier attempt."""
    if not earlier:
        return reports
    kept = np.ones(len(reports.pane), np.bool_)
    ends = np.searchsorted(reports.pane, np.arange(len(panes) + 1))  # reports are in order of their panes
    for start, first, last in zip(panes.tolist(), ends, ends[1:], strict=False):
        if start in earlier:
            who = reports.reporter[first:last].tolist()
            kept[first:last] = [clients[client] in earlier[start] for client in who]
    rows = np.flatnonzero(kept)
    return PaneReports(reports.pane[rows], reports.reporter[rows], reports.slots.take(rows))


def _cells_of_reports(slots: SparseRows, width: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each value: the index of its report, and the number of its cell (0, 1, …, by join key) within the report."""
    report, key = np.repeat(np.arange(len(slots)), np.diff(slots.indptr)), slots.columns // width
    new = np.ones(len(key), np.int64)
    new[1:] = (report[1:] != report[:-1]) | (key[1:] != key[:-1])
    number = np.cumsum(new)
    return report, number - number[slots.indptr[report]]


def _limit_cells(slots: SparseRows, width: int, most: npt.NDArray[np.uint32]) -> SparseRows:
    """Keep at most `most[r]` cells of report r, those of the first join keys."""
    report, cell = _cells_of_reports(slots, width)
    kept = cell < most[report]
    indptr = np.concatenate(([0], np.cumsum(np.bincount(report[kept], minlength=len(slots)))))
    return SparseRows(indptr, slots.columns[kept], slots.values[kept], slots.length)


def _as_before(answer: _ViewAnswer, before: ReportIds) -> _Sent:
    """Limit a repeated answer to what the first one reported: the same ids, and no more cells. A reported pane is closed."""
    index = {name: number for number, name in enumerate(before.names)}
    who = np.array([index.get(name, -1) for name in answer.names], np.int64)[answer.reporter]
    mine = answer.collection.astype(np.int64) * (len(index) + 1) + who
    known = before.collection.astype(np.int64) * (len(index) + 1) + before.reporter
    order = np.argsort(known)
    at = np.searchsorted(known[order], mine)
    found = np.append(known[order], -1)[at] == mine
    rows = np.flatnonzero(found & (who >= 0))
    same = order[at[rows]]
    slots = _limit_cells(answer.slots.take(rows), answer.width, before.cells[same])
    return _Sent(answer.collection[rows], slots, before.ids[same])


def _summed(sent: _Sent) -> _Sent:
    """Sum the clients' reports of each collection, under the id that they share."""
    pane = sent.collection.astype(np.int64)
    made = of_sites(pane, np.zeros(len(pane), np.int64), sent.slots)
    return _Sent(sent.collection[made.first], made.slots, sent.ids[made.first], made.clients)


def _shuffled(sent: _Sent, randomness: Randomness) -> _Sent:
    """The reports in a random order, so that their order does not link them to those of an earlier attempt."""
    order = np.argsort(np.frombuffer(randomness(8 * len(sent.collection)), "<u8"), kind="stable")
    return _Sent(sent.collection[order], sent.slots.take(order), sent.ids[order])


def _sealed(
    plan: Plan, sent: Sequence[_Sent], settings: SiteSettings, randomness: Randomness, protect: Protect, heads: Heads
) -> Iterator[SealedBatch]:
    for view, one in enumerate(sent):
        for reports, ids in _parts(view, one, max_reports(plan, view)):
            with span("protect", Fields(plan=plan.hash)):
                leader, helper = protect(plan, reports, randomness, report_ids=ids)
                batch_id, key = randomness(BATCH_ID_BYTES), settings.sign_key(plan)
                batch = seal_batch(plan, settings.site, batch_id, leader, helper, key, heads)
            yield batch


def _encrypted(
    plan: Plan,
    sent: Sequence[_Sent],
    settings: SiteSettings,
    randomness: Randomness,
    keys: Sequence[PublicKey],
    heads: Heads,
) -> Iterator[SealedBatch]:
    for view, one in enumerate(sent):
        size = max_reports(plan, view)
        with encrypting(plan.he_parameters(plan.views[view]), len(one.collection)) as encrypt:
            for reports, ids in _parts(view, one, size * -(-ENCRYPTED_A_CORE * cores() // size)):
                with span("protect", Fields(plan=plan.hash)):
                    made = encrypt_reports(plan, keys, reports, randomness, report_ids=ids, encrypt=encrypt)
                for batch in made.in_parts(size):
                    batch_id, key = randomness(BATCH_ID_BYTES), settings.sign_key(plan)
                    yield seal_encrypted(plan, settings.site, batch_id, batch, key, heads)


def _parts(view: int, sent: _Sent, size: int) -> Iterator[tuple[Reports, npt.NDArray[np.uint8]]]:
    """The reports with their ids, `size` at a time."""
    for first in range(0, len(sent.collection), size):
        part = slice(first, first + size)
        clients = declared(sent.clients, part)
        yield Reports(view, sent.collection[part], sent.slots[part], clients), sent.ids[part]
