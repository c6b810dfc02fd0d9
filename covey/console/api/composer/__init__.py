"""Composer: views.py as a graph, its privacy label, and runs."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute

from covey.console.console import Console
from covey.console.run_registry import RunRegistry
from covey.console.text_pool import TextSettings, text_route

from . import condition, explanation, file, offers, prices, runs, texts


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
    made.include_router(text_router(console.text_settings, text_route(console.texts)))
    runs.add_routes(made, console, started)
    return made


def text_router(settings: TextSettings, route: type[APIRoute] = APIRoute) -> APIRouter:
    """The routes that look at a text. Another process may answer them."""
    made = APIRouter(route_class=route)
    texts.add_routes(made, settings)
    explanation.add_routes(made, settings)
    prices.add_routes(made, settings)
    return made
