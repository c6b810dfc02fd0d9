"""Models whose predictions say which version, release and request they are of, and a store whose releases are known.

A prediction is a whole number below 2²⁴, which float32 holds exactly:

    version × 2¹⁵ + distance class × 2¹¹ + place of the pane of `everywhere` × 2⁶ + value of `traffic`

The two views are published together, so the value and the place of a pane that do not belong together show a mixed epoch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.online.blocks import open_blocks
from featurestore.publish.publish import Publisher
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store
from tests.featurestore.making import DAY, a_release
from tests.training.program import DESTS, everywhere, traffic
from training.lineage import views_of
from training.serving.kinds.trees import Trees
from training.serving.signature import ForeignCall, ForeignInput, ForeignOutput

MOST_PANES: Final = 20
DISTANCES: Final = 16
_REFS: Final = ("traffic@v1:flights", "everywhere@v1:flights")
_STEPS: Final = (3 * MOST_PANES, MOST_PANES, DISTANCES)
_WEIGHTS: Final = (1, 2**6, 2**11)
_OF_VERSION: Final = 2**15
_CALL: Final = ForeignCall((ForeignInput("x", "values", "float32"),), "zero", ForeignOutput("y", None))


class KnownStore:
    """A store that one test fills, and what each of its epochs holds.

    Attributes:
        panes: by epoch, the number of the newest pane.
    """

    def __init__(self, directory: Path) -> None:
        self.directory, self.panes, self._views = directory, dict[int, int](), (traffic(), everywhere())
        with self.publisher() as publisher:
            for view in self._views:
                publisher.register(view)
        self.publish()

    def publisher(self) -> Publisher:
        """A writer of the store, which waits for others."""
        return Publisher(self.directory, lambda: 100 * DAY, wait=True)

    def publish(self) -> int:
        """Publish the next pane of both views; returns its epoch."""
        pane = len(self.panes)
        with self.publisher() as publisher:
            publisher.publish([self._release(view, pane) for view in self._views])
        epoch = int(open_blocks(self.directory).snapshot.epoch)
        self.panes[epoch] = pane
        return epoch

    def _release(self, view: FeatureView, pane: int) -> Any:
        layout = layout_of(view)
        values = _traffic_of(pane, np.arange(len(DESTS))) if view.name == "traffic" else np.array([pane])
        slots = np.repeat(values.reshape(-1, 1), layout.slots_per_key, axis=1).astype(np.int64)
        return replace(a_release(view, pane * DAY), slots=slots)

    def register(self, name: str, version: int, kind: Literal["monotone", "onnx"] = "monotone") -> RegisteredModel:
        """Register the next version of a model, which must be this one."""
        match kind:
            case "monotone":
                files, call = {"trees.json": _trees(version).to_bytes()}, None
            case "onnx":
                files, call = {"model.onnx": _linear(version)}, _CALL.to_json()
        with Store.open(self.directory) as store, self.publisher() as publisher:
            lineage = {
                "kind": kind, "call": call, "features": _REFS, "columns": ["distance"], "names": [*_REFS, "distance"],
                "constants": {}, "views": views_of(store, _REFS), "views_file_sha256": None,
            }  # fmt: skip
            model = publisher.register_model(name, files, json.dumps(lineage))
        assert model.version == version
        return model

    def expected(self, version: int, epoch: int, dests: Sequence[str], distances: Sequence[int]) -> list[float]:
        """The predictions of a version for some rows, from the features of an epoch."""
        pane = self.panes[epoch]
        _, of_pane, of_distance = _WEIGHTS
        return [
            float(
                _OF_VERSION * version + of_distance * distance + of_pane * pane + _traffic_of(pane, DESTS.index(dest))
            )
            for dest, distance in zip(dests, distances, strict=True)
        ]


def _traffic_of(pane: int, dest: Any) -> Any:
    return len(DESTS) * pane + dest


def _trees(version: int) -> Trees:
    """A tree for each step of each input: whole numbers from 0 are counted, times the weight of the input."""
    stumps = [(column, step, _WEIGHTS[column]) for column, steps in enumerate(_STEPS) for step in range(1, steps)]
    count = len(stumps)
    columns, steps, weights = (np.array(one)[:, None] for one in zip(*stumps, strict=True))
    nodes = {"left": [1, 1, 2], "right": [2, 1, 2]}
    return Trees(
        "regression",
        len(_STEPS),
        float(_OF_VERSION * version),
        feature=np.tile(columns, (1, 3)),
        threshold=np.tile(steps - 0.5, (1, 3)),
        null_left=np.ones((count, 3), bool),
        left=np.tile(np.array(nodes["left"]), (count, 1)),
        right=np.tile(np.array(nodes["right"]), (count, 1)),
        value=np.hstack((np.zeros((count, 2)), weights.astype(np.float64))),
    )


def _linear(version: int) -> bytes:
    """The same function in ONNX."""
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.array(_WEIGHTS, np.float32)[:, None], "weights")
    start = numpy_helper.from_array(np.array([_OF_VERSION * version], np.float32), "start")
    nodes = [helper.make_node("MatMul", ["x", "weights"], ["sum"]), helper.make_node("Add", ["sum", "start"], ["y"])]
    given, made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width])
        for name, width in (("x", len(_WEIGHTS)), ("y", 1))
    )
    graph = helper.make_graph(nodes, "known", [given], [made], [weights, start])
    model: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return model
