"""Which checks a release or void does not need."""

from __future__ import annotations

import pytest

from deployment.inspect.verification import CHECKS, Pinned, skipped_checks
from featurestore.define.release import BUDGET_SPENT


@pytest.mark.parametrize(
    ("void_reason", "skipped"),
    [
        (None, {"parties"}),
        ("BATCH_TOO_SMALL", {"parties", "values"}),
        (BUDGET_SPENT, {"parties", "commitments", "statement", "agreement", "sites", "outcome", "values"}),
    ],
)
def test_a_void_needs_no_values_and_one_by_decision_no_statements(void_reason: str | None, skipped: set[str]) -> None:
    assert skipped_checks(Pinned(), void_reason) == skipped <= {*CHECKS}
