"""The federation as a scheduler uses it: a session of the coordinator, and the project's registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deployment.collecting import collecting, plan_folder
from deployment.coordinator.attempts import Attempts
from deployment.coordinator.decisions import publish_voids
from deployment.coordinator.planning import PlanRequest
from deployment.coordinator.session import Session
from deployment.project.project import Project
from featurestore.define.definitions import FeatureView
from featurestore.define.release import GIVEN_UP, Clock
from federation.terms import RequestedTerms

from .collected_views import published_of
from .scheduler import PlanEnd


@dataclass(frozen=True)
class CollectionTerms:
    """The terms of a coordinator's plans; see `PlanRequest`."""

    terms: RequestedTerms = field(default_factory=RequestedTerms)
    seconds: float = 300.0
    clock: Clock = "live"


class SessionCollector:
    """Collects by a session."""

    def __init__(self, session: Session, directory: Path, terms: CollectionTerms, clock: Callable[[], int]) -> None:
        self._session, self._directory, self._terms, self._clock = session, directory, terms, clock

    @property
    def is_unfinished(self) -> bool:
        """Whether a plan is kept on disk."""
        return plan_folder(self._directory).exists()

    @property
    def give_up_after_us(self) -> int | None:
        """The project's; it is read again each time."""
        return Project.load(self._directory).give_up_after_us

    def collect(self, chosen: Mapping[FeatureView, Sequence[int]]) -> PlanEnd:
        """Run a plan over these panes."""
        only = {view.name: np.array(panes, np.int64) for view, panes in chosen.items()}
        first = min(panes[0] for panes in chosen.values())
        last = max(panes[-1] + view.pane_us for view, panes in chosen.items())
        terms = self._terms
        request = PlanRequest(tuple(chosen), (first, last), terms.terms, terms.seconds, terms.clock, only)
        return _end(self._session.collect(request))

    def resume(self) -> PlanEnd:
        """Continue the kept plan."""
        return _end(self._session.resume())

    def free(self) -> PlanEnd:
        """Free the kept plan."""
        return _end(self._session.give_up())

    def end_overdue(self) -> PlanEnd:
        """Continue the kept plan if its deadline has passed."""
        return _end(self._session.end_overdue())

    def void(self, view: FeatureView, panes: Sequence[int]) -> None:
        """Publish panes as given up."""
        with collecting(self._directory):
            publish_voids(self._directory, view, panes, GIVEN_UP, self._clock)

    def published(self, view: FeatureView, panes: Sequence[int]) -> set[int]:
        """Those of these panes that have a release or a void, or whose day another collection of the view has opened."""
        return published_of(self._directory, view, panes)

    def exhausted(self, view: FeatureView, panes: Sequence[int]) -> set[int]:
        """Those of these panes that were attempted as often as is allowed."""
        return set(panes).intersection(Attempts(self._directory).exhausted(view).tolist())


def _end(result: dict[str, Any]) -> PlanEnd:
    return PlanEnd(result, bool(result.get("announced", True)))  # the kept result of an earlier version lacks it
