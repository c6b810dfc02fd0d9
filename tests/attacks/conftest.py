from __future__ import annotations

from tests.covey.conftest import covey

__all__ = ["covey"]
