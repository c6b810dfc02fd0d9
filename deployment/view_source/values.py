"""Expressions of a views file as fields: a value that JSON has, or code."""

from __future__ import annotations

import ast
import math
from typing import Final

import libcst as cst

from .checked_text import without_warnings
from .graph import Code, Field, Json, Literal
from .spans import Spans

MAX_EXACT: Final = 2**53
"""A larger integer would lose digits in a browser, whose numbers are float64."""


class NotLiteral(Exception):
    """An expression is not a value that is written out."""


def field_of(expression: cst.BaseExpression, spans: Spans) -> Field:
    """The field of an expression."""
    try:
        return Literal(_json_of(expression))
    except NotLiteral:
        return Code(spans.code(expression))


def text_of(expression: cst.BaseExpression) -> str:
    """The value of a text that is written out.

    Raises:
        NotLiteral: it is another expression, or bytes.
    """
    match expression:
        case cst.SimpleString(prefix="", raw_value=raw) if "\\" not in raw and "\r" not in raw:
            return raw
        case cst.SimpleString(value=value):
            return _evaluated(value)
        case cst.ConcatenatedString(left=left, right=right):
            return text_of(left) + text_of(right)
        case _:
            raise NotLiteral


def number_of(expression: cst.BaseExpression) -> int | float:
    """The value of a number that is written out, with its sign.

    Raises:
        NotLiteral: it is another expression.
    """
    match expression:
        case cst.Integer(value=value):
            return int(value.replace("_", ""), 0) if value.lstrip("0_") else 0
        case cst.Float(value=value):
            return float(value.replace("_", ""))
        case cst.UnaryOperation(operator=cst.Minus(), expression=inner):
            return -number_of(inner)
        case cst.UnaryOperation(operator=cst.Plus(), expression=inner):
            return number_of(inner)
        case _:
            raise NotLiteral


def _evaluated(literal: str) -> str:
    with without_warnings():
        value = ast.literal_eval(literal)
    if not isinstance(value, str):
        raise NotLiteral
    return value


def _json_of(expression: cst.BaseExpression) -> Json:
    match expression:
        case cst.Name(value="None"):
            return None
        case cst.Name(value="True" | "False" as name):
            return name == "True"
        case cst.SimpleString() | cst.ConcatenatedString():
            text = text_of(expression)
            if any("\ud800" <= c <= "\udfff" for c in text):
                raise NotLiteral
            return text
        case cst.List(elements=elements) | cst.Tuple(elements=elements):
            return [_json_of(_plain_element(element)) for element in elements]
        case cst.Dict(elements=entries):
            return _json_object(entries)
        case _:
            return _exact(number_of(expression))


def _plain_element(element: cst.BaseElement) -> cst.BaseExpression:
    if not isinstance(element, cst.Element):
        raise NotLiteral
    return element.value


def _json_object(entries: object) -> dict[str, Json]:
    assert isinstance(entries, list | tuple)
    found: dict[str, Json] = {}
    for entry in entries:
        if not isinstance(entry, cst.DictElement):
            raise NotLiteral
        key = _json_of(entry.key)
        if not isinstance(key, str) or key in found:
            raise NotLiteral
        found[key] = _json_of(entry.value)
    return found


def _exact(number: int | float) -> int | float:
    if not math.isfinite(number) if isinstance(number, float) else abs(number) > MAX_EXACT:
        raise NotLiteral
    return number
