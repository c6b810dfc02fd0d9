"""Register a model that was trained elsewhere: it gets the lineage that `covey train` writes for its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from base.times import utc_text
from deployment.errors import UsageError
from featurestore.define.on_demand import OnDemandView
from featurestore.publish.publish import Publisher
from featurestore.read.request import find_columns
from featurestore.registry.models import RegisteredModel, require_name
from featurestore.store import Store
from training.errors import ArchiveRefused, CallUnclear, ModelFileRefused, ModelUntrusted
from training.lineage import FORMAT, file_hash, pinned, views_of

from .arrays import Arrays
from .kinds.archive import MAX_BYTES
from .kinds.call import CallChoices, call_of
from .kinds.loading import Loading
from .kinds.model_kind import Exported, ModelKind, Monotone, Onnx, TorchProgram
from .kinds.onnx_file import read_onnx
from .kinds.open_runner import open_foreign
from .kinds.torch_file import read_torch_program
from .kinds.trees import Trees
from .signature import ForeignCall, ModelSignature

SIZES: Final = (1, 2, 7, 64)
"""Sizes of batches on which a model is run before it is registered."""
_LIMIT_S: Final = 10.0
"""The time for one of these batches. A server has its own limit."""
_ZIP: Final = b"PK"


@dataclass(frozen=True)
class Registration:
    """What the owner of a model says about it.

    Attributes:
        name: under which it is registered.
        features: references, in the order of the model's inputs.
        columns: plain columns, which follow the features.
        constants: values of join keys.
        views_file: the file of on-demand views whose features it takes.
        trust: run a model that may run code.
    """

    name: str
    features: Sequence[str]
    columns: Sequence[str] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    call: CallChoices = field(default_factory=CallChoices)
    views_file: Path | None = None
    trust: bool = False


def register_file(
    directory: Path,
    file: Path,
    asked: Registration,
    on_demand: Sequence[OnDemandView],
    clock: Callable[[], int],
) -> RegisteredModel:
    """Check a model, run it once on zeros of several sizes, and register it as the next version of its name.

    Args:
        on_demand: the on-demand views of `asked.views_file`.
        clock: µs since the epoch.

    Raises:
        UsageError: the file cannot be read. ModelInvalid: the name is none. ModelFileRefused: the file is none of a model, or
            could run code. CallUnclear: choices are needed. ModelUntrusted: `asked.trust` is needed. UnknownView, UnknownFeature.
            ModelFailed: it does not run. TooLittleMemory. ExtraMissing. StoreInUse.
    """
    require_name(asked.name)
    data = _content(asked.name, file)
    with Store.open(directory, on_demand=on_demand) as store:
        refs = pinned(store, asked.features)
        names = (*_names(store, refs), *asked.columns)
        if len(set(names)) < len(names):
            raise UsageError(
                f"a feature or column of model {asked.name} is named twice", settings=("features", "column")
            )
        views = views_of(store, refs)
    try:
        kind, call = _kind_and_call(file.name, data, len(names), asked.call)
    except ArchiveRefused as error:
        raise ModelFileRefused(asked.name, file.name, str(error)) from None
    signature = ModelSignature(tuple(refs), tuple(asked.columns), asked.constants, names, call)
    _try(asked, file.name, kind, data, signature)
    lineage = {
        "format": FORMAT,
        "model": asked.name,
        "made_at": utc_text(clock()),
        "covey": version("covey"),
        "kind": kind.NAME,
        "file": {"name": file.name, "sha256": hashlib.sha256(data).hexdigest()},
        "service": None,
        "features": refs,
        "columns": list(asked.columns),
        "names": list(names),
        "constants": dict(asked.constants),
        "views": views,
        "views_file_sha256": None if asked.views_file is None else file_hash(asked.views_file),
        "call": None if call is None else call.to_json(),
    }
    files = {kind.FILE: data, "lineage.json": (json.dumps(lineage, indent=1) + "\n").encode()}
    with Publisher(directory, clock) as publisher:
        return publisher.register_model(asked.name, files, json.dumps(lineage))


def _names(store: Store, refs: Sequence[str]) -> list[str]:
    """Return the names of the columns of some features, as a dataset has them: the reference, or `reference[cell]`."""
    columns = find_columns(refs, store.newest_snapshot(), store.on_demand, full_names=True)
    widths = [one.column.width for one in columns]
    return [
        ref if width == 1 else f"{ref}[{cell}]"
        for ref, width in zip(refs, widths, strict=True)
        for cell in range(width)
    ]


def _content(name: str, file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise ModelFileRefused(name, file.name, f"it has {size:,} bytes; the limit is {MAX_BYTES:,}")
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror})") from None


def _kind_and_call(file: str, data: bytes, width: int, choices: CallChoices) -> tuple[ModelKind, ForeignCall | None]:
    """Recognise a file by its content. Raises ArchiveRefused, CallUnclear."""
    if data[:1] == b"{":
        Trees.of(data)
        _require_default(file, choices)
        return Monotone(), None
    if data[:2] != _ZIP:
        return Onnx(), call_of(file, read_onnx(data), width, choices)
    from .kinds.program import Program

    try:
        Program.of(data)
    except ArchiveRefused:
        return TorchProgram(), call_of(file, read_torch_program(data), width, choices)
    _require_default(file, choices)
    return Exported(), None


def _require_default(file: str, choices: CallChoices) -> None:
    """Check that nothing is said about the call of a model that Covey runs itself."""
    if choices.are_given:
        raise CallUnclear(
            f"{file} takes x, mask and se as the models of covey train do; leave out how it is called",
            "input",
            "missing",
            "output",
        )


def _try(asked: Registration, file: str, kind: ModelKind, data: bytes, signature: ModelSignature) -> None:
    """Run the model on zeros of several sizes. Raises ArchiveRefused's reason as ModelFileRefused, and as `open_foreign`."""
    batches = [Arrays.zeros(rows, len(signature.names)) for rows in SIZES]
    try:
        match kind:
            case Monotone():
                Trees.of(data).predict(batches[0].x, batches[0].mask)
            case Exported():
                from .kinds.program import Program

                program = Program.of(data)
                for batch in batches:
                    program.predict(batch)
            case TorchProgram() | Onnx():
                if not asked.trust:
                    raise ModelUntrusted(asked.name, file)
                loading = Loading(trust=True, compile=False, limit_s=_LIMIT_S)
                runner = open_foreign(asked.name, kind, data, signature, loading)
                try:
                    for batch in batches:
                        runner.run(batch)
                finally:
                    runner.close()
    except ArchiveRefused as error:
        raise ModelFileRefused(asked.name, file, str(error)) from None
