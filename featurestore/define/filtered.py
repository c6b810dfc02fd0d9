"""`Filtered`: a causal estimate of a noisy rate, from released panes only. It is post-processing, so it costs no privacy.

The state of a key has an expected count, a baseline for each slot of the season, and the current distance of the rate from
its baseline. Each pane advances the state, and each pane's row serves it (`featurestore.offline.filter_runs`). Season and week
follow local time, because in UTC the change to summer time would shift the day against its baseline.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar, Final, Literal, Self, get_args
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from base.plain import is_text, make_plain
from base.times import DAY_US, from_us, parse_duration, to_us

from .decoded import Serving
from .feature import Setting, ViewFeature, register

Part = Literal["dev", "pred", "n"]
"""The three features of a Filtered: deviation from the baseline, predicted rate of the next pane, and number of events."""
PARTS: Final[tuple[Part, ...]] = get_args(Part)
SERVINGS: Final[dict[Part, Serving]] = {
    "dev": Serving("estimate", clamp=(None, None)),
    "pred": Serving("estimate", clamp=(0.0, 1.0)),
    "n": Serving("estimate"),
}

WEEK_US: Final = 7 * DAY_US
_MONDAY_US: Final = -3 * DAY_US
"""The Monday before the epoch, whose first day was a Thursday."""
_OFFSETS_KNOWN: Final = (to_us(datetime(2, 1, 1, tzinfo=UTC)), to_us(datetime(9998, 1, 1, tzinfo=UTC)))
"""The moments whose local time fits into a `datetime`."""


@register
@dataclass(frozen=True)
class Filtered(ViewFeature):
    """A filter of one Rate of the view. It has three features, `<name>_dev`, `<name>_pred` and `<name>_n`, without windows.

    Their standard errors include tracking and sampling error, besides the error due to noise.

    Args:
        rate: the name of a Rate of the view that has slots of its own.
        half_life: the time in which a deviation from the baseline decays by half, such as `258m`.
        sd: s₀, the standard deviation of the rate from its baseline.
        season: the period of the baseline; None: one baseline for all times.
        tz: the IANA name of the time zone that season and week follow.
        scaled: whether the scale of the deviation follows that of the rate (g = μ(1−μ)/.16) or is constant (g = 1).
        baseline_half_life: the time in which the weight of old panes in the baseline decays by half.
        baseline_variance: τ², the variance of the slots' baselines around their mean.
        name: the beginning of the three names; default: the Rate's name.
        description: a text for people.
    """

    kind: ClassVar[str] = "Filtered"
    spelling: ClassVar[str] = "filtered"
    rate: str
    half_life: str
    sd: float = field(kw_only=True)
    season: str | None = field(default="1d", kw_only=True)
    tz: str = field(default="UTC", kw_only=True)
    scaled: bool = field(default=True, kw_only=True)
    baseline_half_life: str = field(default="60d", kw_only=True)
    baseline_variance: float = field(default=0.02, kw_only=True)
    name: str = field(default="", kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        make_plain(self, "rate", "half_life", "sd", "season", "tz", "scaled", "baseline_half_life", "baseline_variance")
        make_plain(self, "name", "description")
        if not self.name:
            object.__setattr__(self, "name", self.rate)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the three features."""
        return tuple(f"{self.name}_{part}" for part in PARTS)

    @property
    def half_life_us(self) -> int:
        """`half_life` in microseconds."""
        return parse_duration(self.half_life)

    @property
    def baseline_half_life_us(self) -> int:
        """`baseline_half_life` in microseconds."""
        return parse_duration(self.baseline_half_life)

    @property
    def season_us(self) -> int | None:
        """`season` in microseconds, or None."""
        return None if self.season is None else parse_duration(self.season)

    def served_names(self, windows: Sequence[str]) -> tuple[str, ...]:
        """See `ViewFeature`: `names`; it has no windows."""
        return self.names

    def problem(self) -> str | None:
        """See `ViewFeature`."""
        if not is_text(self.rate):
            return f"`rate` must be the name of a Rate of the view, got {self.rate!r}"
        for attribute in ("half_life", "baseline_half_life"):
            text = getattr(self, attribute)
            try:
                if parse_duration(text) == 0:
                    return f"`{attribute}` must be above 0, got {text!r}"
            except ValueError as error:
                return f"`{attribute}`: {error}"
        if not _is_share(self.sd):
            return f"`sd` must be above 0 and at most 1, such as 0.1, got {self.sd!r}"
        if not _is_share(self.baseline_variance):
            return f"`baseline_variance` must be above 0 and at most 1, such as 0.02, got {self.baseline_variance!r}"
        if type(self.scaled) is not bool:
            return f"`scaled` must be True or False, got {self.scaled!r}"
        if not is_zone(self.tz):
            return f"`tz` must be the IANA name of a time zone, such as 'America/New_York', got {self.tz!r}"
        return None

    def settings(self) -> Mapping[str, Setting]:
        """See `ViewFeature`; an empty season is none."""
        return {
            "rate": self.rate,
            "half_life": self.half_life,
            "sd": self.sd,
            "season": self.season or "",
            "tz": self.tz,
            "scaled": self.scaled,
            "baseline_half_life": self.baseline_half_life,
            "baseline_variance": self.baseline_variance,
        }

    def spelled_settings(self) -> Mapping[str, object]:
        """See `ViewFeature`."""
        return {**self.settings(), "season": self.season}

    @classmethod
    def of(cls, settings: Mapping[str, Any], **common: Any) -> Self:
        """See `ViewFeature`."""
        given = dict(settings)
        return cls(given.pop("rate"), given.pop("half_life"), season=given.pop("season") or None, **given, **common)


def season_problem(filtered: Filtered, pane_us: int) -> str | None:
    """The problem of the season of a Filtered in a view with panes of this width, with the mend; None if it is valid."""
    try:
        season = filtered.season_us
    except ValueError as error:
        return f"`season`: {error}"
    if season is None:
        return None
    if season == 0 or WEEK_US % season:
        return f"`season` {filtered.season!r} does not divide the week; use one such as '1d' or '7d', or None"
    if season % pane_us:
        return f"the view's pane does not divide the `season` {filtered.season!r}; use a longer season, or None"
    return None


@lru_cache(maxsize=256)
def is_zone(name: object) -> bool:
    """Whether the time-zone data of this machine have a zone of this name."""
    if not isinstance(name, str) or not name.isascii():
        return False
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # an invalid name; a folder of zones; an unknown zone
        return False
    return True


def _is_share(number: object) -> bool:
    return (
        isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number) and 0 < number <= 1
    )


def slots_of(filtered: Filtered, pane_us: int) -> tuple[int, int]:
    """The numbers of slots of the season and of the week."""
    season = filtered.season_us
    return 1 if season is None else season // pane_us, WEEK_US // pane_us


def local_slots(
    filtered: Filtered, pane_us: int, start: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The slot of the season and the slot of the week for each pane, by the local time of the pane's middle.

    Args:
        start: int64[N], µs, increasing.
    """
    middle = start + pane_us // 2
    of_week = (middle + _offsets(ZoneInfo(filtered.tz), middle) - _MONDAY_US) % WEEK_US
    season = filtered.season_us
    slot = np.zeros_like(start) if season is None else of_week % season // pane_us
    return slot, of_week // pane_us


def _offsets(zone: ZoneInfo, moments: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Local time − UTC at increasing moments, µs. It is looked up once a UTC day, and at each moment of a day on which it
    changes."""
    held = np.clip(moments, *_OFFSETS_KNOWN)
    day, first = np.unique(held // DAY_US, return_index=True)
    offsets = np.empty_like(held)
    for i, (begin, end) in enumerate(zip(first.tolist(), [*first[1:].tolist(), len(held)], strict=True)):
        morning, night = (_offset(zone, int(day[i] + after) * DAY_US) for after in (0, 1))
        offsets[begin:end] = morning
        if morning != night:
            offsets[begin:end] = [_offset(zone, moment) for moment in held[begin:end].tolist()]
    return offsets


def _offset(zone: ZoneInfo, moment: int) -> int:
    local = from_us(moment).astimezone(zone)
    return to_us(local.replace(tzinfo=UTC)) - moment
