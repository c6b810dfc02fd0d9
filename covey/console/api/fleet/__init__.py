"""Fleet: sites, services, collections under way, and drift."""

from .routes import router

__all__ = ["router"]
