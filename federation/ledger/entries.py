"""The entries of a privacy ledger, and the hash chain over them: `head(i+1) = SHA-256(head(i) ‖ entry)`.

An entry is one line of canonical JSON (sorted keys, no spaces), which is readable without a tool. The chain starts from the
owner's name, so the ledger of one owner cannot replace that of another. If several roles charge one ledger, each entry
names the role that wrote it; in a ledger of one role, entries name none.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from base.times import DAY_US
from federation.price import Observer, Price, Rho

IN_PROCESS: Final = "in-process"
"""The role of a run in one process, which is leader and helper at once."""
HASH_BYTES: Final = 32
SEQ_BYTES: Final = 8
LARGEST_SEQ: Final = 2**63 - 1
"""The largest integer of SQLite."""
MAX_REFUSAL: Final = 40
DAY: Final = "day"
"""The privacy unit of a charge: a client-day."""

_OF_NO_PLAN: Final = ("rebuilt", "checkpoint")

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Head:
    """A ledger after `seq` entries. A party that remembers it detects a ledger that was edited, cut or rolled back."""

    seq: int
    digest: bytes

    def next(self, line: str, seq: int | None = None) -> Head:
        """The head after one more entry, whose number is the next one by default."""
        return Head(self.seq + 1 if seq is None else seq, hashlib.sha256(self.digest + line.encode()).digest())

    def to_bytes(self) -> bytes:
        """40 bytes, as the head travels: seq, big-endian, then the digest."""
        return self.seq.to_bytes(SEQ_BYTES, "big") + self.digest

    @classmethod
    def from_bytes(cls, data: bytes) -> Head:
        """Parse. Raises ValueError."""
        if len(data) != SEQ_BYTES + HASH_BYTES:
            raise ValueError(f"the head of a ledger has {len(data):,} bytes, need {SEQ_BYTES + HASH_BYTES}")
        if (seq := int.from_bytes(data[:SEQ_BYTES], "big")) > LARGEST_SEQ:
            raise ValueError(f"the head of a ledger names entry {seq:,}; the largest is {LARGEST_SEQ:,}")
        return cls(seq, data[SEQ_BYTES:])


def genesis(owner: str) -> Head:
    """The head of an empty ledger."""
    return Head(0, hashlib.sha256(b"covey-1 ledger " + owner.encode()).digest())


@dataclass(frozen=True, eq=False)
class ViewIntent:
    """One view of a charged plan: it may be opened from now on, and it pays for these client-days.

    Attributes:
        collection: the view's collection hash: what it counts, by which bounds, for which price.
        schema: the view's definition hash, which also covers names, windows and texts.
        scales: the noise of each group as `Δ/µ` in integers, or `none`, and under `he` the leak. Parties compare integers,
            never floats.
        price: what one client-day costs.
        days: int64[D], UTC days (since the epoch) that this entry charges; days that were paid before are not included.
        panes: int64[P], pane starts in µs, increasing. Each may be opened under this plan. It may be opened under another
            plan only if that plan names this one as an earlier attempt.
    """

    view: str
    collection: bytes
    schema: bytes
    scales: str
    price: Price
    days: Ints
    panes: Ints


@dataclass(frozen=True)
class Retry:
    """An earlier plan whose panes a plan takes again.

    Attributes:
        carried: whether both aggregators signed that they never opened these panes. Then the earlier charge covers the new
            plan, too. Otherwise the new plan pays for the days of these panes again.
    """

    plan: bytes
    carried: bool


@dataclass(frozen=True, eq=False)
class IntentEntry:
    """Charge and intent of one plan: committed before anything of it is computed or opened.

    Attributes:
        budget_micro_rho: the budget of a client-day at the time of the charge; `counts`: which prices it counted.
        views: empty if another role has charged this plan already: both open it together, so it is paid once.
        role: the role that wrote the entry, in a ledger of several roles.
        keys: the signing keys of leader and helper in the plan; empty in one process. Only statements of these keys can
            say later that the plan was never opened.
        retries: the plans of this ledger whose panes this plan takes again.
    """

    at_us: int
    plan: bytes
    budget_micro_rho: int
    views: tuple[ViewIntent, ...]
    role: str = ""
    keys: tuple[bytes, ...] = ()
    retries: tuple[Retry, ...] = ()
    counts: Observer = Observer.AGGREGATOR


@dataclass(frozen=True)
class CompletionEntry:
    """The result of a plan, bound by a hash: an aggregator's opening statements, a site's used cells and report ids."""

    at_us: int
    plan: bytes
    digest: bytes
    role: str = ""


@dataclass(frozen=True)
class RefusalEntry:
    """A refused plan and the code of the refusal. `view` and `day` are set if the refusal concerns one view or one day."""

    at_us: int
    plan: bytes
    code: str
    view: str | None = None
    day: int | None = None
    role: str = ""


@dataclass(frozen=True)
class FreedEntry:
    """An aggregator has erased what it held of a plan, and never opens it. A freed plan stays freed."""

    at_us: int
    plan: bytes
    role: str = ""


@dataclass(frozen=True)
class RebuiltEntry:
    """The ledger was rebuilt after a loss. Nobody knows what it was charged for before.

    So every pane that had ended by then counts as taken, and every day until then as spent. The number of this entry is its
    time, which exceeds the number of entries that any ledger had. So parties that remember a lost entry accept the new ones.
    """

    at_us: int

    @property
    def day(self) -> int:
        """The last UTC day (since the epoch) that counts as spent."""
        return self.at_us // DAY_US


@dataclass(frozen=True)
class CheckpointEntry:
    """The state after all entries before this one is stored beside them, so that the ledger opens without reading them.

    Attributes:
        form: how the state is written as bytes.
        digest: the SHA-256 of these bytes.
    """

    at_us: int
    form: int
    digest: bytes


Entry: TypeAlias = IntentEntry | CompletionEntry | RefusalEntry | FreedEntry | RebuiltEntry | CheckpointEntry


def number_of(entry: Entry, before: int) -> int:
    """The number of an entry after the entry with the number `before`."""
    return entry.at_us if isinstance(entry, RebuiltEntry) else before + 1


def entry_to_line(entry: Entry) -> str:
    """The canonical line of an entry."""
    data: dict[str, Any] = {"at": entry.at_us}
    if not isinstance(entry, (RebuiltEntry, CheckpointEntry)):
        data["plan"] = entry.plan.hex()
        if entry.role:
            data["role"] = entry.role
    match entry:
        case IntentEntry():
            views = [_view_to_json(view) for view in entry.views]
            data |= {"kind": "intended", "unit": DAY, "budget": entry.budget_micro_rho, "counts": entry.counts.value}
            data |= {"views": views}
            data |= {"keys": [key.hex() for key in entry.keys]}
            data |= {"retries": [{"plan": retry.plan.hex(), "carried": retry.carried} for retry in entry.retries]}
        case CompletionEntry():
            data |= {"kind": "done", "digest": entry.digest.hex()}
        case RefusalEntry():
            data |= {"kind": "refused", "code": entry.code, "view": entry.view, "day": entry.day}
        case FreedEntry():
            data |= {"kind": "freed"}
        case RebuiltEntry():
            data |= {"kind": "rebuilt"}
        case CheckpointEntry():
            data |= {"kind": "checkpoint", "form": entry.form, "digest": entry.digest.hex()}
        case _:
            assert_never(entry)
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def entry_from_line(line: str) -> Entry:
    """The entry of a canonical line. Raises ValueError for anything else."""
    try:
        data = json.loads(line)
        at, kind = int(data["at"]), data["kind"]
        plan, role = b"" if kind in _OF_NO_PLAN else _hash(data["plan"]), str(data.get("role", ""))
        entry: Entry
        match kind:
            case "intended":
                if data["unit"] != DAY:
                    raise ValueError(f"unknown privacy unit {data['unit']!r}; this version knows {DAY!r}")
                views = tuple(_view_from_json(view) for view in data["views"])
                keys = tuple(_hash(key) for key in data["keys"])
                retries = tuple(Retry(_hash(retry["plan"]), bool(retry["carried"])) for retry in data["retries"])
                budget, counts = int(data["budget"]), Observer(data["counts"])
                entry = IntentEntry(at, plan, budget, views, role, keys, retries, counts)
            case "done":
                entry = CompletionEntry(at, plan, _hash(data["digest"]), role)
            case "refused":
                entry = RefusalEntry(at, plan, str(data["code"]), data["view"], data["day"], role)
            case "freed":
                entry = FreedEntry(at, plan, role)
            case "rebuilt":
                if not 0 < at <= LARGEST_SEQ:
                    raise ValueError(f"a ledger cannot be rebuilt at {at}")
                entry = RebuiltEntry(at)
            case "checkpoint":
                entry = CheckpointEntry(at, int(data["form"]), _hash(data["digest"]))
            case _:
                raise ValueError(f"unknown kind of entry {kind!r}")
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not an entry of a ledger: {error!r}") from None
    if entry_to_line(entry) != line:
        raise ValueError("the entry is not canonical")
    return entry


def _view_to_json(view: ViewIntent) -> dict[str, Any]:
    return {
        "view": view.view,
        "collection": view.collection.hex(),
        "schema": view.schema.hex(),
        "scales": view.scales,
        "price": price_to_json(view.price),
        "days": runs_of(view.days),
        "panes": runs_of(view.panes),
    }


def _view_from_json(data: dict[str, Any]) -> ViewIntent:
    days, panes = from_runs(data["days"]), from_runs(data["panes"])
    hashes = _hash(data["collection"]), _hash(data["schema"])
    return ViewIntent(str(data["view"]), *hashes, str(data["scales"]), price_from_json(data["price"]), days, panes)


def price_to_json(price: Price) -> dict[str, Any]:
    """A price as a ledger writes it."""
    return {
        "aggregator": {"micro_rho": price.aggregator.micro_rho, "rounded": price.aggregator.rounded},
        "outsiders": {"micro_rho": price.outsiders.micro_rho, "rounded": price.outsiders.rounded},
        "coordinates": price.coordinates,
        "micro_epsilon": price.micro_epsilon,
        "leak": price.leak,
    }


def price_from_json(data: dict[str, Any]) -> Price:
    """The price. Raises KeyError, ValueError."""
    return Price(
        _rho_from_json(data["aggregator"]),
        _rho_from_json(data["outsiders"]),
        int(data["coordinates"]),
        int(data["micro_epsilon"]),
        int(data["leak"]),
    )


def _rho_from_json(data: dict[str, Any]) -> Rho:
    return Rho(int(data["micro_rho"]), None if data["rounded"] is None else int(data["rounded"]))


def runs_of(values: Ints) -> list[list[int]]:
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


def from_runs(runs: list[list[int]]) -> Ints:
    """The integers of such runs. Raises ValueError."""
    parts = [np.empty(0, np.int64)]
    for first, step, count in runs:
        if not 1 <= count <= 2**24:
            raise ValueError(f"a run has {count} values, outside [1, 2^24]")
        parts.append(first + step * np.arange(count, dtype=np.int64))
    return np.concatenate(parts)


def _hash(text: str) -> bytes:
    data = bytes.fromhex(text)
    if len(data) != HASH_BYTES:
        raise ValueError(f"a hash has {len(data)} bytes, need {HASH_BYTES}")
    return data
