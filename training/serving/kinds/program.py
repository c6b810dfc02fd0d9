"""Run the graph of a registered model. Only arithmetic operations of a closed list are allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self, assert_never

import torch

from training.errors import ArchiveRefused
from training.serving.arrays import INPUTS, Arrays, Floats32

from .archive import read_archive

MAX_NODES: Final = 256
MAX_WIDTH: Final = 2**16
"""The most numbers a row in a step."""

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
class _Name:
    """The name of an input, a weight, or the result of an earlier step."""

    name: str


@dataclass(frozen=True)
class _Names:
    """Several names."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class _Constant:
    """A number, a truth value or a type."""

    value: int | float | bool | torch.dtype


_Argument = _Name | _Names | _Constant


@dataclass(frozen=True)
class _Step:
    operation: Callable[..., torch.Tensor]
    positional: tuple[_Argument, ...]
    named: Mapping[str, _Argument]
    result: str


@dataclass(frozen=True, eq=False)
class Program:
    """A model's graph with its weights. Call it with `training.serving.arrays.INPUTS`."""

    weights: Mapping[str, torch.Tensor]
    steps: tuple[_Step, ...]
    result: str

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Read the bytes of a `model.pt2`. Raises ArchiveRefused."""
        archive = read_archive(data)
        try:
            module = archive.graph["graph_module"]
            weights, inputs = _inputs(module["signature"]["input_specs"])
            steps = tuple(step for step in map(_step, _some(module["graph"]["nodes"])) if step is not None)
            (output,) = _some(module["signature"]["output_specs"])
            result = str(output["user_output"]["arg"]["as_tensor"]["name"])
            tensors = {name: torch.from_numpy(archive.weights[weight]) for name, weight in weights.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise ArchiveRefused(
                f"its graph is not as covey train writes it ({type(error).__name__}: {error})"
            ) from None
        if tuple(inputs) != INPUTS:
            raise ArchiveRefused(f"it takes {', '.join(inputs)[:80]}, not {', '.join(INPUTS)}")
        _require_known({*tensors, *inputs}, steps, result)
        return cls(tensors, steps, result)

    def on(self, device: str) -> Self:
        """Return the program with its weights on a device of PyTorch."""
        return replace(self, weights={name: one.to(device) for name, one in self.weights.items()})

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
        known = {**self.weights, **dict(zip(INPUTS, (x, mask, se), strict=True))}
        limit = MAX_WIDTH * max(len(x), 1)
        for step in self.steps:
            arguments = [_value(one, known) for one in step.positional]
            try:
                made = step.operation(*arguments, **{name: _value(one, known) for name, one in step.named.items()})
            except (RuntimeError, IndexError, TypeError) as error:
                raise ArchiveRefused(
                    f"its step {step.result!r} cannot be computed ({str(error).splitlines()[0]})"
                ) from None
            if made.numel() > limit:
                raise ArchiveRefused(f"its step {step.result!r} makes {made.numel():,} numbers of {len(x):,} row(s)")
            known[step.result] = made
        result = known[self.result]
        if result.shape != (len(x),) or result.dtype != torch.float32:
            raise ArchiveRefused(f"it gives {result.dtype} of the shape {tuple(result.shape)}, not a number a row")
        return result


class Traced(torch.nn.Module):
    """A program as a module without checks, of which a compiler follows the steps. Its weights are buffers."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self._program, self._names = program, {name: f"weight_{i}" for i, name in enumerate(program.weights)}
        for name, buffer in self._names.items():
            self.register_buffer(buffer, program.weights[name])

    def forward(self, x: torch.Tensor, mask: torch.Tensor, se: torch.Tensor) -> torch.Tensor:
        """Return float32[B]."""
        known = {name: getattr(self, buffer) for name, buffer in self._names.items()}
        known |= dict(zip(INPUTS, (x, mask, se), strict=True))
        for step in self._program.steps:
            arguments = [_value(one, known) for one in step.positional]
            known[step.result] = step.operation(
                *arguments, **{name: _value(one, known) for name, one in step.named.items()}
            )
        made: torch.Tensor = known[self._program.result]
        return made


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


def _step(node: Any) -> _Step | None:
    target = node["target"]
    if target == _ASSERTION:
        return None
    if target not in _OPERATIONS:
        raise ArchiveRefused(f"its graph calls {str(target)[:80]!r}, which is not an allowed operation")
    (output,) = _some(node["outputs"])
    arguments = [
        (given["kind"] == _POSITIONAL, str(given["name"]), _argument(given["arg"])) for given in _some(node["inputs"])
    ]
    return _Step(
        _OPERATIONS[target],
        tuple(one for positional, _, one in arguments if positional),
        {name: one for positional, name, one in arguments if not positional},
        str(output["as_tensor"]["name"]),
    )


def _argument(given: Any) -> _Argument:
    ((kind, value),) = given.items()
    match kind:
        case "as_tensor":
            return _Name(str(value["name"]))
        case "as_tensors":
            return _Names(tuple(str(one["name"]) for one in _some(value)))
        case "as_scalar_type":
            return _Constant(_TYPES[value])
        case "as_int" | "as_float" | "as_bool" if type(value) in (int, float, bool):
            return _Constant(value)
        case _:
            raise ArchiveRefused(f"a step has an argument of the kind {kind[:80]!r}, which no model of covey train has")


def _some(given: Any) -> Sequence[Any]:
    """Check that a value is a list of bounded length."""
    if not isinstance(given, list) or len(given) > MAX_NODES:
        raise ArchiveRefused(f"its graph lacks a list, or has one with more than {MAX_NODES} entries")
    return given


def _require_known(known: set[str], steps: Sequence[_Step], result: str) -> None:
    """Check that each step reads earlier names and makes a new name."""
    for step in steps:
        for one in (*step.positional, *step.named.values()):
            match one:
                case _Name(name):
                    needed: tuple[str, ...] = (name,)
                case _Names(names):
                    needed = names
                case _Constant():
                    needed = ()
                case _:
                    assert_never(one)
            if not known.issuperset(needed):
                raise ArchiveRefused(f"its step {step.result[:80]!r} reads a name that no earlier step makes")
        if step.result in known:
            raise ArchiveRefused(f"two of its steps make {step.result[:80]!r}")
        known.add(step.result)
    if result not in known:
        raise ArchiveRefused(f"its result {result[:80]!r} is made by no step")


def _value(argument: _Argument, known: Mapping[str, torch.Tensor]) -> Any:
    match argument:
        case _Name(name):
            return known[name]
        case _Names(names):
            return [known[name] for name in names]
        case _Constant(value):
            return value
        case _:
            assert_never(argument)
