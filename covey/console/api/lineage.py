"""Lineage: from a source over views, plans and releases to services and models."""

from __future__ import annotations

from fastapi import APIRouter

from covey.console.console import Console


def router(_console: Console) -> APIRouter:
    """The routes of this place."""
    return APIRouter(prefix="/lineage", tags=["lineage"])
