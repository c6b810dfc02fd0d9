"""On-demand views in joins: the stored features that they need are joined, and their outputs are computed from those."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from featurestore.define.decoded import Bytes, Floats, value_is_there
from featurestore.define.entities import ColumnType
from featurestore.define.on_demand import OnDemand, OnDemandView, input_array
from featurestore.define.records import RegisteredView
from featurestore.define.references import Reference, resolve
from featurestore.define.schema import STATUS, floats_of, status_array, status_codes
from featurestore.errors import BadReference, UnknownFeature

from .plan import join_keys

_HIDDEN = "\x00"
"""The prefix of columns that are joined for an on-demand view only; no column of the labels has it."""


@dataclass(frozen=True)
class _Output:
    """A requested output of an on-demand view, and its column; `intervals`: whether the answer has `__lo` and `__hi`."""

    view: OnDemandView
    output: str
    column: str
    intervals: bool

    @property
    def unknown(self) -> list[str]:
        """Its companions that are null, because the error of a computed value is unknown."""
        ends = ("se", "lo", "hi") if self.intervals else ("se",)
        return [f"{self.column}__{end}" for end in ends]

    @property
    def fields(self) -> list[pa.Field]:
        """Value, `__se`, `__lo`, `__hi`, `__status`."""
        numbers = [pa.field(name, pa.float64()) for name in (self.column, *self.unknown)]
        return [*numbers, pa.field(f"{self.column}__status", STATUS)]


@dataclass(frozen=True)
class JoinColumns:
    """The columns of a join.

    Attributes:
        requested: the requested columns, in the order of the answer.
        stored: the joined references: the requested stored ones, then those that only on-demand views need, under hidden
            names.
        sources: the joined column of each reference of an on-demand view.
    """

    requested: tuple[Reference | _Output, ...]
    stored: tuple[Reference, ...]
    sources: Mapping[str, Reference]

    @property
    def outputs(self) -> list[_Output]:
        """The requested outputs of on-demand views."""
        return [one for one in self.requested if isinstance(one, _Output)]

    @property
    def column_types(self) -> dict[str, ColumnType]:
        """The join keys and inputs that labels need, with their types."""
        inputs = {name: kind for one in self.outputs for name, kind in one.view.inputs.items()}
        return inputs | join_keys(self.stored)

    def computed(self, labels: pa.Schema, joined: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """Compute the answer from the labels joined with stored features.

        Raises:
            BadReference: the labels lack an input or have another type for it, or two columns have one name.
            OnDemandFailed: raised while the answer is read.
        """
        if not self.outputs:
            return joined
        fields = [*labels]
        for one in self.requested:
            fields += one.fields
        schema = pa.schema(fields)
        for name in schema.names:
            if schema.names.count(name) > 1:
                raise BadReference(f"the column {name!r} exists already; use full names (view__feature)")
        for view in {one.view.name: one.view for one in self.outputs}.values():
            _require_inputs(view, labels)
        return pa.RecordBatchReader.from_batches(schema, self._batches(schema, joined))

    def _batches(self, schema: pa.Schema, joined: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in joined:
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            for view in {one.view.name: one.view for one in self.outputs}.values():
                computed = view.evaluate(
                    {ref: _stored(columns, self.sources[ref].column) for ref in view.features.values()},
                    {name: input_array(name, kind, columns[name]) for name, kind in view.inputs.items()},
                    batch.num_rows,
                )
                for one in self.outputs:
                    if one.view.name == view.name:
                        columns |= _arrays(one, *computed.output(one.output))
            yield pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def find_join_columns(
    refs: Sequence[str],
    on_demand: OnDemand,
    find: Callable[[str, int | None], RegisteredView],
    *,
    full_names: bool,
    intervals: bool,
) -> JoinColumns:
    """Resolve the references of a join.

    Args:
        intervals: whether the answer has `__lo` and `__hi`.

    Raises:
        BadReference, UnknownView, UnknownFeature.
    """
    computed = {} if isinstance(refs, str) else {ref: _output(ref, on_demand, full_names, intervals) for ref in refs}
    outputs = {ref: one for ref, one in computed.items() if one is not None}
    plain = refs if isinstance(refs, str) else [ref for ref in refs if ref not in outputs]
    references = resolve(plain, find, full_names=full_names, intervals=intervals) if plain or not outputs else []
    stored, sources = list(references), dict[str, Reference]()
    for ref in dict.fromkeys(ref for one in outputs.values() for ref in one.view.features.values()):
        (needed,) = resolve([ref], find, full_names=True, intervals=False)
        known = next((one for one in stored if _same(one, needed)), None)
        if known is None:
            known = replace(needed, column=_HIDDEN + ref)
            stored.append(known)
        sources[ref] = known
    in_order = iter(references)
    requested = tuple(outputs.get(ref) or next(in_order) for ref in refs)
    columns = [one.column for one in requested]
    for column in columns:
        if columns.count(column) > 1:
            raise BadReference(f"two features give the same column {column!r}; use full names (view__feature)")
    return JoinColumns(requested, tuple(stored), sources)


def _same(one: Reference, other: Reference) -> bool:
    return (one.registered.view_id, one.served.name) == (other.registered.view_id, other.served.name)


def _output(ref: str, on_demand: OnDemand, full_names: bool, intervals: bool) -> _Output | None:
    view, _, name = ref.partition(":")
    transformation = on_demand.get(view)
    if transformation is None:
        return None
    if name not in transformation.outputs:
        raise UnknownFeature(view, name[:80], list(transformation.outputs))
    return _Output(transformation, name, f"{view}__{name}" if full_names else name, intervals)


def _require_inputs(view: OnDemandView, labels: pa.Schema) -> None:
    for name, kind in view.inputs.items():
        if labels.names.count(name) != 1:
            raise BadReference(
                f"on-demand view {view.name!r} needs the input {name!r}; the labels have: {', '.join(labels.names)}"
            )
        input_array(name, kind, pa.array([], labels.field(name).type))


def _stored(columns: Mapping[str, pa.Array], name: str) -> tuple[Floats, Bytes]:
    """A joined feature in the form that an on-demand view takes; its status says whether its numbers are valid."""
    return floats_of(columns[name]), status_codes(columns[f"{name}__status"])


def _arrays(output: _Output, values: Floats, status: Bytes) -> dict[str, pa.Array]:
    arrays = [
        pa.array(values, mask=~value_is_there(status)),
        *(pa.nulls(len(values), pa.float64()) for _ in output.unknown),
        status_array(status),
    ]
    return dict(zip([field.name for field in output.fields], arrays, strict=True))
