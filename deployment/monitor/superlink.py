"""The state of the SuperLink, as its monitor shows it, with the project's panes: no coordinator runs between collections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from base.metrics import NODES, Sample

from .panes import PaneSamples


class AdmittedNodes(Protocol):
    """The nodes that a SuperLink admits."""

    @property
    def nodes(self) -> int:
        """The number of nodes of the roster that are admitted."""
        ...


class SuperLinkState:
    """The state of one SuperLink.

    Attributes:
        ready: whether it has admitted the nodes of the roster.
    """

    def __init__(self, directory: Path, admission: AdmittedNodes) -> None:
        self._admission, self._panes = admission, PaneSamples(directory)
        self.ready = False

    def waits_for(self) -> str | None:
        """Its start."""
        return None if self.ready else "the start of its APIs, and the admission of the roster's nodes"

    def samples(self) -> Iterator[Sample]:
        """Nodes and panes."""
        yield Sample(NODES, (), self._admission.nodes)
        yield from self._panes.read()
