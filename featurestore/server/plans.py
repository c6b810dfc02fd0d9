"""Plans that requests share: each is made once for the newest snapshot, and dropped with it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from featurestore.online.blocks import Snapshot

MAX_PLANS: Final = 256

_Key = TypeVar("_Key", bound=Hashable)
_Plan = TypeVar("_Plan")


class Plans(Generic[_Key, _Plan]):
    """Plans by key, all of the newest snapshot. None of them holds an older snapshot."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._plans: dict[_Key, _Plan] = {}

    def find(self, snapshot: Snapshot, key: _Key, make: Callable[[], _Plan]) -> _Plan:
        """The plan of a key; `make` makes it if this snapshot has none."""
        if snapshot is not self._snapshot:
            self._snapshot, self._plans = snapshot, {}
        plan = self._plans.get(key)
        if plan is None:
            plan = make()
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            self._plans[key] = plan
        return plan
