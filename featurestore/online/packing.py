"""The packed bytes of one row of a view, the same in every online store.

    f64 values (each served feature, lists flattened) ‖ f64 n (each ratio) ‖ f64 coverage (each window)
    ‖ f64 se (each served feature) ‖ u8 status (each served feature) ‖ i64 pane_end, released_at, published_at

Rows are little-endian, without padding, and have one length for each view. Null is NaN in the numbers; the status byte says why.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.define.decoded import Status
from featurestore.define.definitions import FeatureView
from featurestore.define.schema import status_codes
from featurestore.define.values import served_features
from featurestore.offline.parquet import as_us

Packed = npt.NDArray[np.void]


@lru_cache(maxsize=256)
def row_dtype(view: FeatureView) -> np.dtype[np.void]:
    """The structured dtype of a view's rows."""
    served = served_features(view)
    return np.dtype(
        [
            ("values", "<f8", (sum(one.width for one in served),)),
            ("n", "<f8", (sum(one.has_n for one in served),)),
            ("coverage", "<f8", (len(view.trailing),)),
            ("se", "<f8", (len(served),)),
            ("status", "u1", (len(served),)),
            ("times", "<i8", (3,)),
        ]
    )


def pack(view: FeatureView, rows: pa.Table) -> Packed:
    """Pack the rows of a table with the offline schema."""
    packed = np.zeros(rows.num_rows, dtype=row_dtype(view))
    value_at = n_at = 0
    for i, served in enumerate(served_features(view)):
        values = rows.column(served.name)
        if served.is_list:
            flat = pc.fill_null(pc.list_flatten(_filled(values, served.width)).cast(pa.float64(), safe=False), np.nan)
            packed["values"][:, value_at : value_at + served.width] = flat.to_numpy().reshape(-1, served.width)
        else:
            packed["values"][:, value_at] = _floats(values)
        value_at += served.width
        packed["se"][:, i] = _floats(rows.column(f"{served.name}__se"))
        packed["status"][:, i] = status_codes(rows.column(f"{served.name}__status"))
        if served.has_n:
            packed["n"][:, n_at] = _floats(rows.column(f"{served.name}__n"))
            n_at += 1
    for i, window in enumerate(view.trailing):
        packed["coverage"][:, i] = rows.column(f"coverage_{window.name}").to_numpy()
    for i, name in enumerate(("pane_end", "released_at", "published_at")):
        packed["times"][:, i] = as_us(rows.column(name))
    return packed


def missing_rows(view: FeatureView, count: int) -> Packed:
    """Rows of missing keys: NaN and NOT_FOUND."""
    packed = np.zeros(count, dtype=row_dtype(view))
    for name in ("values", "n", "coverage", "se"):
        packed[name] = np.nan
    packed["status"] = Status.NOT_FOUND
    return packed


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    # unsafe: an unproven report can make a count beyond 2**53, which is rounded and must not stop the publication
    values: npt.NDArray[np.float64] = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan).to_numpy()
    return values


def _filled(column: pa.ChunkedArray, width: int) -> pa.ChunkedArray:
    """A fixed-size list column with each null list replaced by a list of nulls, so that flattening keeps every row."""
    empty = pa.scalar([None] * width, pa.list_(pa.int64(), width))
    return pc.if_else(column.is_valid(), column, empty)
