"""The closed grammar of `where`. Every party parses the text into the tree below, and renders SQL from that tree only.

A plan is foreign code on a private device, so none of its text reaches DuckDB. sqlglot parses the text. `parse` accepts
columns, literals, comparisons of a column with a literal or a column, a boolean column, AND, OR, NOT, IS [NOT] NULL,
[NOT] IN, [NOT] BETWEEN and [NOT] LIKE. It refuses everything else by name. `Predicate.sql` renders the tree.

The type of a column follows from its use. A column that is compared with a number is a number. One that is compared with a
text, or is under LIKE, is a text. One that is alone, or is compared with TRUE or FALSE, is a boolean. Two columns that are
compared with each other have the same type: the one that another use gives, else number. A column that is only under IS NULL
may have any type.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import sqlglot
from sqlglot import expressions as sql
from sqlglot.errors import ParseError, SqlglotError, TokenError

from base.plain import is_text
from featurestore.errors import ExpressionError

ColumnType = Literal["number", "text", "boolean", "any"]

MAX_CHARACTERS: Final = 4_096
MAX_NODES: Final = 512
MAX_DEPTH: Final = 64

_COMPARISONS: Final[dict[type[sql.Expr], str]] = {
    sql.EQ: "=",
    sql.NEQ: "<>",
    sql.LT: "<",
    sql.LTE: "<=",
    sql.GT: ">",
    sql.GTE: ">=",
}
_MIRRORED: Final = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class Column:
    """A source column."""

    name: str


@dataclass(frozen=True)
class Compare:
    """`left op right`; `left` is always a column."""

    op: str
    left: Column
    right: Column | float | str | bool


@dataclass(frozen=True)
class Truth:
    """A boolean column alone."""

    column: Column


@dataclass(frozen=True)
class IsNull:
    """`column IS NULL`."""

    column: Column


@dataclass(frozen=True)
class In:
    """`column IN (values)`."""

    column: Column
    values: tuple[float | str | bool, ...]


@dataclass(frozen=True)
class Between:
    """`column BETWEEN low AND high`."""

    column: Column
    low: float | str
    high: float | str


@dataclass(frozen=True)
class Like:
    """`column LIKE pattern`."""

    column: Column
    pattern: str


@dataclass(frozen=True)
class Not:
    """`NOT part`."""

    part: Node


@dataclass(frozen=True)
class Junction:
    """`left AND right`, `left OR right`."""

    op: Literal["AND", "OR"]
    left: Node
    right: Node


Node = Compare | Truth | IsNull | In | Between | Like | Not | Junction


@dataclass(frozen=True)
class Predicate:
    """A parsed `where`: its tree, and the type of each column that it reads."""

    text: str
    root: Node
    columns: tuple[tuple[str, ColumnType], ...]

    def sql(self, names: dict[str, str]) -> str:
        """The DuckDB expression. `names` has the quoted name of each column."""
        return _render(self.root, names)


def parse(text: str) -> Predicate:
    """Parse a `where`; ExpressionError if it is outside the grammar or uses a column in two types."""
    if not isinstance(text, str) or not text.strip():
        raise ExpressionError(str(text), "it is empty or not a text; write a condition such as 'arr_delay >= 15'")
    if len(text) > MAX_CHARACTERS or "\0" in text:
        raise ExpressionError(text, f"it has over {MAX_CHARACTERS:,} characters, or a NUL character")
    if not is_text(text):
        raise ExpressionError(text, "it is not valid Unicode")
    return _parsed(text)


@lru_cache(maxsize=256)
def _parsed(text: str) -> Predicate:
    try:
        with _quiet():
            statements = sqlglot.parse(text, read="duckdb")
    except ParseError as error:
        raise _unparsed(text, error) from None
    except TokenError as error:
        is_open = any(text.count(quote) % 2 for quote in "'\"")
        why = "a text or a name has no closing quote" if is_open else str(error).splitlines()[0]
        raise ExpressionError(text, f"it cannot be parsed ({why})") from None
    except (SqlglotError, RecursionError, ValueError) as error:
        raise ExpressionError(text, f"it cannot be parsed ({str(error).splitlines()[0]})") from None
    if len(statements) != 1 or statements[0] is None:
        raise ExpressionError(text, "it must be one condition")
    root = _Builder(text).build(statements[0], 0)
    return Predicate(text, root, _infer(text, root))


def _unparsed(text: str, error: ParseError) -> ExpressionError:
    """The error of a text that is no SQL: in sqlglot's words, or plainly where a part is missing."""
    found = error.errors[0] if error.errors else {}
    word, line, column = found.get("highlight"), found.get("line"), found.get("col")
    if not isinstance(word, str) or not word or not isinstance(line, int) or not isinstance(column, int):
        return ExpressionError(text, f"it cannot be parsed ({str(error).splitlines()[0]})")
    end = min(len(text), sum(map(len, text.splitlines(keepends=True)[: line - 1])) + column)
    span = max(0, end - len(word)), end
    said = str(found.get("description")).splitlines()[0]
    why = f"a part is missing beside {word!r}" if said.startswith("Required keyword") else f"{said}, at {word!r}"
    return ExpressionError(text, f"it cannot be parsed ({why})", span)


def _span(node: sql.Expr) -> tuple[int, int] | None:
    """The characters [from, to) of the names and literals below a node; None: it has none."""
    known = [part.meta for part in node.walk() if "start" in part.meta and "end" in part.meta]
    return (min(meta["start"] for meta in known), max(meta["end"] for meta in known) + 1) if known else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence sqlglot's log in this thread: it logs each unknown command, which `parse` refuses in one line anyway."""
    here = threading.get_ident()
    logger = logging.getLogger("sqlglot")

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    logger.addFilter(elsewhere)
    try:
        yield
    finally:
        logger.removeFilter(elsewhere)


class _Builder:
    """Turns sqlglot's tree into ours, node by node. It refuses each node that has no rule here."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.nodes = 0

    def refuse(self, node: sql.Expr, hint: str = "") -> ExpressionError:
        allowed = "use columns, literals, comparisons, AND, OR, NOT, IS NULL, IN, BETWEEN and LIKE"
        return ExpressionError(
            self.text, f"{type(node).__name__.upper()} is not allowed here; {hint or allowed}", _span(node)
        )

    def build(self, node: object, depth: int) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ExpressionError(self.text, f"it has over {MAX_NODES} terms, or is nested deeper than {MAX_DEPTH}")
        if not isinstance(node, sql.Expr):
            raise ExpressionError(self.text, "it is not a condition")
        match node:
            case sql.Paren():
                return self.build(node.this, depth + 1)
            case sql.And() | sql.Or():
                op: Literal["AND", "OR"] = "AND" if isinstance(node, sql.And) else "OR"
                return Junction(op, self.build(node.left, depth + 1), self.build(node.right, depth + 1))
            case sql.Not():
                return Not(self.build(node.this, depth + 1))
            case sql.Is():
                if not isinstance(node.expression, sql.Null):
                    raise self.refuse(node, "IS takes NULL only")
                return IsNull(self.column(node.this))
            case sql.In():
                if set(_given(node)) - {"this", "expressions"} or not 1 <= len(node.expressions) <= MAX_NODES:
                    raise self.refuse(node, "IN takes a list of literals, at least one")
                return In(self.column(node.this), tuple(self.literal(value) for value in node.expressions))
            case sql.Between():
                if set(_given(node)) - {"this", "low", "high"}:
                    raise self.refuse(node)
                low, high = self.literal(node.args["low"]), self.literal(node.args["high"])
                if isinstance(low, bool) or isinstance(high, bool):
                    raise self.refuse(node, "BETWEEN takes two numbers or two texts")
                return Between(self.column(node.this), low, high)
            case sql.Like():
                pattern = self.literal(node.expression)
                if set(_given(node)) - {"this", "expression", "negate"} or not isinstance(pattern, str):
                    raise self.refuse(node, "LIKE takes a text")
                like = Like(self.column(node.this), pattern)
                return Not(like) if node.args.get("negate") else like  # NOT LIKE, in some versions of sqlglot
            case sql.Column():
                return Truth(self.column(node))
            case sql.Alias():
                why = f"{node.alias!r} follows without AND or OR; a name with a space needs double quotes"
                raise ExpressionError(self.text, why, _span(node))
        if type(node) in _COMPARISONS:
            return self.comparison(node, _COMPARISONS[type(node)])
        raise self.refuse(node)

    def comparison(self, node: sql.Expr, op: str) -> Node:
        left, right = node.args["this"], node.args["expression"]
        if isinstance(left, sql.Column):
            return Compare(op, self.column(left), self.column(right) if _is_column(right) else self.literal(right))
        if isinstance(right, sql.Column):
            return Compare(_MIRRORED[op], self.column(right), self.literal(left))
        why = "a comparison needs a plain column on one side; a name with a dash or a space needs double quotes"
        raise ExpressionError(self.text, why, _span(node))

    def column(self, node: object) -> Column:
        if (
            not isinstance(node, sql.Column)
            or set(_given(node)) != {"this"}
            or not isinstance(node.this, sql.Identifier)
        ):
            raise self.refuse(node if isinstance(node, sql.Expr) else sql.Null(), "a plain column name is needed here")
        return Column(str(node.this.this))

    def literal(self, node: object) -> float | str | bool:
        match node:
            case sql.Boolean():
                return bool(node.this)
            case sql.Neg() if isinstance(node.this, sql.Literal) and not node.this.is_string:
                return -self.number(str(node.this.this))
            case sql.Literal():
                return str(node.this) if node.is_string else self.number(str(node.this))
        raise self.refuse(
            node if isinstance(node, sql.Expr) else sql.Null(), "a number, a text, TRUE or FALSE is needed"
        )

    def number(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ExpressionError(self.text, f"{text} is not a finite number")
        return value


def _is_column(node: object) -> bool:
    return isinstance(node, sql.Column)


def _given(node: sql.Expr) -> list[str]:
    return [name for name, value in node.args.items() if value not in (None, False, [])]


def _infer(text: str, root: Node) -> tuple[tuple[str, ColumnType], ...]:
    """The type of each column from its uses. Columns that are compared with each other form one class (union-find)."""
    parent: dict[str, str] = {}
    uses: list[tuple[str, ColumnType]] = []

    def find(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            name = parent[name]
        return name

    compared: list[str] = []
    pending = [root]
    while pending:
        node = pending.pop()
        match node:
            case Junction():
                pending += [node.right, node.left]
            case Not():
                pending.append(node.part)
            case IsNull():
                find(node.column.name)
            case Truth():
                uses.append((node.column.name, "boolean"))
            case Like():
                uses.append((node.column.name, "text"))
            case In():
                uses += [(node.column.name, _type_of(value)) for value in node.values]
            case Between():
                uses += [(node.column.name, _type_of(node.low)), (node.column.name, _type_of(node.high))]
            case Compare(right=Column(name=other)):
                parent[find(node.left.name)] = find(other)
                compared.append(other)
            case Compare():
                uses.append((node.left.name, _type_of(node.right)))  # type: ignore[arg-type]
    types: dict[str, ColumnType] = {}
    for name, used_as in uses:
        known = types.setdefault(find(name), used_as)
        if known != used_as:
            raise ExpressionError(text, f"column {name!r} is used both as {known} and as {used_as}; use it as one type")
    for name in compared:
        types.setdefault(find(name), "number")
    return tuple(sorted((name, types.get(find(name), "any")) for name in parent | dict.fromkeys(n for n, _ in uses)))


def _type_of(value: float | str | bool) -> ColumnType:
    return "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"


def _render(node: Node, names: dict[str, str]) -> str:
    match node:
        case Junction():
            return f"({_render(node.left, names)} {node.op} {_render(node.right, names)})"
        case Not():
            return f"(NOT {_render(node.part, names)})"
        case IsNull():
            return f"({names[node.column.name]} IS NULL)"
        case Truth():
            return names[node.column.name]
        case Like():
            return f"({names[node.column.name]} LIKE {_literal(node.pattern)})"
        case In():
            return f"({names[node.column.name]} IN ({', '.join(map(_literal, node.values))}))"
        case Between():
            return f"({names[node.column.name]} BETWEEN {_literal(node.low)} AND {_literal(node.high)})"
        case Compare():
            right = names[node.right.name] if isinstance(node.right, Column) else _literal(node.right)
            return f"({names[node.left.name]} {node.op} {right})"


def _literal(value: float | str | bool) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"CAST('{value!r}' AS DOUBLE)"
