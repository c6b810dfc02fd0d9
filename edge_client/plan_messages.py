"""A plan, and a site's answer to it, as the records of one Flower message: what a simulated site and a real one share.

The message holds the signed plan (and under `he` its encryption keys); the answer holds a code and, if it is OK, the
sealed batches. Whatever goes wrong is a code: an exception would travel to the server with its traceback.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from crypto.errors import CryptoError
from crypto.signing import VerifyKey
from federation.errors import FederationError
from federation.protocol import Protect, protect
from federation.refusal_codes import RefusalCode
from federation.signed_bytes import signed_bytes
from federation.signed_plan import DOMAIN as PLAN_DOMAIN

from .answering import answer_plan
from .policy import Refuse
from .site_config import SiteConfig

OK: Final = "OK"

_log = logging.getLogger("covey.site")

Protecting = Callable[[str], Protect]
"""(site id) → what that site does with the reports of one answer before they are sealed."""


def honestly(_site: str) -> Protect:
    """As the plan says."""
    return protect


@dataclass(frozen=True)
class PlanAnswer:
    """A site's answer to a message.

    Attributes:
        site: empty where the site could not read its own configuration.
        plan_hash: of a plan that the pinned coordinator signed; None of anything else.
        batches: sealed; none unless the code is OK.
    """

    code: str
    site: str = ""
    plan_hash: bytes | None = None
    batches: tuple[bytes, ...] = ()

    def to_records(self) -> RecordDict:
        """What the coordinator reads: a record with the code, and one with the batches in order of name."""
        arrays = {f"{i:06d}": Array(np.frombuffer(batch, np.uint8)) for i, batch in enumerate(self.batches)}
        return RecordDict(
            {"answer": ConfigRecord({"code": self.code, "site": self.site}), "batches": ArrayRecord(arrays)}
        )


def answer_message(
    content: RecordDict | None, configuration: Callable[[], SiteConfig], protecting: Protecting = honestly
) -> PlanAnswer:
    """Answer what a message holds; never raises.

    Args:
        content: None: a message that could not be read.
        configuration: reads the site's files, anew for each message.
    """
    site = ""
    try:
        config = configuration()
        site = config.settings.site
        plan = None if content is None else _plan_in(content)
        if plan is None:
            return PlanAnswer(RefusalCode.NOT_A_PLAN, site)
        result = answer_plan(*plan, config, protecting(site))
        plan_hash = _hash_of(plan[0], config.settings.policy.coordinator)
        if isinstance(result, Refuse):
            return PlanAnswer(result.code, site, plan_hash)
        return PlanAnswer(OK, site, plan_hash, tuple(result))
    except Exception:  # noqa: BLE001 - nothing may travel to the server but a code; the site's own log has the rest
        _log.exception("the site could not answer")
        return PlanAnswer(RefusalCode.SITE_FAILED, site)


def _plan_in(content: RecordDict) -> tuple[bytes, bytes] | None:
    """The signed plan and its encryption keys; None where there is no plan."""
    record = content.get("plan")
    if not isinstance(record, ConfigRecord):
        return None
    signed, keys = record.get("signed"), record.get("encryption_keys", b"")
    return (signed, keys) if isinstance(signed, bytes) and isinstance(keys, bytes) else None


def _hash_of(signed_plan: bytes, coordinator: VerifyKey) -> bytes | None:
    try:
        return hashlib.sha256(signed_bytes(signed_plan, PLAN_DOMAIN, coordinator)).digest()
    except (FederationError, CryptoError):
        return None
