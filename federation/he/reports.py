"""The client's side of homomorphic encryption: one message of ciphertexts for each report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from crypto.bfv import PublicKey
from crypto.bfv_parameters import Slots
from federation.batch.reports import Half, Randomness, ReportIds, Reports
from federation.errors import ReportRefused
from federation.plan import Plan
from federation.sharding import ids_of
from federation.terms import Encrypted

from .view import encode_report

Encrypt = Callable[[PublicKey, Slots], Sequence[bytes]]
"""(key, int64[R, slots]) → R messages."""


@dataclass(frozen=True, eq=False)
class EncryptedReports(Half):
    """A batch of encrypted reports, for the leader: the ids of the reports, and their ciphertexts.

    Attributes:
        messages: the ciphertexts of each report, as `crypto.bfv` writes them. Only the key holder could open one, and it
            never receives one.
    """

    messages: tuple[bytes, ...] = field(repr=False)

    def in_parts(self, size: int) -> Iterator[EncryptedReports]:
        """The same reports, at most `size` at a time."""
        for at in range(0, len(self.messages), size):
            part = slice(at, at + size)
            yield EncryptedReports(self.view, self.collection[part], self.report_ids[part], self.messages[part])


def encrypt_one_by_one(key: PublicKey, values: Slots) -> list[bytes]:
    """`Encrypt` in this process."""
    return [key.encrypt(row).to_bytes() for row in values]


def encrypt_reports(
    plan: Plan,
    keys: Sequence[PublicKey],
    reports: Reports,
    randomness: Randomness,
    *,
    report_ids: ReportIds | None = None,
    encrypt: Encrypt = encrypt_one_by_one,
) -> EncryptedReports:
    """Run by the site: encrypt every report under the key of its view.

    Args:
        keys: the key of each view of the plan.
        randomness: for the report ids; encryption draws its own (see `crypto.bfv_seal`).
        report_ids: uint8[R, 16], the ids of an earlier attempt, which a retry keeps. None: fresh ids.

    Raises:
        ReportRefused: a plan with another protection, keys of another view, or a vector of another length.
        ValueOutOfRange: a vector that no client of the view can have. Then nothing is encrypted.
    """
    require_keys(plan, keys)
    ids = ids_of(plan, reports, randomness, report_ids)
    values = encode_report(plan.views[reports.view].layout, reports.slots)
    return EncryptedReports(reports.view, reports.collection, ids, tuple(encrypt(keys[reports.view], values)))


def require_keys(plan: Plan, keys: Sequence[PublicKey]) -> None:
    """Return if these are keys for the views of a plan under `he`. Raises ReportRefused."""
    if not isinstance(plan.terms, Encrypted):
        raise ReportRefused(f"the plan says protection {plan.terms.protection.value!r}: its reports are not encrypted")
    if [key.parameters for key in keys] != [plan.he_parameters(view) for view in plan.views]:
        raise ReportRefused("the encryption keys do not have the parameters that follow from the plan")
