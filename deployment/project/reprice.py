"""A new price for a view that an earlier version of Covey registered. A view keeps its price until its owner reprices it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deployment.collecting import collecting, require_nothing_unfinished
from deployment.errors import RunRefused
from deployment.in_process.ledger import RunLedger
from featurestore.define.definitions import FeatureView
from featurestore.errors import StoreNotFound
from featurestore.publish.publish import Publisher
from federation.ledger.operator import LEDGERS, operator_path

from .known_releases import registry_of
from .project import DEFAULT_BUDGET


@dataclass(frozen=True)
class Repriced:
    """A view before and after it was repriced; equal if it had its price already."""

    before: FeatureView
    after: FeatureView


def reprice(directory: Path, view: FeatureView, clock: Callable[[], int]) -> Repriced:
    """Give a registered view the price that its definition has now.

    Days that a ledger has charged at the old price stay so: a plan at the new one is refused for them (VIEW_OVERLAP).

    Raises:
        StoreNotFound. UnknownView, ViewChanged: the store has no view of this name, or one with another definition.
        RepriceRefused: it has published panes. CollectionUnderWay, UsageError: a collection runs, or is unfinished. RunRefused:
            a run in one process was interrupted, and its panes are opened at the old price or never. StoreInUse.
    """
    with registry_of(directory) as registry:
        if registry is None:
            raise StoreNotFound(str(directory))
    with collecting(directory), Publisher(directory, clock) as publisher:
        require_nothing_unfinished(directory)
        if operator_path(directory / LEDGERS).is_file():
            with RunLedger(directory, DEFAULT_BUDGET, clock) as ledger:
                if ledger.unfinished(view.name):
                    raise RunRefused(
                        f"view {view.name!r}: a run in one process was interrupted after it had charged panes at the old price. "
                        "Repeat that run first; the view then has published panes and keeps its price"
                    )
        before = publisher.in_force(view)
        return Repriced(before, publisher.reprice(view).view)
