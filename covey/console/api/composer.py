"""Composer: views.py as a graph, its privacy label, and runs."""

from __future__ import annotations

from fastapi import APIRouter

from covey.console.console import Console


def router(_console: Console) -> APIRouter:
    """The routes of this place."""
    return APIRouter(prefix="/composer", tags=["composer"])
