"""Budgets: what ledgers were charged, what is left, and what collections would cost."""

from .routes import router

__all__ = ["router"]
