"""Requests of `tritonclient`, for both of its transports."""

from __future__ import annotations

from typing import Any

import numpy as np

DEST, DISTANCE = ["ATL", "SFO", "nowhere"], [100.0, 2_000.0, 5.0]
"""Rows of the model `late`: two known keys and an unknown one."""
DATATYPES = {"O": "BYTES", "f8": "FP64", "f4": "FP32", "b1": "BOOL", "i8": "INT64"}


def tensor(transport: Any, name: str, values: np.ndarray[Any, Any], **more: Any) -> Any:
    """An input of `tritonclient.http` or `.grpc`."""
    kind = values.dtype.str.lstrip("<|=")
    made = transport.InferInput(name, list(values.shape), DATATYPES[kind])
    made.set_data_from_numpy(values, **more)
    return made


def keyed(transport: Any, dest: list[str] = DEST, distance: list[float] = DISTANCE, **more: Any) -> list[Any]:
    """Rows by key."""
    keys = tensor(transport, "dest", np.array(dest, object), **more)
    return [keys, tensor(transport, "distance", np.array(distance), **more)]


def outputs(transport: Any, *names: str) -> list[Any]:
    """Requested outputs."""
    return [transport.InferRequestedOutput(name) for name in names]


def raw_of(transport: Any, explained: Any) -> list[Any]:
    """The features of an answer, as raw inputs."""
    values, se = explained.as_numpy("features"), explained.as_numpy("se")
    return [
        tensor(transport, "x", values.astype(np.float32)),
        tensor(transport, "mask", ~np.isnan(values)),
        tensor(transport, "se", np.nan_to_num(se).astype(np.float32)),
    ]
