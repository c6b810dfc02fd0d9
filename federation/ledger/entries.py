"""What stands in a privacy ledger, and the hash chain over it: `head(i+1) = SHA-256(head(i) ‖ entry)`.

An entry is one line of canonical JSON (sorted keys, no spaces): a person can read a ledger with no tool of ours. The
chain starts from the owner's name, so no ledger passes for another one's. Where several roles charge one ledger, each entry
names the one that wrote it; in a ledger of one role none does.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

IN_PROCESS: Final = "in-process"
"""The role of a run in one process: leader and helper at once."""
HASH_BYTES: Final = 32
SEQ_BYTES: Final = 8
LARGEST_SEQ: Final = 2**63 - 1
"""What SQLite counts to."""
MAX_REFUSAL: Final = 40

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Head:
    """A ledger after `seq` entries: whoever remembers it notices a ledger that was edited, cut or rolled back."""

    seq: int
    digest: bytes

    def next(self, line: str) -> Head:
        """The head after one more entry."""
        return Head(self.seq + 1, hashlib.sha256(self.digest + line.encode()).digest())

    def to_bytes(self) -> bytes:
        """40 bytes, as others are told: seq, big-endian, then the digest."""
        return self.seq.to_bytes(SEQ_BYTES, "big") + self.digest

    @classmethod
    def from_bytes(cls, data: bytes) -> Head:
        """Parse. Raises ValueError."""
        if len(data) != SEQ_BYTES + HASH_BYTES:
            raise ValueError(f"a head of a ledger has {SEQ_BYTES + HASH_BYTES} bytes, got {len(data):,}")
        if (seq := int.from_bytes(data[:SEQ_BYTES], "big")) > LARGEST_SEQ:
            raise ValueError(f"no ledger has {seq:,} entries")
        return cls(seq, data[SEQ_BYTES:])


def genesis(owner: str) -> Head:
    """The head of an empty ledger."""
    return Head(0, hashlib.sha256(b"covey-1 ledger " + owner.encode()).digest())


@dataclass(frozen=True, eq=False)
class ViewIntent:
    """One view of a plan that may be opened from now on, and the client-days that it is charged for.

    Attributes:
        scales: the noise of each group as `Δ/µ` in integers, or `none`, and under `he` the leak; parties compare integers,
            never floats.
        micro_rho: what one client-day costs.
        days: int64[D], UTC days (since the epoch) that are newly charged; days that were paid before are not in it.
        panes: int64[P], pane starts in µs, increasing: each may be opened under this plan, and never under another.
    """

    view: str
    definition: bytes
    scales: str
    micro_rho: int
    days: Ints
    panes: Ints


@dataclass(frozen=True, eq=False)
class Intended:
    """Charge and intent of one plan: committed before anything of it is computed or opened.

    Attributes:
        budget_micro_rho: what a client-day might cost when this was charged.
        views: none where another role has charged this plan already: both open it together, so it is paid once.
        role: who wrote the entry, in a ledger of several roles.
    """

    at_us: int
    plan: bytes
    budget_micro_rho: int
    views: tuple[ViewIntent, ...]
    role: str = ""


@dataclass(frozen=True)
class Done:
    """What came of a plan, bound by a hash: an aggregator's opening statement, a site's used cells and report ids."""

    at_us: int
    plan: bytes
    digest: bytes
    role: str = ""


@dataclass(frozen=True)
class Refused:
    """A plan that was refused, and why. `view` and `day` where the reason is one view's or one day's."""

    at_us: int
    plan: bytes
    code: str
    view: str | None = None
    day: int | None = None
    role: str = ""


Entry: TypeAlias = Intended | Done | Refused


def entry_to_line(entry: Entry) -> str:
    """The canonical line of an entry."""
    data: dict[str, Any] = {"at": entry.at_us, "plan": entry.plan.hex()}
    if entry.role:
        data["role"] = entry.role
    match entry:
        case Intended():
            views = [_view_to_json(view) for view in entry.views]
            data |= {"kind": "intended", "budget": entry.budget_micro_rho, "views": views}
        case Done():
            data |= {"kind": "done", "digest": entry.digest.hex()}
        case Refused():
            data |= {"kind": "refused", "code": entry.code, "view": entry.view, "day": entry.day}
        case _:
            assert_never(entry)
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def entry_from_line(line: str) -> Entry:
    """The entry of a canonical line. Raises ValueError for anything else."""
    try:
        data = json.loads(line)
        at, plan, role = int(data["at"]), _hash(data["plan"]), str(data.get("role", ""))
        entry: Entry
        match data["kind"]:
            case "intended":
                views = tuple(_view_from_json(view) for view in data["views"])
                entry = Intended(at, plan, int(data["budget"]), views, role)
            case "done":
                entry = Done(at, plan, _hash(data["digest"]), role)
            case "refused":
                entry = Refused(at, plan, str(data["code"]), data["view"], data["day"], role)
            case kind:
                raise ValueError(f"no entry is a {kind!r}")
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"no entry of a ledger: {error!r}") from None
    if entry_to_line(entry) != line:
        raise ValueError("an entry that is not canonical")
    return entry


def _view_to_json(view: ViewIntent) -> dict[str, Any]:
    return {
        "view": view.view,
        "definition": view.definition.hex(),
        "scales": view.scales,
        "micro_rho": view.micro_rho,
        "days": _runs(view.days),
        "panes": _runs(view.panes),
    }


def _view_from_json(data: dict[str, Any]) -> ViewIntent:
    days, panes = _from_runs(data["days"]), _from_runs(data["panes"])
    return ViewIntent(
        str(data["view"]), _hash(data["definition"]), str(data["scales"]), int(data["micro_rho"]), days, panes
    )


def _runs(values: Ints) -> list[list[int]]:
    """Increasing integers as [first, step, count]: a year of hourly panes is one run. Greedy, so it is canonical."""
    runs: list[list[int]] = []
    gaps = np.diff(values)
    at = 0
    while at < len(values):
        if at == len(values) - 1:
            runs.append([int(values[at]), 0, 1])
            break
        step = int(gaps[at])
        ends = np.flatnonzero(gaps[at:] != step)
        count = int(ends[0]) + 1 if len(ends) else len(values) - at
        runs.append([int(values[at]), step, count])
        at += count
    return runs


def _from_runs(runs: list[list[int]]) -> Ints:
    parts = [np.empty(0, np.int64)]
    for first, step, count in runs:
        if not 1 <= count <= 2**24:
            raise ValueError(f"a run of {count} values")
        parts.append(first + step * np.arange(count, dtype=np.int64))
    return np.concatenate(parts)


def _hash(text: str) -> bytes:
    data = bytes.fromhex(text)
    if len(data) != HASH_BYTES:
        raise ValueError(f"a hash of {len(data)} bytes")
    return data
