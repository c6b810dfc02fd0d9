"""Boosted trees as data: the content of `trees.json`, which is parsed strictly and evaluated by Covey. Nothing in it is run.

A tree is a list of nodes; children come after their parent, so every walk ends. A leaf is its own child. A row goes left where
its value is at most the threshold, and where it is null as the node says.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, get_args

import numpy as np
import numpy.typing as npt

from training.errors import ArchiveRefused
from training.serving.arrays import Floats32
from training.task import Task

from .tree_walk import walk

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FORMAT: Final = 1
MAX_BYTES: Final = 64 * 2**20
MAX_TREES: Final = 2**12
MAX_NODES: Final = 2**12
MAX_WIDTH: Final = 2**16
MAX_STACKED: Final = 2**20
"""The most nodes of all trees, if each had as many as the largest: 41 MiB of arrays."""
_KEYS: Final = {"format", "task", "width", "start", "trees"}
_NODE: Final = ("feature", "threshold", "null_left", "left", "right", "value")


@dataclass(frozen=True, eq=False)
class Trees:
    """T trees of up to N nodes. The score of a row is `start` and the value of its leaf in each tree.

    Attributes:
        width: number of columns of x.
        start: the score before the first tree.
        feature, left, right: int64[T, N], the column of x, and the places of the children in the tree.
        threshold, value: float64[T, N]; null_left: bool[T, N].
    """

    task: Task
    width: int
    start: float
    feature: Ints
    threshold: Floats
    null_left: Bools
    left: Ints
    right: Ints
    value: Floats

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Read the bytes of a `trees.json`. Raises ArchiveRefused."""
        if len(data) > MAX_BYTES:
            raise ArchiveRefused(f"it has {len(data):,} bytes; the limit is {MAX_BYTES:,}")
        try:
            read = json.loads(data, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise ArchiveRefused("it is not JSON with finite numbers") from None
        if not isinstance(read, dict) or read.keys() != _KEYS:
            raise ArchiveRefused(f"it must be an object with the keys {', '.join(sorted(_KEYS))}")
        if read["format"] != FORMAT or read["task"] not in get_args(Task):
            raise ArchiveRefused(f"its format {str(read['format'])[:80]} or task {str(read['task'])[:80]} is unknown")
        width, trees = read["width"], read["trees"]
        if type(width) is not int or not 1 <= width <= MAX_WIDTH:
            raise ArchiveRefused(f"its width is not a whole number from 1 to {MAX_WIDTH:,}")
        if not isinstance(trees, list) or not 1 <= len(trees) <= MAX_TREES:
            raise ArchiveRefused(f"it must have 1 to {MAX_TREES:,} trees")
        nodes = [_nodes(tree, width) for tree in trees]
        most = max(len(of["value"]) for of in nodes)
        if len(nodes) * most > MAX_STACKED:
            raise ArchiveRefused(f"{len(nodes):,} trees of up to {most:,} nodes are more than {MAX_STACKED:,} nodes")
        stacked = {name: np.stack([np.resize(of[name], most) for of in nodes]) for name in _NODE}
        return cls(read["task"], width, _finite(read["start"]), **stacked)

    def to_bytes(self) -> bytes:
        """Return the content of `trees.json`."""
        trees = [{name: getattr(self, name)[t].tolist() for name in _NODE} for t in range(len(self.value))]
        made = {"format": FORMAT, "task": self.task, "width": self.width, "start": self.start, "trees": trees}
        return (json.dumps(made, separators=(",", ":"), allow_nan=False) + "\n").encode()

    def first(self, trees: int) -> Trees:
        """Return the model of the first trees only."""
        parts = {name: getattr(self, name)[:trees] for name in _NODE}
        return Trees(self.task, self.width, self.start, **parts)

    def staged(self, x: Floats) -> Floats:
        """Return float64[B, T]: the score of each row (NaN for null) after each tree."""
        node, tree = np.zeros((len(x), len(self.value)), np.int64), np.arange(len(self.value))
        row = np.arange(len(x))[:, None]
        while True:
            seen = x[row, self.feature[tree, node]]
            goes_left = np.where(np.isnan(seen), self.null_left[tree, node], seen <= self.threshold[tree, node])
            below = np.where(goes_left, self.left[tree, node], self.right[tree, node])
            if np.array_equal(below, node):
                break
            node = below
        scores: Floats = self.start + np.cumsum(self.value[tree, node], axis=1)
        return scores

    def predict(self, x: Floats32, mask: Bools) -> Floats32:
        """Return float32[B]: probabilities, or values. Raises ArchiveRefused: x has another width."""
        if x.shape[1] != self.width:
            raise ArchiveRefused(f"it takes {self.width:,} features, but {x.shape[1]:,} are given")
        score = np.empty(len(x), np.float64)
        nodes = self.feature, self.threshold, self.null_left, self.left, self.right, self.value
        walk(np.ascontiguousarray(x), np.ascontiguousarray(mask), *nodes, score)
        score += self.start
        with np.errstate(over="ignore"):  # exp of a large score is infinite, and the probability 0
            return (1 / (1 + np.exp(-score)) if self.task == "binary" else score).astype(np.float32)

    def __call__(self, x: torch.Tensor, mask: torch.Tensor, se: torch.Tensor) -> torch.Tensor:
        """Return float32[B] as `predict` does, of tensors."""
        from torch import from_numpy

        return from_numpy(self.predict(x.numpy(), mask.numpy()))


def _nodes(tree: Any, width: int) -> dict[str, npt.NDArray[Any]]:
    """Check the nodes of a tree: children come after their parent, or are the node itself at a leaf."""
    if not isinstance(tree, dict) or tree.keys() != set(_NODE):
        raise ArchiveRefused(f"a tree must be an object with the keys {', '.join(_NODE)}")
    count = len(tree["value"]) if isinstance(tree["value"], list) else 0
    if not 1 <= count <= MAX_NODES or not all(isinstance(of, list) and len(of) == count for of in tree.values()):
        raise ArchiveRefused(f"a tree must have 1 to {MAX_NODES:,} nodes, and lists of equal length")
    own = np.arange(count)
    feature = _whole(tree["feature"], np.zeros(count, np.int64), width)
    left, right = (_whole(tree[name], own, count) for name in ("left", "right"))
    if ((left == own) != (right == own)).any():
        raise ArchiveRefused("a node of a tree has one child; a node has two children, or none")
    if not all(type(one) is bool for one in tree["null_left"]):
        raise ArchiveRefused("null_left of a tree is not a list of truth values")
    threshold, value = (np.array([_finite(one) for one in tree[name]]) for name in ("threshold", "value"))
    null_left = np.array(tree["null_left"])
    return dict(zip(_NODE, (feature, threshold, null_left, left, right, value), strict=True))


def _whole(given: list[Any], least: Ints, end: int) -> Ints:
    """Check whole numbers: each at least its own least number, and below `end`."""
    if not all(type(one) is int and low <= one < end for one, low in zip(given, least.tolist(), strict=True)):
        raise ArchiveRefused("a tree names a feature or a node that cannot be there")
    return np.array(given, np.int64)


def _finite(given: Any) -> float:
    if type(given) in (int, float):
        with suppress(OverflowError):  # an integer beyond float64
            if math.isfinite(number := float(given)):
                return number
    raise ArchiveRefused(f"it has {str(given)[:80]!r} in place of a number")


def _no_constant(name: str) -> None:
    raise ValueError(name)
