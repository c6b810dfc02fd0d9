"""The directions of a monotone model: the features with which its prediction only rises, or only falls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from deployment.errors import TrainingRefused
from featurestore.define.definitions import FeatureView
from featurestore.define.feature import PaneFeature
from featurestore.define.values import served_features

from .config import Monotone

_VERSION_OR_CELL = re.compile(r"@v[0-9]+(?=:)|\[[0-9]+\]$")


def directions_of(kind: Monotone, names: Sequence[str], views: Iterable[FeatureView]) -> tuple[int, ...]:
    """Return 1 (rises), −1 (falls) or 0 for each column of x.

    Without a statement, the prediction rises with each Rate, over the pane and over windows, and with the deviation and the
    prediction of each Filtered.

    Args:
        names: the columns of x.
        views: the views of the stored features.

    Raises:
        TrainingRefused: a stated name is no feature of the model, or no feature has a direction.
    """
    plain = [_VERSION_OR_CELL.sub("", name) for name in names]
    for name in (*kind.rising, *kind.falling):
        if name.endswith("]"):
            raise TrainingRefused(
                f"[model] rising or falling names one cell, {name!r}; name the whole list, without [ ]"
            )
    rising, falling = ({_VERSION_OR_CELL.sub("", name) for name in some} for some in (kind.rising, kind.falling))
    if both := sorted(rising & falling):
        raise TrainingRefused(f"{both[0]!r} is both in rising and in falling of [model]; write it in one of them")
    stated = dict.fromkeys(rising, 1) | dict.fromkeys(falling, -1)
    for name in stated:
        if name not in plain:
            raise TrainingRefused(f"[model] rising or falling names {name!r}, but the features are {', '.join(plain)}")
    if not stated:
        stated = dict.fromkeys(_rates(views), 1)
    directions = tuple(stated.get(name, 0) for name in plain)
    if not any(directions):
        raise TrainingRefused(
            'kind = "monotone" needs a feature with a direction, and none of these is a Rate or a Filtered: '
            f'{", ".join(plain)}. Write rising = ["…"] or falling = ["…"] under [model]'
        )
    return directions


def _rates(views: Iterable[FeatureView]) -> list[str]:
    return [
        f"{view.name}:{served.name}"
        for view in views
        for served in served_features(view)
        if served.part in ("dev", "pred") or (isinstance(served.feature, PaneFeature) and served.feature.is_share)
    ]
