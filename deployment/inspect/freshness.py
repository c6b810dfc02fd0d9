"""How fresh the values of a view are: whether the next pane is due, and whether reads still give the newest row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from featurestore.define.values import served_features
from featurestore.registry.pane_span import PaneSpan
from featurestore.store import Store

from .view_versions import due_after

Freshness = Literal["fresh", "late", "expired", "replayed", "empty"]
"""`fresh`: the next pane is not due yet; `late`: it is; `expired`: the newest row is older than the ttl; `replayed`: all panes were
collected over past events; `empty`: there is no pane yet."""


@dataclass(frozen=True)
class ViewFreshness:
    """The panes that a view serves, and how fresh they are.

    Attributes:
        newest_end: the end of the newest pane, µs; None: there is no pane.
        due_at: when the next pane is due, µs; None: there is none yet, or a version is pinned.
    """

    panes: PaneSpan
    newest_end: int | None
    due_at: int | None
    state: Freshness


def freshness_of(store: Store, name: str, now: int) -> ViewFreshness:
    """The freshness of `view`, or of `view@v<n>`, at a moment (µs). Raises UnknownView, UnknownVersion."""
    view, panes = store.view(name), store.panes.span(name)
    base, pinned, _ = name.partition("@")
    end = None if panes.last is None else panes.last + view.pane_us
    due_at = None if pinned else _due_at(store, base)
    if end is None:
        state: Freshness = "empty"
    elif view.ttl_us is not None and now - end > view.ttl_us:
        state = "expired"
    elif not any(counts["live"] for counts in store.clocks([f"{name}:{served_features(view)[0].name}"]).values()):
        state = "replayed"
    else:
        state = "late" if due_at is not None and now > due_at else "fresh"
    return ViewFreshness(panes, end, due_at, state)


def _due_at(store: Store, view: str) -> int | None:
    """When the pane after the newest one of any version is due, as the newest version defines it."""
    versions = store.version_names(view)
    last = [panes.last for panes in map(store.panes.span, versions) if panes.last is not None]
    return due_after(store.view(versions[-1]), max(last)) if last else None
