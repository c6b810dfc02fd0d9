"""The streams of Prio3 for a batch of reports (draft-irtf-cfrg-vdaf, VERSION 18, sections 6.2.3 and 7.2.8).

Usage, application context, seed and binder determine a stream. In a batch the last three may differ from report to report,
but not in length. Sixteen reports are absorbed and squeezed at a time (`crypto.xof_lanes`). A batch of a few reports, and
any report whose stream has a word that is no element, use the reference path (`crypto.xof`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import TooLong, WrongLength
from .ntt_field import Elements, NttField, Octets
from .xof import SEED_BYTES, XofTurboShake128

VERSION, CLASS_VDAF = 18, 0

# Up to this many reports leave most lanes idle; one by one they are faster.
_FEW = 3

Contexts: TypeAlias = bytes | Octets
"""One application context for all reports, or uint8[R, n]: one of n bytes for each."""


class Usage(IntEnum):
    """The purpose of a stream (section 7.2, constants of Prio3)."""

    MEAS_SHARE = 1
    PROOF_SHARE = 2
    JOINT_RANDOMNESS = 3
    PROVE_RANDOMNESS = 4
    QUERY_RANDOMNESS = 5
    JOINT_RAND_SEED = 6
    JOINT_RAND_PART = 7


def as_rows(what: str, octets: bytes | Octets, count: int, size: int | None = None) -> Octets:
    """`count` rows of bytes, uint8[count, n], all equal where one string is given. Raises WrongLength."""
    require_rows(what, octets, count, size)
    if not isinstance(octets, bytes):
        return octets
    row = np.frombuffer(octets, np.uint8)[None]
    return row if count == 1 else np.broadcast_to(row, (count, len(octets)))


def require_rows(what: str, octets: bytes | Octets, count: int, size: int | None = None) -> None:
    """Raise WrongLength unless there are `count` rows, or one string for all, of `size` bytes."""
    if not isinstance(octets, bytes) and len(octets) != count:
        raise WrongLength(f"rows of {what}", len(octets), count)
    have = len(octets) if isinstance(octets, bytes) else octets.shape[1]
    if size not in (None, have):
        raise WrongLength(f"bytes of {what}", have, size)


@dataclass(frozen=True)
class Prio3Xof:
    """XofTurboShake128 under the tags of one algorithm."""

    algorithm: int

    def elements(
        self, field: NttField, usage: Usage, contexts: Contexts, seeds: Octets, binder: bytes | Octets, length: int
    ) -> Elements:
        """Each stream's first `length` elements: `[R, length]` ("expand_into_vec"); `seeds: uint8[R, 32]`."""
        top = field.modulus - 1
        most = [top] * 2 if field.words == 1 else [2**64 - 1, (top >> 64) - 1]
        words, suspect = self._words(usage, contexts, seeds, binder, None, length * field.words, most)
        elements = words.reshape(field.shape(len(seeds), length))
        for r in np.flatnonzero(suspect).tolist():
            elements[r] = _next_elements(field, self._one(usage, contexts, seeds, binder, r), length)
        return elements

    def seeds(
        self, usage: Usage, contexts: Contexts, seeds: Octets, binder: bytes | Octets, body: Elements | None = None
    ) -> Octets:
        """A fresh seed from each: uint8[R, 32] ("derive_seed"). Elements of `body: [R, n]` end the binder."""
        words, suspect = self._words(usage, contexts, seeds, binder, body, SEED_BYTES // 8, [2**64 - 1] * 2)
        octets = words.astype("<u8", copy=False).view(np.uint8).reshape(len(seeds), SEED_BYTES)
        for r in np.flatnonzero(suspect).tolist():
            stream = self._one(usage, contexts, seeds, binder, r, b"" if body is None else _bytes(body[r]))
            octets[r] = np.frombuffer(stream.next(SEED_BYTES), np.uint8)
        return octets

    def _tag(self, usage: Usage) -> bytes:
        return bytes([VERSION, CLASS_VDAF]) + self.algorithm.to_bytes(4, "big") + usage.to_bytes(2, "big")

    def _one(
        self, usage: Usage, contexts: Contexts, seeds: Octets, binder: bytes | Octets, r: int, body: bytes = b""
    ) -> XofTurboShake128:
        """The stream of report r, by the reference path."""
        context, bound = (part if isinstance(part, bytes) else part[r].tobytes() for part in (contexts, binder))
        return XofTurboShake128(seeds[r].tobytes(), self._tag(usage) + context, bound + body)

    def _words(
        self,
        usage: Usage,
        contexts: Contexts,
        seeds: Octets,
        binder: bytes | Octets,
        body: Elements | None,
        length: int,
        most: list[int],
    ) -> tuple[Elements, npt.NDArray[np.uint8]]:
        """The first words of each stream: uint64[R, length], and which rows the reference path must replace."""
        count = len(seeds)
        require_rows("seeds", seeds, count, SEED_BYTES)
        require_rows("contexts", contexts, count)
        require_rows("binders", binder, count)
        out, suspect = np.empty((count, length), np.uint64), np.ones(count, np.uint8)
        if count <= _FEW:
            return out, suspect
        context, bound = as_rows("contexts", contexts, count), as_rows("binders", binder, count)
        tag = self._tag(usage)
        if (size := len(tag) + context.shape[1]) > 0xFFFF:
            raise TooLong("domain separation tag", size, 0xFFFF)
        head = size.to_bytes(2, "little") + tag
        parts = [as_rows("tag", head, count), context, as_rows("seed size", bytes([SEED_BYTES]), count), seeds, bound]
        head_bytes = sum(part.shape[1] for part in parts)
        parts.append(np.zeros((count, 8 - head_bytes % 8), np.uint8))
        heads = np.concatenate(parts, axis=1).view("<u8").astype(np.uint64, copy=False)
        bodies = np.empty((count, 0), np.uint64) if body is None else np.ascontiguousarray(body).reshape(count, -1)
        from . import xof_lanes  # imports numba, which takes half a second

        xof_lanes.absorb(heads, head_bytes, bodies, np.array(most, np.uint64), out, suspect)
        return out, suspect


def _bytes(elements: Elements) -> bytes:
    return elements.astype("<u8", copy=False).tobytes()


def _next_elements(field: NttField, stream: XofTurboShake128, length: int) -> Elements:
    """The next elements `[length]` of a stream; words of p or more are skipped ("next_vec")."""
    accepted: list[Elements] = []
    missing = length
    while missing:  # each turn reads what is missing, so the stream is never read too far
        words = np.frombuffer(stream.next(missing * field.encoded_size), "<u8").astype(np.uint64, copy=False)
        candidates = words.reshape(field.shape(missing))
        good = field.canonical(candidates)
        accepted.append(candidates if good.all() else candidates[good])
        missing -= len(accepted[-1])
    return np.concatenate([field.empty(0), *accepted])
