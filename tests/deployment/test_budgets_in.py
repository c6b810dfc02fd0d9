"""The budgets that collections into a directory must keep to."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment.inspect import budgets_in as room
from deployment.inspect.budgets_in import budgets_in
from deployment.project.project import DEFAULT_BUDGET
from federation.ledger.operator import LEDGERS, OPERATOR


def test_a_directory_without_a_ledger_has_the_default_budget_of_the_operator(tmp_path: Path) -> None:
    assert budgets_in(tmp_path) == [(OPERATOR, DEFAULT_BUDGET)]


def test_a_broken_ledger_without_a_budget_in_a_file_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LEDGERS).mkdir()
    (tmp_path / LEDGERS / "site-1.db").write_bytes(b"no ledger")
    monkeypatch.setattr(room, "budgets_of", lambda _: {OPERATOR: DEFAULT_BUDGET, "site-1": None})
    assert budgets_in(tmp_path) == [(OPERATOR, DEFAULT_BUDGET)]
