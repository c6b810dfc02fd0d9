"""The outputs of an answer, for both transports."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.define.decoded import Status
from training.serving.ask import Predicted, Used
from training.serving.request_limits import require_explainable

from .infer_request import FEATURES, HI, LO, PREDICTION, STATUS, InferRequest
from .tensors import BYTES, FP32, FP64, Tensor

_STATUSES = tuple(status.name for status in Status)


def outputs_of(request: InferRequest, predicted: Predicted) -> list[Tensor]:
    """The outputs that a request names, in its order. Raises RequestTooLarge: the features of all rows are too many."""
    if predicted.used is not None:
        require_explainable(predicted.used)
    return [_output(one.name, predicted) for one in request.outputs]


def answer_parameters(predicted: Predicted) -> dict[str, Any]:
    """The parameters of an answer: the epoch, and the releases that were used as JSON text if they were asked for."""
    if predicted.used is None:
        return {"epoch": predicted.epoch}
    return {"epoch": predicted.epoch, "releases": _releases(predicted.used)}


def _releases(used: Used) -> str:
    return json.dumps(
        [
            {"view": one.view, "version": one.version, "release": one.release, "pane_end": one.pane_end}
            for one in used.releases
        ]
    )


def _output(name: str, predicted: Predicted) -> Tensor:
    rows = len(predicted.values)
    if name == PREDICTION:
        return Tensor(name, FP32, (rows,), predicted.values)
    if name in (LO, HI):
        assert predicted.interval is not None  # the request has a level, see InferRequest.of
        return Tensor(name, FP64, (rows,), predicted.interval[name == HI])
    used = predicted.used
    assert used is not None  # the request has an output of EXPLAINING
    shape = (rows, len(used.names))
    if name == STATUS:
        return Tensor(name, BYTES, shape, _status_names(used))
    return Tensor(name, FP64, shape, _flat(used.values if name == FEATURES else used.se))


def _flat(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.ascontiguousarray(matrix).reshape(-1)


def _status_names(used: Used) -> list[str]:
    """The status of each feature; "" for plain columns, which have none."""
    plain = [""] * (len(used.names) - used.status.shape[1])
    return [name for row in used.status.tolist() for name in (*map(_STATUSES.__getitem__, row), *plain)]
