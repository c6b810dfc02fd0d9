"""Plans, drafts and answers as records of a Flower message. Simulated and real sites share this module.

A message with a draft asks what the site would answer to its plan (preflight.py); the answer has a code and no batch.

A message holds the signed plan, and under `he` its encryption keys. The answer holds a code and, if the code is OK, the
sealed batches. Flower transfers each record, array and piece of an array by a call of its own. So small batches are in the
record of the code, and only large ones are arrays, which Flower sends in pieces. Every failure becomes a code, because an exception
would travel to the server with its traceback.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from base.errors import CoveyError
from base.fields import Fields
from base.times import wall_clock
from base.trace_parent import TraceParent
from base.traces import span
from crypto.errors import CryptoError
from federation.errors import FederationError
from federation.former_keys import PinnedKey
from federation.refusal_codes import RefusalCode
from federation.sharding import Protect, protect
from federation.signed_bytes import signed_bytes
from federation.signed_plan import DOMAIN as PLAN_DOMAIN

from .answering import answer_plan
from .open_ledgers import EACH_TIME, Ledgers
from .policy import Refuse
from .preflight import check_draft
from .site_config import SiteConfig
from .sources.open import EACH_TIME as OPENED_EACH_TIME
from .sources.open import Sources
from .trace_record import sender_in, with_context

OK: Final = "OK"
SMALL_BYTES: Final = 2**20
"""Most bytes of batches that are in one record with the code."""

_log = logging.getLogger("covey.site")

Protecting = Callable[[str], Protect]
"""(site id) → the function that makes shares of this site's reports before they are sealed."""


def honestly(_site: str) -> Protect:
    """Protect reports as the plan demands."""
    return protect


@dataclass(frozen=True)
class PlanAnswer:
    """A site's answer to a message.

    Attributes:
        site: the site's id; empty if the site could not read its own configuration.
        plan_hash: the hash of a plan that the pinned coordinator signed, otherwise None.
        batches: the sealed batches; empty unless the code is OK.
        of_draft: whether it answers a draft: the code says what the site would answer to the plan.
        sender: the site's span of the answer. The coordinator's spans of the batches follow it.
    """

    code: str
    site: str = ""
    plan_hash: bytes | None = None
    batches: tuple[bytes, ...] = ()
    of_draft: bool = False
    sender: TraceParent | None = None

    def to_records(self) -> RecordDict:
        """The records that the coordinator reads: the code with small batches, or beside large ones in order of name."""
        if sum(map(len, self.batches)) <= SMALL_BYTES:
            answer = ConfigRecord({"code": self.code, "site": self.site, "batches": list(self.batches)})
            return with_context(RecordDict({"answer": answer}), self.sender)
        arrays = {f"{i:06d}": Array(np.frombuffer(batch, np.uint8)) for i, batch in enumerate(self.batches)}
        records = {"answer": ConfigRecord({"code": self.code, "site": self.site}), "batches": ArrayRecord(arrays)}
        return with_context(RecordDict(records), self.sender)


def answer_message(
    content: RecordDict | None,
    configuration: Callable[[], SiteConfig],
    protecting: Protecting = honestly,
    name: str = "",
    ledgers: Ledgers = EACH_TIME,
    sources: Sources = OPENED_EACH_TIME,
) -> PlanAnswer:
    """Answer the content of a message. Never raises.

    Args:
        content: the records of the message; None if it could not be read.
        configuration: reads the site's files; called for each message, so edits are taken up without a restart.
        name: the site's id, where it is known before its files are read.
        ledgers, sources: how the site's ledger and its source are opened.
    """
    sender = None if content is None else sender_in(content)
    with span("answer", Fields(site=name or None), sender=sender) as answered:
        answer = _answer(content, configuration, protecting, name, ledgers, sources)
        answered.code(answer.code)
        return replace(answer, sender=answered.here)


def _answer(
    content: RecordDict | None,
    configuration: Callable[[], SiteConfig],
    protecting: Protecting,
    name: str,
    ledgers: Ledgers,
    sources: Sources,
) -> PlanAnswer:
    site = name
    try:
        try:
            config = configuration()
        except CoveyError as error:
            _log.error("%s. Until it is mended, the site answers every plan with SITE_FAILED", error)
            return PlanAnswer(RefusalCode.SITE_FAILED, site)
        site = config.settings.site
        if content is not None and (draft := _draft_in(content)) is not None:
            refused = check_draft(draft, config, wall_clock, ledgers, sources)
            return PlanAnswer(OK if refused is None else refused.code, site, of_draft=True)
        plan = None if content is None else _plan_in(content)
        if plan is None:
            return PlanAnswer(RefusalCode.NOT_A_PLAN, site)
        result = answer_plan(*plan, config, protecting(site), ledgers, sources)
        plan_hash = _hash_of(plan[0], config.settings.policy.coordinator_keys)
        if isinstance(result, Refuse):
            return PlanAnswer(result.code, site, plan_hash)
        return PlanAnswer(OK, site, plan_hash, tuple(result))
    except Exception:  # noqa: BLE001 - only a code may travel to the server; the site's own log has the rest
        _log.exception("the site failed while it answered; the answer is SITE_FAILED")
        return PlanAnswer(RefusalCode.SITE_FAILED, site)


def _plan_in(content: RecordDict) -> tuple[bytes, bytes] | None:
    """The signed plan and its encryption keys; None if the records hold no plan."""
    record = content.get("plan")
    if not isinstance(record, ConfigRecord):
        return None
    signed, keys = record.get("signed"), record.get("encryption_keys", b"")
    return (signed, keys) if isinstance(signed, bytes) and isinstance(keys, bytes) else None


def _draft_in(content: RecordDict) -> bytes | None:
    """A signed draft; None if the records hold none."""
    record = content.get("draft")
    signed = record.get("signed") if isinstance(record, ConfigRecord) else None
    return signed if isinstance(signed, bytes) else None


def _hash_of(signed_plan: bytes, coordinator: PinnedKey) -> bytes | None:
    try:
        return hashlib.sha256(coordinator.signed(lambda key: signed_bytes(signed_plan, PLAN_DOMAIN, key))).digest()
    except (FederationError, CryptoError):
        return None
