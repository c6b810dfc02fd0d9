from __future__ import annotations

import pytest

FAST, FULL = 100_000, 500_000


@pytest.fixture(scope="session")
def draws(request: pytest.FixtureRequest) -> int:
    """Draws of each world. Half of them choose the attacker's thresholds, half are held out."""
    return FULL if request.config.getoption("--full") else FAST
