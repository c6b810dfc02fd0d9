"""A request for predictions, as both transports parse it: its tensors, its parameters, and the outputs that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from featurestore.define.entities import ColumnType
from featurestore.errors import BadRequest
from training.serving.ask import Ask, Raw
from training.serving.intervals.level import Level

from .tensor_inputs import inputs_of
from .tensors import SHOWN, Tensor

PREDICTION, LO, HI, FEATURES, ERRORS, STATUS = "prediction", "lo", "hi", "features", "se", "status"
OUTPUTS: Final = (PREDICTION, LO, HI, FEATURES, ERRORS, STATUS)
EXPLAINING: Final = frozenset({FEATURES, ERRORS, STATUS})
"""The outputs that say what a prediction was computed from."""
FINAL: Final = "triton_enable_empty_final_response"
"""The parameter of a stream whose client waits for a mark of the last answer."""
_US: Final = 1_000_000
_UNUSED: Final = frozenset({"headers", "content_type"})
"""Parameters of other servers that change nothing here. So do those that begin with `triton_`."""
PARAMETERS: Final = ("timeout", "priority", "interval", "explain", "binary_data_output")
_SEQUENCE: Final = frozenset({"sequence_id", "sequence_start", "sequence_end"})


@dataclass(frozen=True)
class Parameters:
    """The parameters of a request.

    Attributes:
        timeout_s: how long the client waits; None: as long as the model's settings say.
        interval: the level of the interval; None: no interval.
        explain: whether the answer names the releases that were used.
        binary: whether outputs are raw bytes, over HTTP; an output may say otherwise.
        marks_final: whether an answer of a stream says that it is the last one of its request.
    """

    timeout_s: float | None = None
    interval: float | None = None
    explain: bool = False
    binary: bool = False
    marks_final: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Parse parameters.

        Raises:
            BadRequest: one is unknown, or of another type; a mistyped one would change nothing. InputRefused: no such level.
        """
        for name in given:
            if name in _SEQUENCE:
                raise BadRequest(f"parameter {name!r}: these models keep no state between requests; leave it out")
            if name not in PARAMETERS and name not in _UNUSED and not name.startswith("triton_"):
                raise BadRequest(f"no parameter {name[:SHOWN]!r}; there are: {', '.join(PARAMETERS)}")
        _whole(given, "priority")
        timeout = _whole(given, "timeout")
        return cls(
            timeout / _US if timeout else None,
            _level(given.get("interval")),
            _flag(given, "explain"),
            _flag(given, "binary_data_output"),
            _flag(given, FINAL),
        )


@dataclass(frozen=True)
class RequestedOutput:
    """An output that a request names.

    Attributes:
        binary: whether it is raw bytes, over HTTP.
    """

    name: str
    binary: bool = False

    @classmethod
    def of(cls, name: Any, parameters: Mapping[str, Any], binary: bool) -> Self:
        """Parse an output; `binary`: the request's default. Raises BadRequest."""
        if name not in OUTPUTS:
            raise BadRequest(f"no output {str(name)[:SHOWN]!r}; there are: {', '.join(OUTPUTS)}")
        require_in_body(parameters, f"output {name!r}")
        if parameters.get("classification"):
            raise BadRequest(f"output {name!r}: classification is not supported; rank the outputs in the client")
        return cls(name, _flag(parameters, "binary_data", binary))


@dataclass(frozen=True)
class InferRequest:
    """A request for predictions.

    Attributes:
        ident: its id, which the answer repeats; "": none.
        outputs: those of the answer, in order.
    """

    ident: str
    tensors: tuple[Tensor, ...]
    parameters: Parameters
    outputs: tuple[RequestedOutput, ...]

    @classmethod
    def of(
        cls, ident: Any, tensors: Sequence[Tensor], parameters: Parameters, outputs: Sequence[RequestedOutput]
    ) -> Self:
        """A request whose parts fit together. Without `outputs` it has the prediction, and its interval if there is one.

        Raises:
            BadRequest.
        """
        if not isinstance(ident, str):
            raise BadRequest("`id` must be a string")
        names = [one.name for one in outputs]
        if len(set(names)) != len(names):
            raise BadRequest("two of `outputs` have the same name")
        if parameters.interval is None and {LO, HI} & set(names):
            raise BadRequest(f"the outputs {LO!r} and {HI!r} need the parameter `interval`, the level, such as 0.9")
        if not outputs:
            default = (PREDICTION,) if parameters.interval is None else (PREDICTION, LO, HI)
            outputs = tuple(RequestedOutput(name, parameters.binary) for name in default)
        return cls(ident, tuple(tensors), parameters, tuple(outputs))

    def ask(self, model: str, version: int | None, types: Mapping[str, ColumnType], timeout_s: float | None) -> Ask:
        """What it asks of a model.

        Args:
            types: what a request by key gives to the version that is asked.
            timeout_s: how long its transport says that the client waits; the shorter time counts.

        Raises:
            BadRequest: a tensor does not fit the model.
        """
        given, rows = inputs_of(self.tensors, types)
        asked = self.parameters
        if asked.interval is not None and isinstance(given, Raw):
            raise BadRequest("an interval needs rows by key: the server does not know the noise of raw features")
        explain = asked.explain or any(one.name in EXPLAINING for one in self.outputs)
        waits = [wait for wait in (timeout_s, asked.timeout_s) if wait is not None]
        return Ask(model, version, given, rows, self.ident, explain, asked.interval, min(waits, default=None))


def require_in_body(parameters: Mapping[str, Any], what: str) -> None:
    """Raise BadRequest if a tensor is in shared memory, which the server does not map."""
    if "shared_memory_region" in parameters:
        raise BadRequest(f"{what}: shared memory is not supported; send the data in the request")


def version_of(text: str) -> int | None:
    """The version that a request names; None: none. Raises BadRequest: it is no whole number of 1 or more."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or text[0] == "0" or len(text) > 9:
        raise BadRequest(f"the version {text[:SHOWN]!r} must be a whole number of 1 or more, such as 2")
    return int(text)


def _whole(given: Mapping[str, Any], name: str) -> int:
    found = given.get(name, 0)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**63:
        raise BadRequest(f"parameter {name!r} must be a whole number of 0 or more")
    return found


def _level(found: Any) -> float | None:
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise BadRequest("parameter 'interval' must be a number, such as 0.9")
    return Level.of(float(found)).level


def _flag(given: Mapping[str, Any], name: str, default: bool = False) -> bool:
    found = given.get(name, default)
    if not isinstance(found, bool):
        raise BadRequest(f"parameter {name!r} must be true or false")
    return found
