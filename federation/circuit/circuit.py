"""The validity circuit of a feature view: it accepts a report exactly if a client with some events could have made it.

The frame is the draft's: Prio3 with the FLP of section 7.3 and one `ParallelSum(Mul)`, as in SumVec. The circuit is Covey's,
so no official vectors cover it, and its algorithm identifiers are from the private-use range (draft-irtf-cfrg-vdaf, VERSION
18, section 10).

The measurement consists of bits: those of each key's cell (`cell`), key after key, then the number of active cells in the
range encoding of [0, max_cells], as in MultihotCountVec. The circuit's outputs are

    1                 Σ over all bits b·(b - 1), and over the pairs of forms of every cell, randomly weighted
    2 …               each cell's equalities, then Σ e - number of active cells

and it aggregates exactly the layout's raw slots, which are linear forms of the bits. The next steps, from the noise basis on,
are the same as without proofs. If all keys fit into `max_cells`, active cells are not counted.

A proof bounds one report, i.e. one client in one pane: see docs/validity.md. If a report is the sum of a site's clients, its
cells are those of `site_cell`, and the number of active cells is in [0, clients·max_cells].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from crypto.errors import WrongLength
from crypto.flp.circuit import PairCircuit, best_chunk_length
from crypto.flp.encoding import as_integers, range_checked_bits, weights
from crypto.ntt_field import FIELD64, FIELD128, Elements, NttField
from crypto.ntt_forms import Form
from crypto.prio3 import Prio3
from crypto.sharing import CONTEXT, PLAN_HASH_BYTES, SparseRows
from featurestore.define.layout import Layout
from federation.errors import ReportRefused

from .forms import Counts, added, minus, moved, scaled, value_of
from .site_cell import cell_of

AGGREGATORS: Final = 2


@dataclass(frozen=True)
class ProofSystem:
    """A field, the number of proofs of a report over it, and the algorithm identifier of Prio3 with both and this circuit.

    Each pair of a field and a number of proofs has its own identifier, because the draft's tags do not name the field.
    """

    field: NttField
    proofs: int
    algorithm: int


FIELD64_X3: Final = ProofSystem(FIELD64, 3, 0xFFFF0002)
"""Three proofs: with joint randomness the draft allows no fewer over Field64 (section 9.7)."""
FIELD128_X1: Final = ProofSystem(FIELD128, 1, 0xFFFF0003)


class ViewCircuit(PairCircuit[Sequence[int], list[int]]):
    """The circuit of the reports of a view in one pane. A measurement is a report: the raw slots, key-major.

    Args:
        clients: the most clients whose sum a report is.
    """

    def __init__(self, layout: Layout, field: NttField = FIELD64, clients: int = 1) -> None:
        cell, max_cells = cell_of(layout, clients), clients * layout.view.bounds.max_cells
        starts = range(0, layout.keys * cell.bits, cell.bits)
        equalities = [moved(form, start) for start in starts for form in cell.equalities]
        weighed = 0
        if layout.keys > layout.view.bounds.max_cells:
            scale = weights(max_cells)
            number = Form({layout.keys * cell.bits + i: weight for i, weight in enumerate(scale)})
            active = added(*(moved(cell.activity.form, start) for start in starts))
            equalities.append(minus(active, scaled(number, cell.activity.size)))
            weighed = len(scale)
        bits = layout.keys * cell.bits + weighed
        super().__init__(
            field,
            meas_len=bits,
            bits=bits,
            chunk_length=best_chunk_length(bits + layout.keys * len(cell.products)),
            output_len=layout.length,
            products=[(moved(u, start), moved(v, start)) for start in starts for u, v in cell.products],
            equalities=equalities,
            outputs_of=[moved(form, start) for start in starts for form in cell.slots],
        )
        self._layout, self._cell, self._clients = layout, cell, clients

    def encode(self, measurements: Sequence[Sequence[int]] | SparseRows) -> Elements:
        """Reports as elements `[R, meas_len]`, from dense raw slots, or from the sparse rows that a site computes.

        Sparse rows are made dense first; after that no branch and no address depends on a value.

        Raises:
            ReportRefused: slots that no client may send. WrongLength, ValueOutOfRange: slots of another view.
        """
        reports = self._dense(measurements)
        slots = reports.reshape(len(reports), self._layout.keys, self._layout.slots_per_key)
        cells = self._cell.encode(slots)
        parts = [cells.reshape(len(reports), self._layout.keys * self._cell.bits)]
        if self.meas_len > parts[0].shape[1]:
            most, activity = self._clients * self._layout.view.bounds.max_cells, self._cell.activity
            active = value_of(activity.form, cells).sum(axis=1) // activity.size
            parts.append(range_checked_bits(active, most))
        meas = self.field.from_small(np.concatenate(parts, axis=1))
        self._require_valid(meas, reports)
        return meas

    def decode(self, output: Elements, num_measurements: int) -> list[int]:
        """The sums of the raw slots."""
        return self.field.to_ints(output)

    def _dense(self, reports: Sequence[Sequence[int]] | SparseRows) -> Counts:
        """int64[R, length]."""
        length = self._layout.length
        if not isinstance(reports, SparseRows):
            largest = self._clients * max(slot.max_value for slot in self._layout.slots)
            return np.asarray(as_integers("slot", reports, largest, length), np.int64)
        if reports.length != length:
            raise WrongLength("slots of a report", reports.length, length)
        dense = np.zeros((len(reports), length), np.int64)
        np.add.at(dense, (np.repeat(np.arange(len(reports)), np.diff(reports.indptr)), reports.columns), reports.values)
        return dense

    def _require_valid(self, meas: Elements, reports: Counts) -> None:
        """Evaluate the circuit in the clear: return if `meas` encodes these slots and satisfies every relation."""
        left, right = self._left.apply(meas, 1), self._right.apply(meas, 1)
        wrong = _any(self.truncate(meas) != self.field.from_small(reports))
        wrong |= _any(self.field.multiply(left, right)) | _any(self._equalities.apply(meas, 1))
        if wrong.any():
            view = self._layout.view
            raise ReportRefused(
                f"report {int(np.argmax(wrong))} is not within the bounds of view {view.name!r}: {view.bounds}"
                + (f", of {self._clients:,} clients" if self._clients > 1 else "")
            )


ViewPrio3: TypeAlias = Prio3[Sequence[int], list[int]]


@lru_cache(maxsize=16)
def prio3_of(layout: Layout, system: ProofSystem = FIELD64_X3, clients: int = 1) -> ViewPrio3:
    """Prio3 with the circuit of a layout, for leader and helper; reports are sums of at most `clients` clients."""
    return Prio3(system.algorithm, ViewCircuit(layout, system.field, clients), AGGREGATORS, system.proofs)


def contexts(plan_hash: bytes, collections: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """The application context of each report, uint8[R, 43]: `covey-1`, plan hash, collection index (u32 BE).

    The draft does not bind circuit parameters; the hash of the plan does, because the plan has all of them. Raises
    WrongLength.
    """
    if len(plan_hash) != PLAN_HASH_BYTES:
        raise WrongLength("bytes of a plan hash", len(plan_hash), PLAN_HASH_BYTES)
    head = np.frombuffer(CONTEXT + plan_hash, np.uint8)
    indices = collections.astype(">u4")[:, None].view(np.uint8)
    return np.concatenate((np.broadcast_to(head, (len(collections), len(head))), indices), axis=1)


def _any(elements: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """bool[R]: which rows have an entry that is not zero."""
    return np.asarray(elements.any(axis=tuple(range(1, elements.ndim))), np.bool_)
