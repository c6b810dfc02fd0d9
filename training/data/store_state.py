"""The state of a store that determines a join: the definitions and all published panes of its views."""

from __future__ import annotations

import hashlib
import json
import marshal
import pickle
import sysconfig
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, TypeAlias

from featurestore.define.definitions import FeatureView
from featurestore.define.on_demand import OnDemandView
from featurestore.define.release import BUDGET_SPENT
from featurestore.define.wire import definition_hash
from featurestore.errors import UnknownView
from featurestore.remote.store import RemoteStore
from featurestore.store import Store

AnyStore: TypeAlias = Store | RemoteStore

_LIBRARIES: Final = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
"""Folders of installed code, which is identified by its name."""


@dataclass(frozen=True)
class ViewState:
    """One view as a join reads it.

    Attributes:
        name: as references spell it, with `@v<n>` if they pin a version.
        state: hex SHA-256 of its definition and its publications.
        first_release, newest_release: µs, of the panes with rows; None if there are none.
    """

    name: str
    view: FeatureView
    state: str
    first_release: int | None
    newest_release: int | None


@dataclass(frozen=True)
class StoreState:
    """The views of references, by name, and everything else that determines their values."""

    views: tuple[ViewState, ...]
    computed: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Return the hex SHA-256 of the state."""
        told = [*((one.name, one.state) for one in self.views), *self.computed]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def store_state_of(store: AnyStore, refs: Sequence[str]) -> StoreState:
    """Read the state of the views that the references need.

    A local store gives the content of its panes. A server gives the ids of its releases, which follow from their plans. The
    server's own on-demand views are unknown here, so they get a new state every time.
    """
    names = list(dict.fromkeys(ref.partition(":")[0] for ref in refs))
    on_demand = store.on_demand if isinstance(store, Store) else {}
    needed, computed = dict[str, FeatureView](), list[str]()
    for name in names:
        if name in on_demand:
            sources = dict.fromkeys(ref.partition(":")[0] for ref in on_demand[name].features.values())
            needed |= {source: store.view(source) for source in sources if source not in needed}
            computed.append(_code_of(on_demand[name]))
            continue
        try:
            needed[name] = store.view(name)
        except UnknownView:
            computed.append(uuid.uuid4().hex)
    return StoreState(tuple(_state_of(store, name, view) for name, view in needed.items()), tuple(computed))


def _state_of(store: AnyStore, name: str, view: FeatureView) -> ViewState:
    digest = hashlib.sha256(definition_hash(view))
    published = store.published(name, 0)
    for one in published:
        digest.update(repr((one.seq, one.version, one.release_id, one.state, one.pane_start, one.released_at)).encode())
        digest.update(repr((one.published_at, one.reason)).encode())
    if isinstance(store, Store):
        registry = store._registry  # a server has no registry
        digest.update(registry.contents(registry.named(name)))
    released = [one.released_at for one in published if one.state != "retracted" and one.reason != BUDGET_SPENT]
    return ViewState(name, view, digest.hexdigest(), min(released, default=None), max(released, default=None))


def _code_of(view: OnDemandView) -> str:
    """Hash an on-demand view: its code, and the functions and values that it refers to.

    A class and installed code count by name only. Code that cannot be hashed has a new state every time.
    """
    told = [view.name, view.outputs, sorted(view.features.items()), sorted(view.inputs.items())]
    digest = hashlib.sha256(repr(told).encode())
    _add(view.function, digest, set())
    return digest.hexdigest()


def _add(value: Any, digest: Any, seen: set[int]) -> None:
    """Add a function or a value to a digest; functions in `seen` are in it already."""
    value = getattr(value, "py_func", value)  # numba keeps the Python function there
    if not isinstance(value, FunctionType):
        digest.update(value.__name__.encode() if isinstance(value, ModuleType) else _pickled(value))
    elif value.__code__.co_filename.startswith(_LIBRARIES):
        digest.update(f"{value.__module__}.{value.__qualname__}".encode())
    elif id(value) not in seen:
        seen.add(id(value))
        digest.update(marshal.dumps(value.__code__))
        names = sorted({name for code in _codes(value.__code__) for name in code.co_names} & value.__globals__.keys())
        enclosed = [cell.cell_contents for cell in value.__closure__ or ()]
        for one in (value.__defaults__, value.__kwdefaults__, *enclosed, *(value.__globals__[name] for name in names)):
            _add(one, digest, seen)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of a function and of the functions within it."""
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError):
        return uuid.uuid4().bytes
