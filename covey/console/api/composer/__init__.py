"""Composer: views.py as a graph, its privacy label, and runs."""

from __future__ import annotations

from fastapi import APIRouter

from covey.console.console import Console
from covey.console.run_registry import RunRegistry

from . import condition, explanation, file, offers, runs


def router(console: Console, registry: RunRegistry | None = None) -> APIRouter:
    """The routes of this place.

    Args:
        registry: the runs; None: an empty one.
    """
    made = APIRouter(prefix="/composer", tags=["composer"])
    started = registry or RunRegistry(console.clock, console.randomness)
    file.add_routes(made, console)
    offers.add_routes(made, console)
    condition.add_routes(made)
    explanation.add_routes(made, console)
    runs.add_routes(made, console, started)
    return made
