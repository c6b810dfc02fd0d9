"""The metrics and labels that a PromQL expression names: a small tokenizer. Its syntax is checked by promtool."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<duration>\[[^\]]*\])|(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?P<sign>=~|!~|!=|==|<=|>=|[-+*/%^(){},=<>]))""",
    re.VERBOSE,
)
_GROUPING: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_OPERATORS: Final = frozenset({"and", "or", "unless", "bool", "offset"})


class Named(NamedTuple):
    """What an expression names.

    Attributes:
        selectors: (metric, its matchers as (label, operator, value)).
        grouped: the labels of `by (…)` and the like.
    """

    selectors: list[tuple[str, list[tuple[str, str, str]]]]
    grouped: set[str]


def tokens_of(expression: str) -> list[tuple[str, str]]:
    """(kind, text) of each token."""
    found, at = [], 0
    while at < len(expression.rstrip()):
        match = _TOKEN.match(expression, at)
        assert match is not None, expression[at:]
        found.append((match.lastgroup or "", match[match.lastgroup or 0]))
        at = match.end()
    return found


def names_in(expression: str) -> Named:
    """The metrics and labels of an expression."""
    tokens = [*tokens_of(expression), ("end", "")]
    named, at = Named([], set()), 0
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if kind == "name" and text in _GROUPING:
            at += 2
            while tokens[at][1] != ")":
                if tokens[at][0] == "name":
                    named.grouped.add(tokens[at][1])
                at += 1
        elif kind == "name" and text not in _OPERATORS and following != "(" and following not in _GROUPING:
            matchers = []
            if following == "{":
                at += 2
                while tokens[at][1] != "}":
                    if tokens[at][0] == "name":
                        matchers.append((tokens[at][1], tokens[at + 1][1], tokens[at + 2][1][1:-1]))
                        at += 2
                    at += 1
            named.selectors.append((text, matchers))
        at += 1
    return named
