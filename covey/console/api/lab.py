"""Lab: the runs of the laboratory."""

from __future__ import annotations

from fastapi import APIRouter

from covey.console.console import Console


def router(_console: Console) -> APIRouter:
    """The routes of this place."""
    return APIRouter(prefix="/lab", tags=["lab"])
