"""What a version of a view takes over from a pane that was opened for another definition.

A feature is carried if its sums mean the same in both definitions: the domain, pane, time, bounds and mechanism are equal, and
so is what an event adds to the sums. Name, weight and price may differ. The sums stay as they were opened, with their noise;
only its unit changes, because decoding counts the noise of a sum in noises of the decoding version.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .decoded import Floats, Ints
from .definitions import FeatureView
from .layout import layout_of
from .wire import encoding_to_bytes


@dataclass(frozen=True, eq=False)
class Carry:
    """The carried features from one definition to another. Make it with `between`.

    Attributes:
        carried: for each collected feature of the new definition, whether it is carried.
        units: float64[G], for each noise group of the new layout the variance of a noise of the old definition, as a multiple of
            that of the new one; 0 for the groups of features that are not carried.
        sources: int64[C], the old slots of a key that are carried; places: int64[C], the new slots that take them.
        width: number of slots of a key in the new layout.
    """

    carried: tuple[bool, ...]
    units: Floats
    sources: Ints
    places: Ints
    width: int

    @classmethod
    def between(cls, old: FeatureView, new: FeatureView) -> Carry:
        """What panes that were opened for the old definition hold for the new one."""
        return _between(old, new)

    @property
    def any(self) -> bool:
        """Whether at least one feature is carried."""
        return True in self.carried

    def slots(self, old_slots: Ints) -> Ints:
        """int64[..., S of the new layout] from int64[..., S of the old one]; 0 in the slots of features that are not carried."""
        slots = np.zeros((*old_slots.shape[:-1], self.width), dtype=np.int64)
        slots[..., self.places] = old_slots[..., self.sources]
        return slots


@lru_cache(maxsize=64)
def _between(old: FeatureView, new: FeatureView) -> Carry:
    pairs = _pairs(old, new) if _have_the_same_cells(old, new) else {}
    before, after = layout_of(old), layout_of(new)
    units = np.zeros(len(after.groups))
    sources: list[int] = []
    places: list[int] = []
    for name, old_name in pairs.items():
        mine = [i for i, group in enumerate(after.groups) if group.feature == name]
        theirs = [group for group in before.groups if group.feature == old_name]
        for i, group in zip(mine, theirs, strict=True):
            units[i] = group.variance / after.groups[i].variance
            places += after.groups[i].slots
            sources += group.slots
    units.flags.writeable = False
    return Carry(
        tuple(feature.name in pairs for feature in new.collected),
        units,
        np.array(sources, dtype=np.int64),
        np.array(places, dtype=np.int64),
        after.slots_per_key,
    )


def _have_the_same_cells(old: FeatureView, new: FeatureView) -> bool:
    """Whether both definitions choose the same events of a client-day, and count them in the same cells."""
    if (old.pane, old.time, old.privacy.mechanism) != (new.pane, new.time, new.privacy.mechanism):
        return False
    cells = len(new.entity.domain) * new.panes_per_day
    return old.entity == new.entity and old.bounds.within(cells) == new.bounds.within(cells)


def _pairs(old: FeatureView, new: FeatureView) -> dict[str, str]:
    """The carried features of the new definition by name, each with the old one's name.

    Several features may collect the same, for example two Counts. They are paired in their order, whatever their names: versions
    that share a collection may name its sums differently, and the rows of a third one must not depend on which of them is asked.
    """
    left = {feature.name: encoding_to_bytes(feature) for feature in old.collected}
    pairs: dict[str, str] = {}
    for feature in new.collected:
        collected = encoding_to_bytes(feature)
        found = next((name for name, other in left.items() if other == collected), None)
        if found is not None:
            pairs[feature.name] = found
            del left[found]
    return pairs
