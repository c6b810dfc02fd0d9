"""The places of the console: the routes of its API."""

from __future__ import annotations

from fastapi import APIRouter

from .api import budgets, composer, features, fleet, lab, lineage, models, releases
from .console import Console


def routers_of(console: Console) -> tuple[APIRouter, ...]:
    """The routes of every place."""
    places = (composer, features, budgets, releases, lineage, fleet, lab, models)
    return tuple(place.router(console) for place in places)
