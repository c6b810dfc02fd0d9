"""What the protocol says of models: metadata, configuration, state. Both transports render these plain objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, assert_never

from base.version import VERSION
from training.serving.kinds.model_kind import kind_of
from training.serving.settings import ModelSettings
from training.serving.versions.states import Failed, ModelState, Ready, ServedVersion, Starting

from .infer_request import ERRORS, FEATURES, HI, LO, PREDICTION, STATUS
from .tensor_inputs import DATATYPES, MASK, SE, X, takes_raw
from .tensors import BOOL, BYTES, FP32, FP64, Datatype

EXTENSIONS: Final = (
    "binary_tensor_data",
    "model_configuration",
    "model_repository",
    "parameters",
    "schedule_policy",
    "statistics",
)
_ANY: Final = -1


def server_metadata() -> dict[str, Any]:
    """The server's name, version and extensions."""
    return {"name": "covey", "version": VERSION, "extensions": list(EXTENSIONS)}


def model_metadata(served: ServedVersion, state: ModelState) -> dict[str, Any]:
    """The inputs and outputs of a version, and the versions that a request may name."""
    return {
        "name": state.name,
        "versions": [str(version) for version, one in state.versions if not isinstance(one, Failed)],
        "platform": platform_of(served),
        "inputs": [_tensor(*one) for one in (*_columns(served), *_raw(served))],
        "outputs": [_tensor(*one) for one in _outputs(served)],
    }


def model_config(served: ServedVersion, state: ModelState, settings: ModelSettings) -> dict[str, Any]:
    """The configuration of a version in the form of Triton's. Its dimensions are without the rows."""
    queue_policy = {
        "timeout_action": "REJECT",
        "default_timeout_microseconds": round(settings.timeout_ms * 1_000),
        "allow_timeout_override": True,
        "max_queue_size": settings.queue,
    }
    said = {
        "how": served.how,
        "version": str(served.model.version),
        "loaded_at": str(served.loaded_at),
        "features": json.dumps(list(served.signature.names)),
        "weights": json.dumps({str(version): share for version, share in state.weights}),
        "share": f"{settings.share:g}",
        "priority": str(settings.priority),
        **({} if settings.rate is None else {"rate": f"{settings.rate:g}"}),
    }
    return {
        "name": state.name,
        "platform": platform_of(served),
        "backend": "covey",
        "version_policy": {"specific": {"versions": [version for version, _ in state.weights]}},
        "max_batch_size": settings.max_batch,
        "input": [
            *(_configured(*one) for one in _columns(served)),
            *(_configured(*one) | {"optional": True} for one in _raw(served)),
        ],
        "output": [_configured(*one) for one in _outputs(served)],
        "dynamic_batching": {
            "preferred_batch_size": list(settings.preferred),
            "max_queue_delay_microseconds": settings.max_queue_delay_us,
            "default_queue_policy": queue_policy,
        },
        "parameters": {name: {"string_value": value} for name, value in said.items()},
    }


def repository_index(models: Iterable[ModelState], *, only_ready: bool) -> list[dict[str, Any]]:
    """The state of each version of each model."""
    found = []
    for model in models:
        if not model.versions and not only_ready:
            found.append({"name": model.name, "state": "UNAVAILABLE", "reason": model.why or ""})
        for version, state in model.versions:
            match state:
                case Ready():
                    named, why = "READY", ""
                case Starting():
                    named, why = "LOADING", ""
                case Failed():
                    named, why = "UNAVAILABLE", state.why
                case _:
                    assert_never(state)
            if named == "READY" or not only_ready:
                found.append({"name": model.name, "version": str(version), "state": named, "reason": why})
    return found


def platform_of(served: ServedVersion) -> str:
    """The kind of a model, such as `covey_exported`."""
    return f"covey_{kind_of(served.model).NAME}"


def _columns(served: ServedVersion) -> Iterator[tuple[str, Datatype, tuple[int, ...]]]:
    for name, kind in served.loaded.inputs.types.items():
        yield name, DATATYPES[kind], ()


def _raw(served: ServedVersion) -> Iterator[tuple[str, Datatype, tuple[int, ...]]]:
    if takes_raw(served.loaded.inputs.types):
        width = (len(served.signature.names),)
        yield from ((X, FP32, width), (MASK, BOOL, width), (SE, FP32, width))


def _outputs(served: ServedVersion) -> Iterator[tuple[str, Datatype, tuple[int, ...]]]:
    width = (len(served.signature.names),)
    yield from ((PREDICTION, FP32, ()), (LO, FP64, ()), (HI, FP64, ()))
    yield from ((FEATURES, FP64, width), (ERRORS, FP64, width), (STATUS, BYTES, width))


def _tensor(name: str, datatype: Datatype, width: tuple[int, ...]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype.name, "shape": [_ANY, *width]}


def _configured(name: str, datatype: Datatype, width: tuple[int, ...]) -> dict[str, Any]:
    kind = "TYPE_STRING" if datatype is BYTES else f"TYPE_{datatype.name}"
    return {"name": name, "data_type": kind, "dims": list(width or (1,))}
