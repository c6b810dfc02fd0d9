"""Fleet: sites, services, collections under way, and drift."""

from __future__ import annotations

from fastapi import APIRouter

from covey.console.console import Console


def router(_console: Console) -> APIRouter:
    """The routes of this place."""
    return APIRouter(prefix="/fleet", tags=["fleet"])
