"""The noised copies of one view in one epoch. Those of a key are made for the first request that asks for them, and kept."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from featurestore.define.decoded import Floats, Ints, Status, value_is_there
from featurestore.define.values import ServedFeature, served_features
from featurestore.errors import StoreCorrupt
from featurestore.online.view_rows import Block, KeyColumns, Rows, ViewRows

from .copies import noised_copies
from .newest_sums import NewestSums

Bools = npt.NDArray[np.bool_]

MOST_KEPT: Final = 2**25
"""The most numbers of copies that are kept for one view: 256 MiB. More keys take their place."""
_OF_NOISE: Final = (Status.DROWNED, Status.SUPPRESSED)
"""The reasons of null that follow from noised sums. If a view withholds cells by their noised counts, so does the coverage of its
windows."""
_AT_ONCE: Final = 2**22
"""So many noised sums are made at once: 32 MiB."""


class ViewCopies:
    """Noised copies of the newest rows of one view.

    Args:
        rows: of the epoch; names: the features that are read.
        sums: behind these rows.
    """

    def __init__(self, rows: ViewRows, names: Sequence[str], sums: NewestSums, epoch: int, copies: int) -> None:
        header, layout = rows.header, sums.layout
        self._rows, self._sums, self._copies = rows, sums, copies
        served = {one.name: one for one in served_features(layout.view)}
        self._served: tuple[ServedFeature, ...] = tuple(served[name] for name in names)
        columns = [rows.columns[name] for name in names]
        self._numbers_at = np.array([at for one in columns for at in range(one.start, one.start + one.width)])
        self._status_at = np.array([one.status for one in columns])
        self._status_of = np.repeat(self._status_at, [one.width for one in columns])
        self._of_noise = [
            *_OF_NOISE,
            *([Status.LOW_COVERAGE] if layout.view.privacy.suppress_below is not None else ()),
        ]
        self._seed = int.from_bytes(hashlib.sha256(f"{header.name} {epoch}".encode()).digest()[:8], "big")
        self._index = None if isinstance(rows, Block) else _index(layout.view.entity.domain)
        self._lock = threading.Lock()
        self._room = max(1, MOST_KEPT // (copies * max(1, len(self._numbers_at))))
        self._forget()

    def read(self, entities: Mapping[str, Sequence[Any]], count: int) -> tuple[Rows, Bools]:
        """Noised rows of `count` keys, all of the first copy, then all of the second one; and which keys have an interval.

        A key has none where noise may have made one of the features null.

        Raises:
            StoreCorrupt: the view's rows do not follow from its sums.
        """
        header, numbers, status, place = self._rows.rows(entities, count)
        codes = status[place]
        keys = self._keys(place, entities, count)
        noised = self._of(keys, numbers[place], codes)
        made = np.empty((self._copies, count, header.width))
        made[:, :, self._numbers_at] = noised.transpose(1, 0, 2)
        repeated = np.tile(codes, (self._copies, 1))
        rows = Rows(header, made.reshape(-1, header.width), repeated, np.arange(len(repeated)))
        return rows, np.asarray(~np.isin(codes[:, self._status_at], self._of_noise).any(axis=1))

    def _keys(self, place: Ints, entities: Mapping[str, Sequence[Any]], count: int) -> Ints:
        """int64[N]: the place of each key in the domain; −1: it has no row."""
        if self._index is None:  # a block has the rows of the domain in its order
            return place
        columns: KeyColumns = self._rows.header.key_columns(entities, count)
        wanted = np.fromiter((self._index.get(key, -1) for key in zip(*columns, strict=True)), np.int64, count)
        return np.where(place >= 0, wanted, -1)

    def _of(self, keys: Ints, numbers: Floats, codes: npt.NDArray[np.uint8]) -> Floats:
        """float64[N, C, W]; for a key without a row it is anything."""
        distinct, first = np.unique(keys, return_index=True)
        distinct, first = distinct[distinct >= 0], first[distinct >= 0]
        with self._lock:
            absent = self._at[distinct] < 0
            if self._used + int(absent.sum()) > max(self._room, len(distinct)):
                self._forget()
                absent = np.ones(len(distinct), dtype=bool)
            if absent.any():
                self._make(distinct[absent], numbers[first[absent]], codes[first[absent]])
            if not len(distinct):
                return np.full((len(keys), self._copies, len(self._numbers_at)), np.nan)
            return self._values[np.where(keys >= 0, self._at[keys], 0)]

    def _forget(self) -> None:
        self._at = np.full(self._sums.layout.keys, -1, dtype=np.int64)
        self._used = 0
        self._values = np.empty((0, self._copies, len(self._numbers_at)))

    def _make(self, keys: Ints, numbers: Floats, codes: npt.NDArray[np.uint8]) -> None:
        size = (self._copies + 1) * max(
            self._sums.filtered_panes, self._sums.layout.slots_per_key * len(self._sums.levels)
        )
        step = max(1, _AT_ONCE // size)
        for at in range(0, len(keys), step):
            some = slice(at, at + step)
            made = noised_copies(self._sums, self._served, keys[some], self._seed, self._copies)
            there = value_is_there(codes[some][:, self._status_of])
            if not np.array_equal(made.released[there], numbers[some][:, self._numbers_at][there]):
                raise StoreCorrupt(
                    f"view {self._rows.header.view!r}: the rows that are served do not follow from the released sums"
                )
            end = self._used + len(made.noised)
            if end > len(self._values):
                larger = np.empty((max(end, 2 * len(self._values)), *self._values.shape[1:]))
                larger[: self._used] = self._values[: self._used]
                self._values = larger
            self._at[keys[some]] = np.arange(self._used, end)
            self._values[self._used : end] = made.noised
            self._used = end


def _index(domain: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], int]:
    return {key: at for at, key in enumerate(domain)}
