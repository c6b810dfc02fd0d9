"""Calls of the classes of views with values that were evaluated: what fits, what fails, and at which parameter."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, cast

from featurestore.define.entities import ColumnType
from featurestore.define.on_demand import Feature, Input, OnDemandView, on_demand
from featurestore.errors import OnDemandFailed

from .graph import Literal, Node
from .types import PartType

_NAMED: Final = re.compile(r"`(\w+)`|\b(\w+)=|\bthe (domain)\b|\b(window)\b")


class CallRefused(Exception):
    """Arguments that a class does not take; names the parameter."""

    def __init__(self, parameter: str, message: str) -> None:
        self.parameter = parameter
        super().__init__(message)


def require_callable(kind: PartType | None, given: Mapping[str, Any]) -> None:
    """Return if a class takes these arguments.

    Raises:
        CallRefused: one is missing, one is unknown, or a domain is a path from the working directory.
    """
    parameters = {} if kind is None else kind.parameters
    for name in given:
        if name not in parameters:
            raise CallRefused(name, f"{name} is no parameter; use one of {', '.join(parameters)}")
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in given:
            raise CallRefused(name, f"{name} is missing; give it")
    if isinstance(given.get("domain"), str):
        raise CallRefused(
            "domain",
            "a path that starts at the working directory is read only when the file runs; write "
            'Path(__file__).with_name("…") for a file beside the views file',
        )


def field_in(message: str, kind: PartType | None) -> str:
    """The parameter that a message is about, or nothing."""
    parameters = {} if kind is None else kind.parameters
    for match in _NAMED.finditer(message):
        name = next(group for group in match.groups() if group)
        if name == "window" and "windows" in parameters:
            return "windows"
        if name in parameters:
            return name
    return ""


def unexecuted(node: Node, outputs: Any, name: Any = None) -> OnDemandView:
    """An on-demand view with its signature, whose function refuses to run: its text was not executed.

    Raises:
        OnDemandInvalid: as `on_demand`.
    """
    arguments = node.fields["arguments"]
    listed = arguments.value if isinstance(arguments, Literal) else []

    def function(**_given: object) -> None:
        raise OnDemandFailed(node.name, "its function was read and not executed; load the file to run it")

    kept = inspect.Parameter.KEYWORD_ONLY
    function.__name__ = node.name
    signature = inspect.Signature([inspect.Parameter(one["name"], kept) for one in listed])
    function.__signature__ = signature  # type: ignore[attr-defined]  # `inspect` reads it (PEP 362); mypy does not know it
    function.__annotations__ = {one["name"]: _annotation(one) for one in listed}
    return on_demand(outputs=outputs, name=name)(function)


def _annotation(argument: Mapping[str, str]) -> Any:
    if "feature" in argument:
        return Annotated[Any, Feature(argument["feature"])]
    kind = cast(ColumnType, argument.get("input"))  # `on_demand` refuses another one
    return Any if kind is None else Annotated[Any, Input(kind)]
