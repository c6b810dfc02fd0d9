"""Ray Data: labels joined with the features released at each label's time, in tasks on any number of machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from deployment.errors import UsageError
from featurestore.define.on_demand import OnDemandView
from featurestore.define.release import Clock
from featurestore.define.services import FeatureService, refs_of
from featurestore.join.labels import JOIN_BATCH, label_times, open_labels
from featurestore.join.mixed_clocks import warn_of_mixed_clocks
from featurestore.remote.store import RemoteStore
from featurestore.store import Store
from training.errors import StoreMoved, TrainingArgument

if TYPE_CHECKING:
    from ray.data import Dataset

__all__ = ["read_features"]

_MAX_BYTES: Final = 2**28
"""Of the labels of a block."""


def read_features(
    store: str | Path,
    labels: pa.Table | str | Path,
    features: Sequence[str] | FeatureService | str,
    time: str,
    *,
    full_names: bool = False,
    clock: Clock | None = None,
    on_demand: Iterable[OnDemandView] = (),
    block_rows: int = JOIN_BATCH,
) -> Dataset:
    """A dataset with the rows and columns of `Store.join`. A block has neighbouring labels, and is joined when it is read.

    Blocks have Ray's order; rows within a block have the labels' order. All blocks are of one state of the store: a publication
    that changes the features of these labels, such as a back-fill, ends the read with StoreMoved. Releases after the labels'
    times change nothing.

    Args:
        store: a directory that every machine can read, or the URL of a feature server.
        labels, features, time, full_names, clock: see `Store.join`; features may be the name of a feature service.
            A MixedClocks warning names each view with live and replayed releases.
        on_demand: the on-demand views whose outputs are requested; a server has its own.
        block_rows: the most labels of a block.

    Raises:
        UsageError: Ray Data is not installed. TrainingArgument. BadReference, UnknownView, UnknownFeature; the errors of
            `Store.open`. During the read, Ray raises the errors of tasks, with Covey's errors as their cause.
    """
    try:
        import ray.data
    except ImportError:
        raise UsageError("covey.ray needs Ray Data: pip install 'covey[ray]'") from None
    if block_rows < 1:
        raise TrainingArgument(f"block_rows must be at least 1, got {block_rows}")
    views, where = tuple(on_demand), str(store)
    with Store.open(where, on_demand=views) as opened:
        refs = list(opened.service(features).refs if isinstance(features, str) else refs_of(features))
        given = open_labels(labels, opened.key_types(refs))
        opened.join(
            given.schema.empty_table(), refs, time, full_names=full_names, clock=clock
        ).read_all()  # raises an error that names a wrong argument
        warn_of_mixed_clocks(opened.clocks(refs), clock)
        state = {name: _last_publication(opened, name) for name in _stored_views(opened, refs)}
        blocks = [
            pa.Table.from_batches([batch.slice(at, block_rows)])
            for batch in given.batches(_MAX_BYTES)
            for at in range(0, batch.num_rows, block_rows)
        ] or [given.schema.empty_table()]
    return ray.data.from_arrow(blocks).map_batches(
        _joiner(where, refs, time, full_names, clock, views, state),
        batch_format="pyarrow",
        batch_size=None,
        zero_copy_batch=True,
    )


def _joiner(
    store: str,
    refs: Sequence[str],
    time: str,
    full_names: bool,
    clock: Clock | None,
    on_demand: tuple[OnDemandView, ...],
    state: Mapping[str, int],
) -> Callable[[pa.Table], pa.Table]:
    """The function that a task applies to its labels."""

    def join(labels: pa.Table) -> pa.Table:
        with Store.open(store, on_demand=on_demand) as opened:
            joined = opened.join(labels, refs, time, full_names=full_names, clock=clock).read_all()
            _require_unmoved(opened, state, labels.column(time), time)
        return joined

    return join


def _stored_views(store: Store | RemoteStore, refs: Sequence[str]) -> list[str]:
    """The views that references name, directly or by an on-demand view that is known here."""
    known = {view.name for view in store.views()}
    transformations = store.on_demand if isinstance(store, Store) else {}
    names: list[str] = []
    for ref in refs:
        name = ref.partition(":")[0]
        sources = transformations[name].features.values() if name in transformations else [ref]
        names += [source.partition(":")[0] for source in sources]
    return [name for name in dict.fromkeys(names) if name.partition("@")[0] in known]


def _last_publication(store: Store | RemoteStore, view: str) -> int:
    return max((one.seq for one in store.published(view, 0)), default=0)


def _require_unmoved(store: Store | RemoteStore, state: Mapping[str, int], times: Any, time: str) -> None:
    """Return if no later publication has a release at or before one of these times. Raises StoreMoved."""
    at, known = label_times(times, time)
    if not known.any():
        return
    last = int(np.max(at[known]))
    for view, publication in state.items():
        if any(one.released_at <= last for one in store.published(view, publication)):
            raise StoreMoved(view)
