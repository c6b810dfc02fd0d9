"""How a foreign model is called: from what its file declares, and what its owner says. Nothing ambiguous is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, get_args

from training.errors import CallUnclear
from training.serving.signature import ForeignCall, ForeignInput, ForeignOutput, InputType, Missing, Role

from .ports import Port, Ports

_ROLES: Final[tuple[Role, ...]] = get_args(Role)
_TYPES: Final[dict[Role, frozenset[str]]] = {
    "values": frozenset(("float32", "float64")),
    "mask": frozenset(get_args(InputType)),
    "se": frozenset(("float32", "float64")),
}
_FLOATS: Final = frozenset(("float16", "float32", "float64", "bfloat16"))


@dataclass(frozen=True)
class CallChoices:
    """What the owner of a model says about its call.

    Attributes:
        inputs: the role of an input, by its name.
        missing: how a missing value is written.
        output: the output that is the prediction, as `name` or `name:column`; None: the only one of floating point.
    """

    inputs: Mapping[str, Role] = field(default_factory=dict)
    missing: Missing = "nan"
    output: str | None = None

    @property
    def are_given(self) -> bool:
        """Whether anything differs from the defaults."""
        return self != CallChoices()


def call_of(file: str, ports: Ports, width: int, choices: CallChoices) -> ForeignCall:
    """Return the call of a model with F features.

    An input named `mask` or `se` gets masks or standard errors, and the only other one gets the values. Of two columns of an
    output the last one is the prediction: the probability of a classifier's second class.

    Raises:
        CallUnclear: the choices are needed, or do not fit the file.
    """
    return ForeignCall(_inputs(file, ports, width, choices), choices.missing, _output(file, ports, choices))


def _inputs(file: str, ports: Ports, width: int, choices: CallChoices) -> tuple[ForeignInput, ...]:
    listed = ", ".join(map(str, ports.inputs)) or "none"
    for name in choices.inputs:
        if name not in {port.name for port in ports.inputs}:
            raise CallUnclear(f"{file} has no input {name[:80]!r}; it has: {listed}", "input")
    named: dict[str, Role] = {"mask": "mask", "se": "se", **choices.inputs}
    open_ = [port for port in ports.inputs if port.name not in named]
    if len(open_) > 1:
        raise CallUnclear(f"{file} has several inputs: {listed}. Say which gets {', '.join(_ROLES)}", "input")
    roles = {port.name: named.get(port.name, "values") for port in ports.inputs}
    if "values" not in roles.values():
        raise CallUnclear(f"no input of {file} gets the values of features; it has: {listed}", "input")
    return tuple(_input(file, port, roles[port.name], width) for port in ports.inputs)


def _input(file: str, port: Port, role: Role, width: int) -> ForeignInput:
    dtype: InputType
    match port.dtype:
        case "float32" | "float64" | "bool" if port.dtype in _TYPES[role]:
            dtype = port.dtype
        case _:
            takes = ", ".join(sorted(_TYPES[role]))
            raise CallUnclear(f"the input {port} of {file} cannot get {role}, which are {takes}", "input")
    shape = port.shape or (None, None)
    if shape[0] is not None:
        raise CallUnclear(f"the input {port} of {file} takes a fixed number of rows; export it for any number of rows")
    if len(shape) != 2 or shape[1] not in (None, width):
        raise CallUnclear(
            f"the input {port} of {file} does not take [N, {width}]: {width} features and plain columns are named",
            "features",
        )
    return ForeignInput(port.name, role, dtype)


def _output(file: str, ports: Ports, choices: CallChoices) -> ForeignOutput:
    listed = ", ".join(map(str, ports.outputs)) or "none"
    chosen: int | None = None
    if choices.output is not None:
        name, chosen = _output_name(choices.output, ports)
        found = [port for port in ports.outputs if port.name == name]
        if not found:
            raise CallUnclear(f"{file} has no output {name[:80]!r}; it has: {listed}", "output")
    else:
        found = [port for port in ports.outputs if port.dtype in _FLOATS]
    if len(found) != 1:
        hint = "; convert a classifier with options={'zipmap': False}" if _is_zipped(ports) else ""
        raise CallUnclear(
            f"{file} has not one output of floating point, but: {listed}. Say which is the prediction{hint}", "output"
        )
    (port,) = found
    if port.shape is None or (len(port.shape) == 2 and port.shape[1] is None):
        return ForeignOutput(port.name, chosen)
    match port.shape[1:]:
        case () | (1,) if chosen is None:
            return ForeignOutput(port.name, None)
        case (int(columns),) if chosen is not None and chosen < columns:
            return ForeignOutput(port.name, chosen)
        case (2,) if chosen is None:
            return ForeignOutput(port.name, 1)
        case (int(columns),) if chosen is None:
            raise CallUnclear(
                f"the output {port} of {file} has {columns} columns; say which is the prediction", "output"
            )
        case _:
            raise CallUnclear(f"the output {port} of {file} has no column {chosen}", "output")


def _output_name(text: str, ports: Ports) -> tuple[str, int | None]:
    """Return the name and the column of `name[:column]`. Some names end in a colon and a number, too."""
    name, _, column = text.rpartition(":")
    if text in {port.name for port in ports.outputs} or not (name and column.isdecimal() and len(column) < 6):
        return text, None
    return name, int(column)


def _is_zipped(ports: Ports) -> bool:
    """Return whether a converter of scikit-learn wrote probabilities as a list of tables."""
    return any(port.dtype == "sequence" for port in ports.outputs)
