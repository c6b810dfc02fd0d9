"""Releases: what was opened, with noise, price, trust and signatures."""

from .routes import router

__all__ = ["router"]
