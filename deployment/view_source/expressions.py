"""Checks a text that stands for one expression, before it is written between other code."""

from __future__ import annotations

import libcst as cst

from deployment.errors import ViewSourceInvalid, ViewSourceTooLarge

from .checked_text import check_text


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
