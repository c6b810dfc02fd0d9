"""A `where` as one types: whether it is a condition, and what may stand at a place."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter
from pydantic import FailFast, Field

from covey.console.api.form import Body, Form
from covey.console.roles import Reader
from featurestore.define.completion import complete
from featurestore.define.expressions import MAX_CHARACTERS, ColumnType, Predicate, parse
from featurestore.errors import ExpressionError

from .graph import Name

MAX_COLUMNS: Final = 10_000


class ConditionColumn(Form):
    """A column of the source; `other` and `time` are types that no condition takes."""

    name: Name
    type: Literal["number", "text", "boolean", "time", "other"]


class ConditionBody(Body):
    """A `where`, and the place of the caret in it, in units of UTF-16 as browsers count."""

    where: Annotated[str, Field(max_length=2 * MAX_CHARACTERS)]
    position: Annotated[int, Field(ge=0, le=4 * MAX_CHARACTERS)]
    columns: Annotated[tuple[ConditionColumn, ...], Field(max_length=MAX_COLUMNS), FailFast()]


class ConditionOption(Form):
    """What may stand at the place. `hint`: the type of a column."""

    text: str
    part: Literal["column", "operator", "literal", "junction"]
    hint: str


class Condition(Form):
    """What is known of a `where`. Places are units of UTF-16.

    Attributes:
        message: why it is no condition; empty: it is one.
        first, last: the characters [first, last) that the message is about.
        warning: what is odd about a condition: a column that the source does not have, or has with another type.
        replace_first, replace_last: the begun word that an option replaces.
    """

    valid: bool
    message: str
    first: int
    last: int
    warning: str
    replace_first: int
    replace_last: int
    options: tuple[ConditionOption, ...]


def add_routes(router: APIRouter) -> None:
    """Add the route of conditions."""

    @router.post("/condition", operation_id="checkCondition")
    def check_condition(body: ConditionBody, _user: Reader) -> Condition:
        """Whether a text is a condition, and what may stand at the caret."""
        text = body.where
        types = {one.name: _type_of(one) for one in body.columns}
        offered = complete(text, _characters(text, body.position), types)
        message, span, warning = "", (0, 0), ""
        try:
            warning = _warning(parse(text), {one.name: one.type for one in body.columns})
        except ExpressionError as error:
            message, span = error.why, error.span or (0, len(text))
        return Condition(
            valid=not message,
            message=message,
            first=_units(text, span[0]),
            last=_units(text, span[1]),
            warning=warning,
            replace_first=_units(text, offered.span[0]),
            replace_last=_units(text, offered.span[1]),
            options=tuple(ConditionOption(text=one.text, part=one.part, hint=one.hint) for one in offered.options),
        )


def _type_of(column: ConditionColumn) -> ColumnType:
    match column.type:
        case "number" | "text" | "boolean":
            return column.type
        case "time" | "other":
            return "any"


def _warning(predicate: Predicate, types: dict[str, str]) -> str:
    """The first column that the source does not have as the condition uses it; empty: there is none."""
    for name, used_as in predicate.columns if types else ():
        if (kind := types.get(name)) is None:
            return f"the source has no column {name!r}"
        if used_as != "any" and kind not in (used_as, "other"):
            return f"the condition uses column {name!r} as a {used_as}, and the source has it as a {kind}"
    return ""


def _units(text: str, at: int) -> int:
    """A place in characters, in units of UTF-16."""
    return len(text[:at].encode("utf-16-le", "surrogatepass")) // 2


def _characters(text: str, units: int) -> int:
    """A place in units of UTF-16, in characters."""
    return len(text.encode("utf-16-le", "surrogatepass")[: 2 * units].decode("utf-16-le", "ignore"))
