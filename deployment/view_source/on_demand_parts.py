"""On-demand views in a views file: the text of the function, and what its signature says about it."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst

from .graph import Code, Field, Literal
from .scope import Scope, dotted
from .spans import Spans
from .values import NotLiteral, text_of


def fields_of_function(function: cst.FunctionDef, spans: Spans, scope: Scope) -> Mapping[str, Field]:
    """`function`, the text from `def` on, and `arguments`: each with its name, and with `feature`, `input` or `code`."""
    parameters = function.params
    every = [*parameters.posonly_params, *parameters.params, *parameters.kwonly_params]
    arguments = [
        {"name": one.name.value, **_mark(one.annotation, spans)} for one in every if isinstance(one.name, cst.Name)
    ]
    begin, end = function_span(function, spans)
    return {"function": Code(spans.text[begin:end].rstrip()), "arguments": Literal(arguments)}


def function_span(function: cst.FunctionDef, spans: Spans) -> tuple[int, int]:
    """From `def` to the end of the last line."""
    decorators_end = spans.whole(function.decorators[-1])[1]
    between = [spans.whole(line)[1] for line in function.lines_after_decorators]
    return max([decorators_end, *between]), spans.whole(function)[1]


def _mark(annotation: cst.Annotation | None, spans: Spans) -> Mapping[str, str]:
    """What an argument is, by its `Annotated[…, Feature("view:feature")]` or `Annotated[…, Input("int64")]`."""
    if annotation is None:
        return {"code": ""}
    match annotation.annotation:
        case cst.Subscript(
            value=annotated,
            slice=[
                _,
                cst.SubscriptElement(slice=cst.Index(value=cst.Call(func=mark, args=[cst.Arg(value=given, star="")]))),
            ],
        ) if dotted(annotated).rpartition(".")[2] == "Annotated":
            try:
                match dotted(mark).rpartition(".")[2]:
                    case "Feature":
                        return {"feature": text_of(given)}
                    case "Input":
                        return {"input": text_of(given)}
            except NotLiteral:
                pass
    return {"code": spans.code(annotation.annotation)}
