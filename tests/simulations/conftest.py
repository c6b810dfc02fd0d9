from __future__ import annotations

from tests.covey.conftest import covey, project, run_arguments

__all__ = ["covey", "project", "run_arguments"]
