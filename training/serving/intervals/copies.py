"""The features of one view in noised copies: fresh noise on its released sums, decoded by the code that publishes.

All features of a copy come from the same noised sums: the noise of a pane is drawn once, and is in every window and filter that
holds the pane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurestore.define.decoded import Floats, Ints
from featurestore.define.feature import PaneFeature
from featurestore.define.filtered import Filtered
from featurestore.define.values import ServedFeature, decode
from featurestore.offline.filter_runs import filter_sums

from .newest_sums import NewestSums, RatePanes
from .noise import noised_panes, noised_sums, seeds_of


@dataclass(frozen=True, eq=False)
class Copies:
    """Features of N keys, decoded from their sums without and with fresh noise.

    Attributes:
        released: float64[N, W], the values as they were released, all cells of lists.
        noised: float64[N, C, W], in C noised copies.
    """

    released: Floats
    noised: Floats


@dataclass(frozen=True, eq=False)
class _Noised:
    """Noised sums of N keys; the first of the 1 + C copies has no fresh noise.

    Attributes:
        slots: int64[L, N·(1 + C), S], the sums of each level.
        units: float64[L, G, N·(1 + C)], how many noises they have.
        rates: S and n of each Rate that a Filtered reads, by name: int64[2, P, N·(1 + C)].
    """

    slots: Ints
    units: Floats
    rates: dict[str, Ints]


def noised_copies(sums: NewestSums, served: Sequence[ServedFeature], keys: Ints, seed: int, copies: int) -> Copies:
    """Decode copies of some keys.

    Args:
        keys: int64[N], places in the view's domain.
        seed: of the view and epoch, below 2⁶⁴.
    """
    noised = _noised(sums, keys, seed, copies)
    estimates = _estimates(sums, noised, served)
    values: list[Floats] = []
    for one in served:
        feature = one.feature
        made = _decoded(sums, noised, one, feature) if isinstance(feature, PaneFeature) else estimates[one.name]
        values.append(made.reshape(len(keys), copies + 1, one.width))
    every = np.concatenate(values, axis=2)
    return Copies(every[:, 0], every[:, 1:])


def _noised(sums: NewestSums, keys: Ints, seed: int, copies: int) -> _Noised:
    layout, view = sums.layout, sums.layout.view
    is_gaussian = view.privacy.mechanism == "gaussian"
    of_slot = np.zeros(layout.slots_per_key, dtype=np.int64)
    for at, group in enumerate(layout.groups):
        of_slot[list(group.slots)] = at
    variance = np.array([group.variance for group in layout.groups])
    units = sums.units if sums.units.shape[2] == 1 else sums.units[:, :, keys]
    of_keys = np.broadcast_to(units, (*units.shape[:2], len(keys)))
    noises = np.ascontiguousarray(of_keys[:, of_slot[sums.slots]].transpose(2, 0, 1))
    released = np.ascontiguousarray(sums.sums[:, keys].transpose(1, 0, 2))
    made = noised_sums(
        seeds_of(seed, keys), released, noises * variance[of_slot[sums.slots]], noises, copies, is_gaussian
    )
    levels = len(sums.levels)
    slots = np.zeros((levels, len(keys), copies + 1, layout.slots_per_key), dtype=np.int64)
    slots[:, :, :, sums.slots] = made.transpose(2, 0, 1, 3)
    rates: dict[str, Ints] = {}
    for name, panes in sums.rates.items():
        groups = [group for group in layout.groups if group.feature == name]
        rates[name] = both = np.empty((2, len(panes.start), len(keys), copies + 1), dtype=np.int64)
        for i, group in enumerate(groups):
            own = seeds_of(seed ^ (group.slots[0] + 1), keys).tolist()
            of = np.ascontiguousarray(panes.units[i])
            for at, key in enumerate(keys.tolist()):
                both[i, :, at] = noised_panes(own[at], panes.sums[i, key], of * group.variance, of, copies, is_gaussian)
                slots[:, at, :, group.slots[0]] = _window_sums(panes, key, both[i, :, at], levels)
        rates[name] = both.reshape(2, len(panes.start), -1)
    cumulative = np.cumsum(of_keys, axis=0)
    return _Noised(slots.reshape(levels, -1, layout.slots_per_key), np.repeat(cumulative, copies + 1, axis=2), rates)


def _window_sums(panes: RatePanes, key: int, of_panes: Ints, levels: int) -> Ints:
    """int64[L, 1 + C]: the sums of each level, from those of each pane."""
    opened = panes.opened[:, key if panes.opened.shape[1] > 1 else 0]
    return np.stack([of_panes[opened & (panes.level <= at)].sum(axis=0) for at in range(levels)])


def _decoded(sums: NewestSums, noised: _Noised, served: ServedFeature, feature: PaneFeature) -> Floats:
    """float64[N·(1 + C), width]."""
    layout = sums.layout
    at = 0 if served.window is None else sums.levels.index(served.window.panes)
    mine = [layout.groups.index(group) for group in layout.groups_of(feature)]
    rows = noised.slots[at]
    base = np.zeros(len(rows), dtype=np.uint8)
    found = decode(layout, feature, rows, noised.units[at, mine], base)
    values: Floats = found.value.astype(np.float64)
    return values.reshape(len(rows), -1)


def _estimates(sums: NewestSums, noised: _Noised, served: Sequence[ServedFeature]) -> dict[str, Floats]:
    """The values of each Filtered that is read, float64[N·(1 + C)], by the name of its part."""
    found: dict[str, Floats] = {}
    for filtered in dict.fromkeys(one.feature for one in served if isinstance(one.feature, Filtered)):
        panes = sums.rates[filtered.rate]
        last = np.array([len(panes.start) - 1])
        rate = sums.rate_sums(filtered.rate, noised.rates[filtered.rate])
        (parts,) = filter_sums(sums.layout.view, filtered, rate, panes.known, last)
        found |= {name: parts[:, 2 * i] for i, name in enumerate(filtered.names)}
    return found
