"""A checkpoint: the state of a ledger as bytes, stored beside its entries, so that it opens without reading all of them.

    manifest    which columns the state has, how long each is, and the SHA-256 of each of its pieces
    pieces      64 KiB of a column, or of the rest as JSON; equal pieces of two checkpoints are stored once

The chain holds the SHA-256 of the manifest (`CheckpointEntry`), so an edited checkpoint is noticed when the ledger is opened. It
is only a cache: if it is damaged, the entries are read instead. Whoever follows the entries compares every checkpoint with the
state that they give.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from federation.price import Observer

from .columns import Column
from .entries import RebuiltEntry, Retry, price_from_json, price_to_json
from .plans import Kind
from .state import Budget, Charge, LedgerState
from .taken import TakenPanes

FORM: Final = 1
"""How a state is written. A checkpoint of another form is not read, and not compared."""
PIECE_BYTES: Final = 2**16

Json = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A state as bytes.

    Attributes:
        pieces: by their SHA-256.
    """

    manifest: bytes
    pieces: dict[bytes, bytes] = field(repr=False)

    @property
    def digest(self) -> bytes:
        """What the chain holds."""
        return hashlib.sha256(self.manifest).digest()


def checkpoint_of(state: LedgerState) -> Checkpoint:
    """The bytes of a state. They follow from the entries alone, whatever process wrote them, and for whatever role."""
    pieces: dict[bytes, bytes] = {}

    def cut(data: bytes) -> list[str]:
        found = []
        for at in range(0, len(data), PIECE_BYTES):
            piece = data[at : at + PIECE_BYTES]
            pieces[digest := hashlib.sha256(piece).digest()] = piece
            found.append(digest.hex())
        return found

    rest = json.dumps(_rest(state), separators=(",", ":")).encode()
    columns = {name: [len(one), *cut(one.values.tobytes())] for name, one in _columns(state)}
    manifest = json.dumps({"columns": columns, "rest": cut(rest)}, separators=(",", ":")).encode()
    return Checkpoint(manifest, pieces)


def state_of(manifest: bytes, piece: Callable[[bytes], bytes], role: str) -> LedgerState:
    """The state of a checkpoint, for one role.

    Args:
        piece: gives the bytes of a piece by its SHA-256.

    Raises:
        ValueError: a piece was edited, or these are not the bytes of a state. KeyError: a piece is missing.
    """

    def join(digests: Iterable[str]) -> bytes:
        parts = []
        for digest in map(bytes.fromhex, digests):
            parts.append(data := piece(digest))
            if hashlib.sha256(data).digest() != digest:
                raise ValueError(f"piece {digest.hex()[:16]}… was edited")
        return b"".join(parts)

    said = json.loads(manifest)
    state = LedgerState(role)
    _read_rest(state, json.loads(join(said["rest"])))
    for name, column in _columns(state):
        rows, *digests = said["columns"][name]
        column.load(np.frombuffer(join(digests), column.values.dtype).reshape(rows, *column.values.shape[1:]))
    state.plans.hashes.sort()
    return state


def _columns(state: LedgerState) -> Iterator[tuple[str, Column]]:
    yield from ((f"plans: {name}", one) for name, one in state.plans.columns.items())
    yield from ((f"refused: {name}", one) for name, one in state.refused.columns.items())
    for collection, taken in state.taken.items():
        yield from ((f"{collection.hex()}: {name}", one) for name, one in taken.columns.items())


def _rest(state: LedgerState) -> Json:
    """What is no column: numbers of the whole ledger, and what grows with views and days, not with plans."""
    plans, budget = state.plans, state.budget
    return {
        "length": state.length,
        "last": state.last,
        "last_us": state.last_us,
        "budget": None if budget is None else [budget.micro_rho, budget.counts.value],
        "rebuilt": None if state.rebuilt is None else state.rebuilt.at_us,
        "parts": list(plans.parts),
        "keyrings": [[key.hex() for key in keys] for keys in plans.keyrings],
        "kinds": [[of.view, of.collection.hex(), of.schema.hex(), of.scales, of.in_process] for of in plans.kinds],
        "collections": [one.hex() for one in state.taken],
        "reasons": [list(one) for one in state.refused.reasons],
        "paid": [[*_charge_to_json(one), price_to_json(price)] for one, price in state.paid.items()],
        "roles": [[*_charge_to_json(one), list(who)] for one, who in state.roles.items()],
        "prices": [[day, price_to_json(price)] for day, price in state.prices.items()],
        "collections of days": [[*of_day, [one.hex() for one in found]] for of_day, found in state.collections.items()],
        "by_view": [[view, day, price_to_json(price)] for (view, day), price in state.by_view.items()],
        "again": [[one.hex(), day, times] for (one, day), times in state.again.items()],
        "retaken": [[one.hex(), day, times] for (one, day), times in state.retaken.items()],
        "ends": [[role, one.hex(), day, times, of.hex()] for (role, one, day), (times, of) in state.ends.items()],
        "again_of": [[plan.hex(), one.hex(), day, times] for (plan, one, day), times in state.again_of.items()],
        "retried": [[plan.hex(), [one.hex() for one in later]] for plan, later in state.retried.items()],
        "retries": [[plan.hex(), [[one.plan.hex(), one.carried] for one in of]] for plan, of in state.retries.items()],
    }


def _read_rest(state: LedgerState, said: Json) -> None:
    unhex = bytes.fromhex
    state.length, state.last, state.last_us = said["length"], said["last"], said["last_us"]
    state.budget = said["budget"] and Budget(said["budget"][0], counts=Observer(said["budget"][1]))
    state.rebuilt = None if said["rebuilt"] is None else RebuiltEntry(said["rebuilt"])
    for role in said["parts"]:
        state.plans.part(role)
    state.plans.keyrings = {tuple(map(unhex, keys)): at for at, keys in enumerate(said["keyrings"])}
    state.plans.load_kinds(Kind(view, unhex(one), unhex(schema), *of) for view, one, schema, *of in said["kinds"])
    state.taken = {unhex(one): TakenPanes() for one in said["collections"]}
    state.refused.reasons = {(code, view, role): at for at, (code, view, role) in enumerate(said["reasons"])}
    state.paid = {_charge_from_json(one): price_from_json(price) for *one, price in said["paid"]}
    state.roles = {_charge_from_json(one): dict.fromkeys(who) for *one, who in said["roles"]}
    state.prices = {day: price_from_json(price) for day, price in said["prices"]}
    state.collections = {
        (view, day): dict.fromkeys(map(unhex, found)) for view, day, found in said["collections of days"]
    }
    state.by_view = {(view, day): price_from_json(price) for view, day, price in said["by_view"]}
    state.again = {(unhex(one), day): times for one, day, times in said["again"]}
    state.retaken = {(unhex(one), day): times for one, day, times in said["retaken"]}
    state.ends = {(role, unhex(one), day): (times, unhex(of)) for role, one, day, times, of in said["ends"]}
    state.again_of = {(unhex(plan), unhex(one), day): times for plan, one, day, times in said["again_of"]}
    state.retried = {unhex(plan): dict.fromkeys(map(unhex, later)) for plan, later in said["retried"]}
    state.retries = {
        unhex(plan): tuple(Retry(unhex(one), bool(carried)) for one, carried in of) for plan, of in said["retries"]
    }


def _charge_to_json(one: Charge) -> list[Any]:
    return [one.view, one.collection.hex(), one.scales, one.day, one.in_process, one.again]


def _charge_from_json(data: list[Any]) -> Charge:
    view, collection, *others = data
    return Charge(view, bytes.fromhex(collection), *others)
