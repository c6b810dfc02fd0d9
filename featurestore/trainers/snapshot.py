"""What of a store a join follows from: the definitions of its views and every pane that was published of them."""

from __future__ import annotations

import hashlib
import json
import marshal
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from featurestore.definitions import FeatureView
from featurestore.on_demand import OnDemandView
from featurestore.remote import RemoteStore
from featurestore.rows import BUDGET_SPENT
from featurestore.store import Store
from featurestore.wire import definition_hash

AnyStore: TypeAlias = Store | RemoteStore


@dataclass(frozen=True)
class ViewState:
    """One view as a join reads it.

    Attributes:
        state: hex SHA-256 of its definition and its publications.
        first_release, newest_release: µs, of the panes that make rows; None if there are none.
    """

    view: FeatureView
    state: str
    first_release: int | None
    newest_release: int | None


@dataclass(frozen=True)
class Snapshot:
    """The views behind some references, by name, and what else their values follow from."""

    views: tuple[ViewState, ...]
    computed: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Hex SHA-256 of all of it."""
        told = [*((one.view.name, one.state) for one in self.views), *self.computed]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def snapshot_of(store: AnyStore, refs: Sequence[str]) -> Snapshot:
    """The state of the views that the references need.

    A local store tells what its panes hold. Of a server we have the ids of its releases, which follow from their plans; and its
    own transformations are not known here, so what they compute has a new state every time.
    """
    names = list(dict.fromkeys(ref.partition(":")[0].partition("@")[0] for ref in refs))
    on_demand = store.on_demand if isinstance(store, Store) else {}
    known = {view.name: view for view in store.views()}
    needed, computed = list[str](), list[str]()
    for name in names:
        if name in known:
            needed.append(name)
        elif name in on_demand:
            needed += [ref.partition(":")[0].partition("@")[0] for ref in on_demand[name].features.values()]
            computed.append(_code_of(on_demand[name]))
        else:
            computed.append(uuid.uuid4().hex)
    return Snapshot(
        tuple(_state_of(store, known[name]) for name in dict.fromkeys(needed) if name in known), tuple(computed)
    )


def _state_of(store: AnyStore, view: FeatureView) -> ViewState:
    digest = hashlib.sha256(definition_hash(view))
    published = store.published(view.name, 0)
    for one in published:
        digest.update(repr((one.seq, one.version, one.release_id, one.state, one.pane_start, one.released_at)).encode())
        digest.update(repr((one.published_at, one.reason)).encode())
    if isinstance(store, Store):
        registry = store._registry  # of a server there is nothing like it
        digest.update(registry.contents(registry.view(view.name).view_id))
    released = [one.released_at for one in published if one.state != "retracted" and one.reason != BUDGET_SPENT]
    return ViewState(view, digest.hexdigest(), min(released, default=None), max(released, default=None))


def _code_of(view: OnDemandView) -> str:
    """What a transformation computes, as far as its code tells: not what it calls, nor what it reads besides."""
    code = getattr(view.function, "__code__", None)
    told = [view.name, view.outputs, sorted(view.features.items()), sorted(view.inputs.items())]
    return hashlib.sha256(repr(told).encode() + (b"" if code is None else marshal.dumps(code))).hexdigest()
