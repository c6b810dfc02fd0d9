"""A coordinator's attempts that opened fewer panes than planned: which panes are due again, and what the aggregators signed.

    roles/coordinator/attempts/<plan hash>.json     until all of its panes are published

A plan that takes such a pane again names the earlier plan and these statements, so sites and aggregators let it (ADR 0029).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from base.atomic_files import replace_file
from base.private_files import private_folder
from deployment.errors import JobMalformed
from featurestore.define.definitions import FeatureView
from featurestore.define.wire import collection_hash
from federation.attempt import MAX_ATTEMPTS, Attempt
from federation.plan import Plan, PlannedView

_SUFFIX: Final = ".json"
Ints = npt.NDArray[np.int64]
_NONE: Final = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class EndedAttempt:
    """An attempt at panes that it did not open.

    Attributes:
        due: int64[P], the unopened panes (µs) of each view, by name.
        statements: what leader and helper signed; incomplete if one of them cannot say that it never opened the plan.
        reported: whether a site has reported. If none has, the attempt depends on no event, and is not counted.
        collections: the hash of each view's collection, by name; a record of an earlier version has none.
    """

    plan_hash: bytes
    due: Mapping[str, Ints]
    statements: tuple[bytes, ...] = field(default=(), repr=False)
    reported: bool = True
    collections: Mapping[str, bytes] = field(default_factory=dict)

    def due_of(self, view: FeatureView) -> Ints:
        """int64[P], the unopened panes (µs) of a view's collection."""
        same = self.collections.get(view.name) in (None, collection_hash(view))
        return self.due.get(view.name, _NONE) if same else _NONE


class Attempts:
    """The attempts of one project's coordinator."""

    def __init__(self, project: Path) -> None:
        self._folder = project / "roles" / "coordinator" / "attempts"

    def record(self, plan: Plan, due: Mapping[str, Ints], statements: Iterable[bytes], *, reported: bool) -> None:
        """Record an attempt durably. A repeat changes nothing."""
        data = {
            "due": {view: panes.tolist() for view, panes in due.items()},
            "reported": reported,
            "collections": {one.view.name: collection_hash(one.view).hex() for one in plan.views},
            "statements": [base64.b64encode(one).decode("ascii") for one in statements],
        }
        replace_file(private_folder(self._folder) / f"{plan.hash.hex()}{_SUFFIX}", json.dumps(data), private=True)

    def earlier(self, planned: Sequence[PlannedView]) -> tuple[Attempt, ...]:
        """The attempts at panes of these views, as a plan names them."""
        found = [
            one
            for one in self._all()
            if any(np.isin(view.pane_starts, one.due_of(view.view)).any() for view in planned)
        ]
        return tuple(Attempt(one.plan_hash, one.statements) for one in sorted(found, key=lambda one: one.plan_hash))

    def due(self, view: FeatureView) -> Ints:
        """int64[P], the panes of a view that an attempt left due, increasing. Some may be published by now."""
        return np.unique(np.concatenate([_NONE, *(one.due_of(view) for one in self._all())]))

    def exhausted(self, view: FeatureView) -> Ints:
        """int64[P], the panes of a view that were attempted as often as is allowed, increasing."""
        panes = [one.due_of(view) for one in self._all() if one.reported]
        found, tries = np.unique(np.concatenate([_NONE, *panes]), return_counts=True)
        return np.asarray(found[tries >= MAX_ATTEMPTS], np.int64)

    def forget(self, views: Sequence[FeatureView], published: Callable[[FeatureView, tuple[int, int]], Ints]) -> None:
        """Delete the records of these views whose panes are all published by now: no plan takes them again.

        Args:
            published: int64[P], the published panes (µs) of a view's collection in a time range, which is that of the records.
        """
        ended = [one for one in self._all() if one.due.keys() <= one.collections.keys()]
        panes = {}
        for view in views:
            if len(due := np.concatenate([_NONE, *(one.due_of(view) for one in ended)])):
                panes[collection_hash(view)] = published(view, (int(due.min()), int(due.max()) + 1))
        for one in ended:
            left = (np.setdiff1d(due, panes.get(one.collections[name], _NONE)) for name, due in one.due.items())
            if not any(map(len, left)):
                (self._folder / f"{one.plan_hash.hex()}{_SUFFIX}").unlink(missing_ok=True)

    def _all(self) -> list[EndedAttempt]:
        if not self._folder.is_dir():
            return []
        return [_read(path) for path in sorted(self._folder.glob(f"*{_SUFFIX}"))]


def _read(path: Path) -> EndedAttempt:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        due = {str(view): np.array(panes, np.int64) for view, panes in data["due"].items()}
        statements = tuple(base64.b64decode(one, validate=True) for one in data["statements"])
        plan_hash = bytes.fromhex(path.name.removesuffix(_SUFFIX))
        collections = {str(view): bytes.fromhex(digest) for view, digest in data.get("collections", {}).items()}
        return EndedAttempt(plan_hash, due, statements, bool(data["reported"]), collections)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise JobMalformed(f"{path} is not the record of an attempt: {error!r}") from None
