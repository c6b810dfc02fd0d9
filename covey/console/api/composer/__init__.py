"""Composer: views.py as a graph, its privacy label, and runs."""

from __future__ import annotations

from fastapi import APIRouter

from covey.console.console import Console

from . import condition, file, offers


def router(console: Console) -> APIRouter:
    """The routes of this place."""
    made = APIRouter(prefix="/composer", tags=["composer"])
    file.add_routes(made, console)
    offers.add_routes(made, console)
    condition.add_routes(made)
    return made
