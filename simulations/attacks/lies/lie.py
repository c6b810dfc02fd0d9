"""Measure the effect of a few lying clients on an aggregate, with proofs and without.

    events ─┬─ every client honest            ─► honest/store         ─┐
            ├─ some lie, validity none        ─► without-proofs/store ─┼─► which values moved, and how far
            └─ some lie, validity prio3       ─► with-proofs/store    ─┘

A simulation runs all parties, so the honest values are known. The same lie runs at each level of reality: functions,
services, or Flower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from base.private_files import private_folder
from deployment.errors import RunRefused
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.store import Store
from federation.terms import Shares, Validity
from simulations.errors import LieInapplicable
from simulations.levels.collect import STORE, Collected, Collection, Progress, collect
from simulations.shards.workers import Workers

from .lying_site import LyingSite
from .moved_values import MovedView, busiest_key, compare
from .vectors import require_applicable

HONEST: Final = "honest"
LYING: Final[dict[str, Validity]] = {"without-proofs": Validity.NONE, "with-proofs": Validity.PRIO3}
"""The folders of the collections with liars, and their validity."""


@dataclass(frozen=True)
class Lie:
    """A lie of some clients of a collection.

    Attributes:
        kind: one of `KINDS`. The first `liars` clients of each pane at the largest site lie, about the join key with the
            most events.
        collection: the honest collection, of the views that the lie applies to.
        skipped: the views that the lie does not apply to, and why.
    """

    kind: str
    liars: int
    collection: Collection
    skipped: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class LieResult:
    """The effect of a lie.

    Attributes:
        views: the effect on each view; empty if even the honest clients are too few for a pane.
        collections: the honest collection, then those of `LYING` that ran.
    """

    lie: Lie
    views: tuple[MovedView, ...]
    collections: tuple[Collected, ...]


def applicable_views(kind: str, views: Sequence[FeatureView]) -> tuple[tuple[FeatureView, ...], dict[str, str]]:
    """Return the views that a lie applies to, and why it does not apply to the others.

    Raises:
        LieInapplicable: the lie applies to none of the views.
    """
    chosen, skipped = [], dict[str, LieInapplicable]()
    for view in views:
        try:
            require_applicable(kind, layout_of(view))
            chosen.append(view)
        except LieInapplicable as error:
            skipped[view.name] = error
    if not chosen:
        raise next(iter(skipped.values()))
    return tuple(chosen), {name: str(error) for name, error in skipped.items()}


def run_lie(lie: Lie, directory: Path, workers: Workers, progress: Progress) -> LieResult:
    """Collect the same events three times into folders of `directory`, and compare.

    With noise on, each collection draws its own noise.

    Raises:
        RunRefused: no site answers in time. Also the errors of `collect`.
    """
    views = lie.collection.terms.views
    honest = collect(lie.collection, private_folder(directory / HONEST), workers, _labelled(progress, HONEST))
    if not any(honest.opened.values()):
        return LieResult(lie, (), (honest,))
    with Store.open(honest.directory / STORE) as store:
        keys = {view.name: busiest_key(view, store) for view in views}
    site = LyingSite(_largest_site(lie.collection), (lie.kind,) * lie.liars, keys)
    collected = [honest]
    for number, (name, validity) in enumerate(LYING.items(), 1):
        lying = _lying(lie.collection, site, validity, number)
        collected.append(collect(lying, private_folder(directory / name), workers, _labelled(progress, name)))
    rejected = collected[-1].tally.rejected
    first, second, third = (one.directory / STORE for one in collected)
    with Store.open(first) as as_it_was, Store.open(second) as without, Store.open(third) as proven:
        moved = tuple(compare(view, (as_it_was, without, proven), rejected[at]) for at, view in enumerate(views))
    return LieResult(lie, moved, tuple(collected))


def _lying(honest: Collection, site: LyingSite, validity: Validity, number: int) -> Collection:
    """Return the collection with liars and with its own noise seed."""
    seed = None if honest.noise_seed is None else honest.noise_seed + number
    terms = Shares(validity, participation=honest.terms.terms.participation)
    return replace(honest, terms=replace(honest.terms, terms=terms), lying=site, noise_seed=seed)


def _largest_site(collection: Collection) -> str:
    """Return the site with the most clients, among the sites that answer in time."""
    most, largest = 0, None
    for index in range(collection.source.blocks):
        block = collection.source.block(index)
        clients = np.bincount(block.seated().site_of, minlength=len(block.sites))
        clients[~collection.arrivals.of(block.sites).in_time(collection.terms.deadline_s)] = 0
        at = int(clients.argmax())
        if clients[at] > most:
            most, largest = int(clients[at]), block.sites[at]
    if largest is None:
        raise RunRefused("no site answers in time, so no client can lie. Change arrivals, or raise deadline_s")
    return largest


def _labelled(progress: Progress, name: str) -> Progress:
    return lambda step, done, total: progress(f"{name}: {step}", done, total)
