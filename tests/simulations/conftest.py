from __future__ import annotations

import pytest

from tests.covey.conftest import covey, project, run_arguments

__all__ = ["covey", "project", "run_arguments", "without_pictures"]


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without their pictures. To draw them takes most of the time of a small run; `reports/` tests them."""
    from simulations.reports import page

    monkeypatch.setattr(page, "svg", lambda _panel, name: f"<svg id={name}></svg>")
