"""Releases: what was opened, with noise, price, trust and signatures."""

from __future__ import annotations

from fastapi import APIRouter

from covey.console.console import Console


def router(_console: Console) -> APIRouter:
    """The routes of this place."""
    return APIRouter(prefix="/releases", tags=["releases"])
