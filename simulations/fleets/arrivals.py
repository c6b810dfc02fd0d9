"""Arrival times of sites' answers, in virtual seconds after the announcement of a plan. The deadline decides which count.

    before    the site never answers: it is offline, or drops out before it seals
    after     the site seals, but its answer is lost
    late      the site answers after the deadline, and the aggregators refuse

A trace says this for every site. It is generated from a seed, or read from a CSV file with the columns `site,at_s,lost`. An
empty `at_s` means that the site never answers; `lost` is 0 or 1.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from simulations.errors import FleetImpossible, TraceInvalid

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

COLUMNS: Final = ("site", "at_s", "lost")
MAX_TRACE_BYTES: Final = 2**30


@dataclass(frozen=True, eq=False)
class Fates:
    """The fates of the answers of some sites.

    Attributes:
        at_s: float64[S], arrival times; inf if the site never answers.
        lost: bool[S], whether the answer is lost.
    """

    at_s: Floats
    lost: Mask

    def in_time(self, deadline_s: float) -> Mask:
        """Return bool[S]: whether the answer counts, because it is not lost and arrives before the deadline."""
        counts: Mask = ~self.lost & (self.at_s < deadline_s)
        return counts


class Arrivals(Protocol):
    """A trace. Small and picklable."""

    def of(self, sites: Sequence[str]) -> Fates:
        """Return the fates of these sites. Each depends only on the name of the site."""


@dataclass(frozen=True)
class Generated:
    """Log-normal latencies and random drop-outs.

    Attributes:
        median_s, tail: median and σ of the log-normal latency.
        before, after: share of the sites that drop out before sealing, and share whose answers are lost after it.
    """

    median_s: float = 30.0
    tail: float = 1.0
    before: float = 0.0
    after: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (("median_s", 0, 10**7), ("tail", 0, 10), ("before", 0, 1), ("after", 0, 1)):
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise FleetImpossible(f"arrivals with {name} {value:,}: it must be from {low} to {high:,}")

    def of(self, sites: Sequence[str]) -> Fates:
        """Draw the fates from a hash of seed and name, so that they do not depend on other sites or on the order."""
        head = b"covey fates %d " % self.seed
        words = np.array(
            [np.frombuffer(hashlib.sha256(head + site.encode()).digest(), "<u8") for site in sites], np.uint64
        ).reshape(len(sites), 4)
        uniform = (words + 0.5) / 2.0**64  # in (0, 1)
        normal = np.sqrt(-2 * np.log(uniform[:, 0])) * np.cos(2 * np.pi * uniform[:, 1])  # Box and Muller 1958
        at_s = self.median_s * np.exp(self.tail * normal)
        return Fates(np.where(uniform[:, 2] < self.before, np.inf, at_s), uniform[:, 3] < self.after)


@dataclass(frozen=True)
class FromFile:
    """A trace from a CSV file. Raises TraceInvalid: the file is invalid."""

    path: Path
    _fates: dict[str, tuple[float, bool]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_fates", _read(self.path))

    def of(self, sites: Sequence[str]) -> Fates:
        """Return the fates in the file. Raises TraceInvalid: the file does not name a site."""
        missing = [site for site in sites if site not in self._fates]
        if missing:
            raise TraceInvalid(self.path, f"it does not name site {missing[0]!r}")
        found = [self._fates[site] for site in sites]
        return Fates(np.array([at for at, _ in found], np.float64), np.array([lost for _, lost in found], np.bool_))

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """Return the sites that the file names."""
        return tuple(self._fates)


def _read(path: Path) -> dict[str, tuple[float, bool]]:
    """Parse the file strictly, to {site: (at_s, lost)}."""
    import csv

    try:
        if path.stat().st_size > MAX_TRACE_BYTES:
            raise TraceInvalid(path, f"it has more than {MAX_TRACE_BYTES:,} bytes")
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, strict=True)
            if tuple(next(rows, ())) != COLUMNS:
                raise TraceInvalid(path, f"the first line must be {','.join(COLUMNS)}")
            fates: dict[str, tuple[float, bool]] = {}
            for number, row in enumerate(rows, 2):
                site, fate = _fate(path, number, row)
                if site in fates:
                    raise TraceInvalid(path, f"line {number}: site {site!r} occurs twice")
                fates[site] = fate
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TraceInvalid(path, str(error)) from None
    return fates


def _fate(path: Path, number: int, row: list[str]) -> tuple[str, tuple[float, bool]]:
    if len(row) != len(COLUMNS):
        raise TraceInvalid(path, f"line {number}: it has {len(row)} columns, not {len(COLUMNS)}")
    site, at, lost = row
    try:
        at_s = float(at) if at else math.inf
    except ValueError:
        raise TraceInvalid(path, f"line {number}: at_s {at!r} is no number") from None
    if math.isnan(at_s) or at_s < 0 or (at and math.isinf(at_s)):
        raise TraceInvalid(path, f"line {number}: at_s {at!r} is no finite number of seconds, 0 or above")
    if lost not in ("0", "1"):
        raise TraceInvalid(path, f"line {number}: lost is 0 or 1, got {lost!r}")
    return site, (at_s, lost == "1")
