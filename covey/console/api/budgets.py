"""Budgets: what ledgers were charged, what is left, and what collections would cost."""

from __future__ import annotations

from fastapi import APIRouter

from covey.console.console import Console


def router(_console: Console) -> APIRouter:
    """The routes of this place."""
    return APIRouter(prefix="/budgets", tags=["budgets"])
