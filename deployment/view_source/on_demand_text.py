"""The text of an on-demand view's function: a first one, and edits of the text that a user has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import libcst as cst

from base.plain import is_text
from deployment.errors import ViewSourceInvalid, ViewSourceTooLarge

from .checked_text import check_text
from .expressions import is_name
from .graph import Code, Json, Literal, Node, Problem
from .imports import ANNOTATED, NUMPY, Import
from .layout import text_layout
from .source import parse
from .types import COVEY


def first_text(name: str, arguments: Sequence[Mapping[str, Any]], marks: Mapping[str, str]) -> str:
    """A function that returns its first argument, for its author to go on from.

    Args:
        marks: how the file spells `Feature` and `Input`.
    """
    rows = [f"    {one['name']}: Annotated[np.ndarray, {_mark(one, marks)}],\n" for one in arguments]
    given = arguments[0]["name"] if arguments else "None"
    return f"def {name}(\n{''.join(rows)}) -> np.ndarray:\n    return {given}"


def are_arguments(given: Json) -> bool:
    """Whether a value is the arguments of a function that can be written."""
    return isinstance(given, list | tuple) and all(_is_argument(one) for one in given)


def _is_argument(given: Json) -> bool:
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str) or not is_name(given["name"]):
        return False
    return all(isinstance(value, str) and is_text(value) for value in given.values())


def _mark(argument: Mapping[str, Any], marks: Mapping[str, str]) -> str:
    if "feature" in argument:
        return f"{marks['Feature']}({text_layout(argument['feature'])})"
    return f"{marks['Input']}({text_layout(argument.get('input', 'float64'))})"


def with_read_function(node: Node) -> Node:
    """An on-demand node whose fields follow from the text of its function, which may have its decorator with it.

    A text that is not one function stays as it is; its writer reports that.
    """
    given = node.fields.get("function")
    if not isinstance(given, Code):
        return node
    try:
        nodes = parse(f"import covey\nfrom covey import *\n{given.text}\n").graph.nodes
        decorated = [one for one in nodes if one.kind == "on_demand"]
        nodes = nodes if decorated else parse(f"from covey import *\n@on_demand()\n{given.text}\n").graph.nodes
    except (ViewSourceInvalid, ViewSourceTooLarge):
        return node
    if len(nodes) != 2 or nodes[1].kind != "on_demand":
        return node
    return replace(node, name=nodes[1].name, fields={**node.fields, **nodes[1].fields})


def imports_of(function: str) -> set[Import]:
    """What the text of a function uses of what its first text would import."""
    found = {ANNOTATED, NUMPY, Import(COVEY, "Feature"), Import(COVEY, "Input")}
    return {one for one in found if re.search(rf"(?<![\w.]){one.alias or one.name}\b", function)}


def edited_function(old: Node, node: Node, name: str, problems: list[Problem]) -> str:
    """The text of a function that was there.

    Args:
        name: of the function in the file.
    """
    was, given = old.fields["function"], node.fields.get("function")
    assert isinstance(was, Code)
    if isinstance(given, Code) and given != was:
        if is_function(given.text):
            return given.text.strip("\r\n").rstrip()
        problems.append(
            Problem(node.id, "function", "this is not one function of Python without decorators; correct its text")
        )
        return was.text
    text = was.text if name == old.name else re.sub(r"^(def\s+)\w+", rf"\g<1>{name}", was.text, count=1)
    if "arguments" in node.fields and node.fields["arguments"] != old.fields["arguments"]:
        return _with_references(text, old, node, problems)
    return text


def _with_references(text: str, old: Node, node: Node, problems: list[Problem]) -> str:
    """The text with other references in the annotations of its arguments."""
    was, given = old.fields["arguments"], node.fields["arguments"]
    if (
        isinstance(was, Literal)
        and isinstance(given, Literal)
        and are_arguments(given.value)
        and len(was.value) == len(given.value)
    ):
        pairs = [(a, b) for a, b in zip(was.value, given.value, strict=True) if Literal(a) != Literal(b)]
        if all({**a, "feature": ""} == {**b, "feature": ""} and "feature" in a for a, b in pairs):
            for before, after in pairs:
                text = _with_reference(text, before["name"], before["feature"], after["feature"])
            return text
    problems.append(
        Problem(
            node.id, "arguments", "only the features that arguments read can be changed here; edit the function's text"
        )
    )
    return text


def _with_reference(text: str, argument: str, old: str, new: str) -> str:
    """The text with another reference in the annotation of an argument."""
    pattern = rf"(\b{re.escape(argument)}\s*:[^:]*?\bFeature\(\s*)(['\"]){re.escape(old)}\2"
    found = re.search(pattern, text)
    return text if found is None else text[: found.start()] + found[1] + text_layout(new) + text[found.end() :]


def is_function(text: str) -> bool:
    """Whether a text is one function without decorators."""
    try:
        check_text(text)
        body = cst.parse_module(text).body
    except (ViewSourceInvalid, ViewSourceTooLarge, cst.ParserSyntaxError, RecursionError):
        return False
    return len(body) == 1 and isinstance(body[0], cst.FunctionDef) and not body[0].decorators
