"""Run the graph of a registered model. Only arithmetic operations of a closed list are allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Self

import torch

from training.errors import ArchiveRefused
from training.serving.arrays import INPUTS, Arrays, Floats32

from .archive import read_archive

MAX_NODES: Final = 256
MAX_WIDTH: Final = 2**16
"""The most numbers a row in a step."""
MAX_NUMBERS: Final = 8 * MAX_WIDTH
"""The most numbers a row in all steps, which are kept until the last one. The largest network of covey train makes a third."""

_ATEN: Final = torch.ops.aten
_OPERATIONS: Final[Mapping[str, Callable[..., torch.Tensor]]] = {
    "torch.ops.aten.add.Tensor": _ATEN.add.Tensor,
    "torch.ops.aten.cat.default": _ATEN.cat.default,
    "torch.ops.aten.div.Tensor": _ATEN.div.Tensor,
    "torch.ops.aten.linear.default": _ATEN.linear.default,
    "torch.ops.aten.mul.Tensor": _ATEN.mul.Tensor,
    "torch.ops.aten.nan_to_num.default": _ATEN.nan_to_num.default,
    "torch.ops.aten.relu.default": _ATEN.relu.default,
    "torch.ops.aten.sigmoid.default": _ATEN.sigmoid.default,
    "torch.ops.aten.squeeze.dim": _ATEN.squeeze.dim,
    "torch.ops.aten.sub.Tensor": _ATEN.sub.Tensor,
    "torch.ops.aten.to.dtype": _ATEN.to.dtype,
    "torch.ops.aten.where.self": _ATEN.where.self,
    "torch.ops.aten.zeros_like.default": _ATEN.zeros_like.default,
}
"""The operations to which `training.fit.model.Baseline` is exported."""
_ASSERTION: Final = "torch.ops.aten._assert_tensor_metadata.default"
"""An assertion of the exporter about a type, which always holds here and is skipped."""
_TYPES: Final = {7: torch.float32, 12: torch.bool}
_POSITIONAL: Final = 1


@dataclass(frozen=True)
class _Step:
    """One operation.

    Attributes:
        operation: with its named arguments, which are constants.
        arguments: the places of the others in the values of a program; several: a list.
        at: the place of the result.
    """

    operation: Callable[..., torch.Tensor]
    arguments: tuple[int | tuple[int, ...], ...]
    at: int
    result: str

    def compute(self, values: Sequence[Any]) -> torch.Tensor:
        """Return the result, from the values of the steps before."""
        return self.operation(
            *[values[one] if isinstance(one, int) else [values[i] for i in one] for one in self.arguments]
        )


@dataclass(frozen=True, eq=False)
class Program:
    """A model's graph with its weights. Call it with `training.serving.arrays.INPUTS`.

    Attributes:
        values: what the steps read and make: inputs (None here), weights, and then constants and results (None here) as they come.
        result: the place of the prediction.
    """

    values: tuple[Any, ...]
    steps: tuple[_Step, ...]
    result: int

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Read the bytes of a `model.pt2`. Raises ArchiveRefused."""
        archive = read_archive(data)
        try:
            module = archive.graph["graph_module"]
            weights, inputs = _inputs(module["signature"]["input_specs"])
            if tuple(inputs) != INPUTS:
                raise ArchiveRefused(f"it takes {', '.join(inputs)[:80]}, not {', '.join(INPUTS)}")
            graph = _Graph({name: torch.from_numpy(archive.weights[weight]) for name, weight in weights.items()})
            steps = tuple(step for step in map(graph.step, _some(module["graph"]["nodes"])) if step is not None)
            (output,) = _some(module["signature"]["output_specs"])
            result = graph.result(str(output["user_output"]["arg"]["as_tensor"]["name"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArchiveRefused(
                f"its graph is not as covey train writes it ({type(error).__name__}: {error})"
            ) from None
        return cls(tuple(graph.values), steps, result)

    def on(self, device: str) -> Self:
        """Return the program with its weights on a device of PyTorch."""
        return replace(self, values=tuple(one.to(device) if torch.is_tensor(one) else one for one in self.values))

    def predict(self, arrays: Arrays, device: str = "cpu") -> Floats32:
        """Return float32[B], computed on the device of the weights. Raises ArchiveRefused."""
        with torch.inference_mode():
            given = [torch.from_numpy(one) for one in arrays]
            if device != "cpu":
                given = [one.to(device) for one in given]
            predicted: Floats32 = self(*given).cpu().numpy()
        return predicted

    def __call__(self, x: torch.Tensor, mask: torch.Tensor, se: torch.Tensor) -> torch.Tensor:
        """Return float32[B]. Raises ArchiveRefused: the steps do not fit each other or the inputs."""
        values, rows = [x, mask, se, *self.values[len(INPUTS) :]], len(x)
        limit, left = MAX_WIDTH * max(rows, 1), MAX_NUMBERS * max(rows, 1)
        for step in self.steps:
            try:
                made = values[step.at] = step.compute(values)
            except (RuntimeError, IndexError, TypeError, OverflowError) as error:
                raise ArchiveRefused(
                    f"its step {step.result!r} cannot be computed ({str(error).splitlines()[0]})"
                ) from None
            size = made.numel()
            left -= size
            if size > limit:
                raise ArchiveRefused(f"its step {step.result!r} makes {size:,} numbers of {rows:,} row(s)")
            if left < 0:
                raise ArchiveRefused(f"its steps make more than {MAX_NUMBERS:,} numbers a row")
        result: torch.Tensor = values[self.result]
        if result.shape != (rows,) or result.dtype != torch.float32:
            raise ArchiveRefused(f"it gives {result.dtype} of the shape {tuple(result.shape)}, not a number a row")
        return result


class Traced(torch.nn.Module):
    """A program as a module without checks, of which a compiler follows the steps. Its weights are buffers."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self._program = program
        self._names = {i: f"weight_{i}" for i, one in enumerate(program.values) if torch.is_tensor(one)}
        for i, name in self._names.items():
            self.register_buffer(name, program.values[i])

    def forward(self, x: torch.Tensor, mask: torch.Tensor, se: torch.Tensor) -> torch.Tensor:
        """Return float32[B]."""
        values = [x, mask, se, *self._program.values[len(INPUTS) :]]
        for i, name in self._names.items():
            values[i] = getattr(self, name)
        for step in self._program.steps:
            values[step.at] = step.compute(values)
        made: torch.Tensor = values[self._program.result]
        return made


class _Graph:
    """The graph of a file while it is read. Each input, weight, constant and result gets a place among the values."""

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        self.values: list[Any] = [*(None for _ in INPUTS), *weights.values()]
        self._places = {name: len(INPUTS) + i for i, name in enumerate(weights)}
        self._places |= {name: i for i, name in enumerate(INPUTS)}

    def step(self, node: Any) -> _Step | None:
        """Read the next step; None: it checks what always holds."""
        target = node["target"]
        if target == _ASSERTION:
            return None
        if target not in _OPERATIONS:
            raise ArchiveRefused(f"its graph calls {str(target)[:80]!r}, which is not an allowed operation")
        (output,) = _some(node["outputs"])
        result = str(output["as_tensor"]["name"])
        positional, named = list[int | tuple[int, ...]](), dict[str, Any]()
        for given in _some(node["inputs"]):
            ((kind, value),) = given["arg"].items()
            match kind:
                case "as_tensor" | "as_tensors" if given["kind"] != _POSITIONAL:
                    raise ArchiveRefused(
                        f"its step {result[:80]!r} has a named tensor, which no model of covey train has"
                    )
                case "as_tensor":
                    positional.append(self._place(value["name"], result))
                case "as_tensors":
                    positional.append(tuple(self._place(one["name"], result) for one in _some(value)))
                case _ if given["kind"] == _POSITIONAL:
                    positional.append(self._add(_constant(kind, value)))
                case _:
                    named[str(given["name"])] = _constant(kind, value)
        if result in self._places:
            raise ArchiveRefused(f"two of its steps make {result[:80]!r}")
        self._places[result] = at = self._add(None)
        operation = _OPERATIONS[target]
        return _Step(partial(operation, **named) if named else operation, tuple(positional), at, result)

    def result(self, name: str) -> int:
        """Return the place of the prediction."""
        if name not in self._places:
            raise ArchiveRefused(f"its result {name[:80]!r} is made by no step")
        return self._places[name]

    def _place(self, name: Any, result: str) -> int:
        if name not in self._places:
            raise ArchiveRefused(f"its step {result[:80]!r} reads a name that no earlier step makes")
        return self._places[name]

    def _add(self, value: Any) -> int:
        self.values.append(value)
        return len(self.values) - 1


def _inputs(specs: Any) -> tuple[dict[str, str], list[str]]:
    """Return the names of weights in graph and archive, and the names of the inputs in their order."""
    weights: dict[str, str] = {}
    inputs: list[str] = []
    for spec in _some(specs):
        ((kind, one),) = spec.items()
        match kind:
            case "parameter" | "buffer":
                weights[str(one["arg"]["name"])] = str(one[f"{kind}_name"])
            case "user_input":
                inputs.append(str(one["arg"]["as_tensor"]["name"]))
            case _:
                raise ArchiveRefused(f"it has an input of the kind {kind[:80]!r}, which no model of covey train has")
    return weights, inputs


def _constant(kind: str, value: Any) -> int | float | bool | torch.dtype:
    match kind:
        case "as_scalar_type":
            return _TYPES[value]
        case "as_int" | "as_float" | "as_bool" if type(value) in (int, float, bool):
            constant: int | float | bool = value
            return constant
        case _:
            raise ArchiveRefused(f"a step has an argument of the kind {kind[:80]!r}, which no model of covey train has")


def _some(given: Any) -> Sequence[Any]:
    """Check that a value is a list of bounded length."""
    if not isinstance(given, list) or len(given) > MAX_NODES:
        raise ArchiveRefused(f"its graph lacks a list, or has one with more than {MAX_NODES} entries")
    return given
