"""Models: their versions, metrics and shares of the requests."""

from __future__ import annotations

from fastapi import APIRouter

from covey.console.console import Console


def router(_console: Console) -> APIRouter:
    """The routes of this place."""
    return APIRouter(prefix="/models", tags=["models"])
