"""Checks of names, values and texts of expressions, before they are written between other code."""

from __future__ import annotations

import keyword
import math
from collections.abc import Mapping
from typing import Final

import libcst as cst

from base.plain import is_text
from deployment.errors import ViewSourceInvalid, ViewSourceTooLarge

from .checked_text import check_text
from .graph import Json

MAX_VALUE_DEPTH: Final = 20


def why_no_expression(text: str) -> str | None:
    """Why a text is no expression that may stand between two commas; None if it may."""
    stripped = text.strip()
    try:
        check_text(f"(\n{stripped}\n)")
        expression = cst.parse_expression(stripped)
    except ViewSourceInvalid as error:
        return f"this is no expression of Python: {error.why}"
    except ViewSourceTooLarge as error:
        return f"this expression is too large: {error}"
    except (cst.ParserSyntaxError, RecursionError):
        return "this is no expression of Python; write one value"
    if isinstance(expression, cst.NamedExpr | cst.Yield | cst.Tuple | cst.GeneratorExp) and not expression.lpar:
        return "put this expression in parentheses"
    if cst.Module([]).code_for_node(expression) != stripped:
        return "this expression ends with a comment; remove it"
    return None


def why_no_json(value: Json, depth: int = 0) -> str | None:
    """Why a value cannot be written out; None if it can."""
    if depth > MAX_VALUE_DEPTH:
        return f"this value nests more than {MAX_VALUE_DEPTH} levels"
    match value:
        case float() if not math.isfinite(value):
            return f"{value} is no number that a file writes out; write it as code"
        case str() if not is_text(value):
            return "a character is half of a surrogate pair, which UTF-8 does not have"
        case None | bool() | int() | float() | str():
            return None
        case list() | tuple():
            parts = [*value]
        case Mapping():
            parts = [*value, *value.values()]
        case _:
            return f"{type(value).__name__} is no value of JSON"
    return next((why for part in parts if (why := why_no_json(part, depth + 1)) is not None), None)


def is_name(text: str) -> bool:
    """Whether a text can be a name of Python."""
    return text.isidentifier() and not keyword.iskeyword(text)
