"""The parties of the machine: leader and helper that die at any write, two sites, and copies of files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from aggregator.storage.live_folder import LiveFile, LiveFolder
from aggregator.storage.role_storage import Storage
from edge_client import ledger as site_ledger
from edge_client import site as site_module
from edge_client.compute import Contributions, UsedCells, compute
from edge_client.events import Events, check_schema
from edge_client.policy import Refuse
from edge_client.site import SiteSettings
from featurestore.define.definitions import FeatureView
from featurestore.define.wire import collection_hash
from federation.batch.batch import SealedBatch
from federation.ledger.ledger import Ledger
from federation.ledger.state import Budget
from federation.plan import Plan
from tests.aggregator.world import SETTINGS, Clock, LocalLink, make_helper, make_leader
from tests.edge_client.making import POLICY, ask, events
from tests.federation.wire import OTHER_SITE, SITE

ROLES: Final = ("leader", "helper")
SITES: Final = {"a": SITE, "b": OTHER_SITE}
EVENTS: Final = events(
    *((f"client-{i}", day + hour / 24, "x") for i in range(3) for day in range(2) for hour in range(4))
)
OpenLedger = Callable[[Path, str, Clock], Ledger]


class Crash(BaseException):
    """The processes end here."""


class Fuse:
    """Ends all processes at the n-th write from now on, whichever makes it."""

    left = -1

    @classmethod
    def burn(cls) -> None:
        if cls.left >= 0:
            cls.left -= 1
            if cls.left < 0:
                raise Crash


class FusedStorage(Storage):
    synchronous = "OFF"

    def run(self, sql: str, *values: Any) -> int:
        Fuse.burn()
        changed = super().run(sql, *values)
        if sql == "COMMIT":
            Fuse.burn()
        return changed


class FusedLedger(Ledger):
    synchronous = "OFF"

    def _append(self, entry: Any) -> None:
        super()._append(entry)
        Fuse.burn()  # the transaction is undone

    def _write_outside(self) -> None:
        Fuse.burn()  # committed, but the second file is behind
        super()._write_outside()


class FusedLive(LiveFolder):
    def draw(self, *what: Any) -> LiveFile:
        Fuse.burn()
        made = super().draw(*what)
        Fuse.burn()
        return made

    def erase_seal(self, plan_id: bytes) -> None:
        Fuse.burn()
        super().erase_seal(plan_id)

    def erase(self, plan_id: bytes) -> None:
        Fuse.burn()
        super().erase(plan_id)


_CHECKED: Final[set[bytes]] = set()
_COMPUTED: Final[dict[tuple[bytes, ...], Contributions]] = {}


def computed(
    view: FeatureView, own: Events, used: UsedCells | None = None, *, panes: np.ndarray[Any, Any]
) -> Contributions:
    """`compute` of the machine's events, once for equal arguments: it is pure, and takes most of an answer's time."""
    used = used or UsedCells.none()
    key = (collection_hash(view), panes.tobytes(), used.client.tobytes(), used.day.tobytes(), used.cells.tobytes())
    if key not in _COMPUTED:
        _COMPUTED[key] = compute(view, own, used, panes=panes)
    return _COMPUTED[key]


def check_schema_once(view: FeatureView, own: Events) -> None:
    """`check_schema` of the machine's events, once for each view."""
    if (key := collection_hash(view)) not in _CHECKED:
        check_schema(view, own)
        _CHECKED.add(key)


class Parties:
    """Leader, helper and sites in a folder of their own, in memory where tests run there."""

    helper: Helper
    leader: Leader

    def __init__(self, budgets: Mapping[str, int], open_ledger: OpenLedger) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="covey-machine-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
        self._budgets, self._open_ledger = budgets, open_ledger
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(site_ledger, "Ledger", FusedLedger)
        self.patch.setattr(site_module, "compute", computed)
        self.patch.setattr(site_module, "check_schema", check_schema_once)
        self.sites = {
            name: SiteSettings(
                name,
                keys,
                3,
                replace(POLICY, max_micro_rho=budgets[f"site-{name}"]),
                self.folder / f"site-{name}.db",
            )
            for name, keys in SITES.items()
        }
        Fuse.left = -1
        self.start()

    def start(self) -> None:
        """Start both aggregators on their files."""
        given = {role: replace(SETTINGS, budget=Budget(self._budgets[role])) for role in ROLES}
        files = FusedStorage, self._open_ledger, FusedLive
        self.helper = make_helper(self.folder, given["helper"], Clock(), *files)
        self.leader = make_leader(self.folder, LocalLink(self.helper), given["leader"], Clock(), *files)

    def stop(self) -> None:
        """End both aggregators. The files stay."""
        Fuse.left = -1
        self.leader.close()
        self.helper.close()

    def close(self) -> None:
        """End, and delete everything."""
        self.stop()
        self.patch.undo()
        shutil.rmtree(self.folder)

    def answer(self, site: str, plan: Plan, seed: int) -> list[SealedBatch] | Refuse:
        """A site's answer."""
        return ask(plan, EVENTS, self.sites[site], seed)

    def copy_of(self, role: str, name: str) -> Path:
        """A copy of an aggregator's files, its live secrets included, as a snapshot of its machine has them."""
        copy = self.folder / "copies" / name
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(parents=True)
        for path in self._files_of(role):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, copy / path.name)
        return copy

    def put_back(self, role: str, copy: Path, *, but: str = "") -> None:
        """Start again with a copy of an aggregator's files. Files that contain the text `but` in their names stay as they are."""
        self.stop()
        for path in self._files_of(role):
            if not (but and but in path.name):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in copy.iterdir():
            if not (but and but in path.name):
                (shutil.copytree if path.is_dir() else shutil.copy)(path, self.folder / path.name)
        self.start()

    def _files_of(self, role: str) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.name.startswith(role) and not path.name.endswith("-shm")]
