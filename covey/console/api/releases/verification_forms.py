"""What the API says about the verification of a release."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from covey.console.api.form import Form
from deployment.inspect.verification import CHECKS, Pinned, VerificationResult, skipped_checks
from featurestore.registry.release_pages import ListedPane


class ReleaseCheck(Form):
    """One check of a release, in the order in which they are made; the first failure ends them.

    `skipped`: no key is pinned, or a void does not have what is checked.
    """

    name: str
    what: str
    state: Literal["passed", "failed", "skipped", "not reached"]


class Verification(Form):
    """What the verification of a release found.

    Attributes:
        why: of a failure. keys: whose keys it was checked with. key: the id of the collector's key that signed it.
    """

    result: Literal["verified", "failed", "unsigned", "expired"]
    failed: str | None
    why: str
    keys: str
    key: str | None
    checks: list[ReleaseCheck]
    command: str

    @classmethod
    def of(cls, found: VerificationResult, pane: ListedPane, pinned: Pinned, command: str) -> Self:
        """The result for one release."""
        void_reason = None if pane.record.opened else pane.record.reason
        return cls(
            result=_result(found),
            failed=found.failed,
            why=found.why,
            keys=pinned.whose,
            key=None if found.key is None else found.key.hex(),
            checks=list(_checks(found, skipped_checks(pinned, void_reason))),
            command=command,
        )


def _result(found: VerificationResult) -> Literal["verified", "failed", "unsigned", "expired"]:
    if found.failed is not None:
        return "failed"
    return "expired" if found.expired else "unsigned" if found.unsigned else "verified"


def _checks(found: VerificationResult, skipped: frozenset[str]) -> Iterator[ReleaseCheck]:
    reached = not found.expired
    for name, what in CHECKS.items():
        if name == found.failed:
            yield ReleaseCheck(name=name, what=what, state="failed")
            reached = False
        elif reached:
            yield ReleaseCheck(name=name, what=what, state="skipped" if name in skipped else "passed")
        else:
            yield ReleaseCheck(name=name, what=what, state="not reached")
        if found.unsigned:
            reached = False  # only the stored sums can be checked
