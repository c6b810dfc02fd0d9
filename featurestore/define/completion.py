"""What may stand at a place of a `where`: for editors. `expressions.parse` alone decides what is a condition.

The text before the place is read word by word, so that it may be unfinished. Each word leads from one expectation to the next;
a word that does not fit leads to no suggestions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import islice
from typing import Final, Literal, assert_never

from sqlglot.dialects.duckdb import DuckDB

from featurestore.errors import ExpressionError

from .expressions import ColumnType, parse

MOST: Final = 50
"""Suggestions at one place."""

Part = Literal["column", "operator", "literal", "junction"]

_WORD: Final = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*'?)|(?P<quoted>"(?:[^"]|"")*"?)|(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d*)?)"""
    r"""|(?P<name>[^\W\d]\w*)|(?P<operator><>|!=|<=|>=|[=<>])|(?P<mark>[(),])|(?P<odd>\S))"""
)
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORDS: Final = frozenset({"AND", "OR", "NOT", "IS", "NULL", "IN", "BETWEEN", "LIKE", "TRUE", "FALSE"})
_ORDERED: Final = (
    ">=",
    ">",
    "<=",
    "<",
    "=",
    "<>",
    "BETWEEN",
    "IN (",
    "IS NULL",
    "IS NOT NULL",
    "NOT BETWEEN",
    "NOT IN (",
)
_OPERATORS: Final[Mapping[ColumnType, tuple[str, ...]]] = {
    "number": _ORDERED,
    "text": ("=", "<>", "IN (", "LIKE", "IS NULL", "IS NOT NULL", "NOT IN (", "NOT LIKE"),
    "boolean": ("AND", "OR", "IS NULL", "IS NOT NULL", "=", "<>"),
    "any": (*_ORDERED, "LIKE", "NOT LIKE"),
}


class _Next(Enum):
    """What the next word is."""

    OPERAND = "a column, NOT or ("
    OPERATOR = "an operator after a column"
    AFTER_NOT = "IN, BETWEEN or LIKE"
    VALUE = "a literal, or a column"
    LOW = "the first literal of BETWEEN"
    BETWEEN_AND = "the AND of BETWEEN"
    HIGH = "the second literal of BETWEEN"
    AFTER_IS = "NULL or NOT NULL"
    NULL = "NULL"
    LIST = "the ( of IN"
    ITEM = "a literal of IN"
    AFTER_ITEM = "a comma or )"
    PATTERN = "the text of LIKE"
    JUNCTION = "AND, OR, or )"
    NOTHING = "no suggestion"


@dataclass(frozen=True)
class Completion:
    """One suggestion.

    Attributes:
        text: what replaces the characters of `Completions.span`.
        hint: the type of a column; else empty.
    """

    text: str
    part: Part
    hint: str = ""


@dataclass(frozen=True)
class Completions:
    """Suggestions for one place of a text, best first.

    Attributes:
        span: the characters [from, to) that a suggestion replaces: the begun word before the place.
    """

    span: tuple[int, int]
    options: tuple[Completion, ...]


@dataclass(frozen=True)
class _State:
    """What the words so far lead to. `column`: the column that an operator or literal belongs to."""

    next: _Next = _Next.OPERAND
    column: str = ""
    depth: int = 0


def complete(text: str, at: int, columns: Mapping[str, ColumnType]) -> Completions:
    """Suggestions at the character `at` of a text.

    Args:
        columns: the columns of the source, each with the type that its values have.
    """
    before = text[: max(0, at)]
    words = list(_words(before))
    begun = ""
    if words and words[-1][1].end() == len(before) and words[-1][0] in ("name", "quoted"):
        begun = words.pop()[1].group().lstrip()
    state = _State()
    for kind, match in words:
        state = _after(state, kind, match.group().strip())
    if words and _is_open(words[-1][1].group().strip()):
        state = _nothing(state)
    options = tuple(islice(_matching(_options(state, columns), begun), MOST))
    return Completions((len(before) - len(begun), len(before)), options)


def quoted(column: str) -> str:
    """A column as a `where` spells it: plainly, or in double quotes."""
    if _PLAIN.fullmatch(column) and (column.upper() not in DuckDB.Tokenizer.KEYWORDS or _is_name(column.upper())):
        return column
    return '"' + column.replace('"', '""') + '"'


@cache
def _is_name(word: str) -> bool:
    """Whether a keyword of SQL, in capitals, is a column in a `where`, such as `TIME`."""
    try:
        return parse(f"{word} IS NULL").columns == ((word, "any"),)
    except ExpressionError:
        return False


def _words(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    place = 0
    while (match := _WORD.match(text, place)) is not None:
        yield str(match.lastgroup), match
        place = match.end()


def _after(state: _State, kind: str, word: str) -> _State:
    """The expectation after one more word."""
    keyword = word.upper() if kind == "name" and word.upper() in _KEYWORDS else ""
    is_column = kind == "quoted" or (kind == "name" and not keyword)
    is_literal = kind in ("number", "text") or keyword in ("TRUE", "FALSE")
    match state.next:
        case _Next.OPERAND:
            if is_column:
                return _State(_Next.OPERATOR, _unquoted(word), state.depth)
            if keyword == "NOT":
                return state
            return _State(_Next.OPERAND, "", state.depth + 1) if word == "(" else _nothing(state)
        case _Next.OPERATOR:
            if kind == "operator":
                return _to(state, _Next.VALUE)
            if keyword in _BY_KEYWORD:
                return _to(state, _BY_KEYWORD[keyword])
            return _junction(state, keyword, word)
        case _Next.AFTER_NOT:
            return _to(state, _BY_KEYWORD[keyword]) if keyword in ("IN", "BETWEEN", "LIKE") else _nothing(state)
        case _Next.VALUE:
            return _to(state, _Next.JUNCTION) if is_literal or is_column else _nothing(state)
        case _Next.LOW:
            return _to(state, _Next.BETWEEN_AND) if is_literal else _nothing(state)
        case _Next.BETWEEN_AND:
            return _to(state, _Next.HIGH) if keyword == "AND" else _nothing(state)
        case _Next.HIGH | _Next.PATTERN:
            return _to(state, _Next.JUNCTION) if is_literal else _nothing(state)
        case _Next.AFTER_IS:
            if keyword == "NOT":
                return _to(state, _Next.NULL)
            return _to(state, _Next.JUNCTION) if keyword == "NULL" else _nothing(state)
        case _Next.NULL:
            return _to(state, _Next.JUNCTION) if keyword == "NULL" else _nothing(state)
        case _Next.LIST:
            return _to(state, _Next.ITEM) if word == "(" else _nothing(state)
        case _Next.ITEM:
            return _to(state, _Next.AFTER_ITEM) if is_literal else _nothing(state)
        case _Next.AFTER_ITEM:
            if word == ",":
                return _to(state, _Next.ITEM)
            return _to(state, _Next.JUNCTION) if word == ")" else _nothing(state)
        case _Next.JUNCTION:
            return _junction(state, keyword, word)
        case _Next.NOTHING:
            return state
        case _:
            assert_never(state.next)


_BY_KEYWORD: Final[Mapping[str, _Next]] = {
    "IS": _Next.AFTER_IS,
    "IN": _Next.LIST,
    "BETWEEN": _Next.LOW,
    "LIKE": _Next.PATTERN,
    "NOT": _Next.AFTER_NOT,
}


def _junction(state: _State, keyword: str, word: str) -> _State:
    if keyword in ("AND", "OR"):
        return _State(_Next.OPERAND, "", state.depth)
    if word == ")" and state.depth:
        return _State(_Next.JUNCTION, "", state.depth - 1)
    return _nothing(state)


def _to(state: _State, follows: _Next) -> _State:
    return _State(follows, state.column, state.depth)


def _nothing(state: _State) -> _State:
    return _to(state, _Next.NOTHING)


def _options(state: _State, columns: Mapping[str, ColumnType]) -> Iterator[Completion]:
    """All words that fit."""
    used_as: ColumnType = columns.get(state.column, "any")
    match state.next:
        case _Next.OPERAND:
            yield from (Completion(quoted(name), "column", kind) for name, kind in columns.items())
            yield from (Completion(word, "operator") for word in ("NOT", "("))
        case _Next.OPERATOR:
            yield from (
                Completion(word, "junction" if word in ("AND", "OR") else "operator") for word in _OPERATORS[used_as]
            )
        case _Next.AFTER_NOT:
            yield from (Completion(word, "operator") for word in ("IN (", "BETWEEN", "LIKE"))
        case _Next.VALUE:
            yield from _literals(used_as)
            # two columns that are compared are numbers, unless another use says otherwise
            if used_as in ("number", "any"):
                numbers = (name for name, kind in columns.items() if name != state.column and kind == "number")
                yield from (Completion(quoted(name), "column", "number") for name in numbers)
        case _Next.LOW | _Next.HIGH | _Next.ITEM:
            yield from _literals(used_as)
        case _Next.PATTERN:
            yield Completion("'%'", "literal")
        case _Next.BETWEEN_AND:
            yield Completion("AND", "operator")
        case _Next.AFTER_IS:
            yield from (Completion(word, "operator") for word in ("NULL", "NOT NULL"))
        case _Next.NULL:
            yield Completion("NULL", "operator")
        case _Next.LIST:
            yield Completion("(", "operator")
        case _Next.AFTER_ITEM:
            yield from (Completion(word, "operator") for word in (",", ")"))
        case _Next.JUNCTION:
            yield from (Completion(word, "junction") for word in ("AND", "OR"))
            if state.depth:
                yield Completion(")", "junction")
        case _Next.NOTHING:
            return
        case _:
            assert_never(state.next)


def _literals(used_as: ColumnType) -> Iterator[Completion]:
    forms: Mapping[ColumnType, tuple[str, ...]] = {
        "number": ("0",),
        "text": ("''",),
        "boolean": ("TRUE", "FALSE"),
        "any": ("0", "''", "TRUE", "FALSE"),
    }
    return (Completion(form, "literal") for form in forms[used_as])


def _matching(options: Iterable[Completion], begun: str) -> Iterator[Completion]:
    """The options that continue a begun word: those that begin with it, then columns that contain it."""
    word = begun.strip('"').lower()
    inside = []
    for one in options:
        if one.text.strip('"').lower().startswith(word):
            yield one
        elif one.part == "column" and word in one.text.lower():
            inside.append(one)
    yield from inside


def _is_open(word: str) -> bool:
    """Whether a text in single quotes is not closed."""
    return word.startswith("'") and word.count("'") % 2 == 1


def _unquoted(word: str) -> str:
    return word[1:].removesuffix('"').replace('""', '"') if word.startswith('"') else word
