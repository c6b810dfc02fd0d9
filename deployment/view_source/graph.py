"""The graph of a views file: plain data, derived from the text and never stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, TypeAlias, get_args
from typing import Literal as Choice

Kind = Choice["view", "entity", "feature", "bounds", "privacy", "on_demand", "service", "code"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

Json: TypeAlias = Any
"""A value that JSON has: None, bool, int, float, str, a list or tuple of such, a mapping of texts to such."""

NEW: Final = "new-"
"""The beginning of the id of a node that is not in the file yet."""


@dataclass(frozen=True, eq=False)
class Literal:
    """A value that the file writes out. Two are equal if JSON writes the same: 1 and 1.0 are, 1 and True are not."""

    value: Json

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and _same(self.value, other.value)

    def __hash__(self) -> int:
        return hash(repr(type(self.value)) if isinstance(self.value, list | tuple | Mapping) else self.value)


@dataclass(frozen=True)
class Code:
    """An expression, or several statements, that the graph shows as text."""

    text: str


Field: TypeAlias = Literal | Code

NO_LINES: Final = (0, 0)


@dataclass(frozen=True)
class Node:
    """A part of a views file.

    Attributes:
        id: of a parsed node its bound name, or `<owner's id>.<field>`, for an element of a list with `.<index>`; `code-<n>` for
            statements that are no part; a second binding of one name has `~2`. Other ids are new nodes: `new-…`.
        type: the Python class, such as `Count`; empty for code.
        name: the Python name that the file binds it to; empty: it is written inside its owner.
        fields: by parameter. A field that is not there has its default. `*` and `**` are unpacked arguments. An on-demand view
            also has `function`, its text, and `arguments`, which follow from it; a code node has `text`.
        links: node ids by field, in order. Of a view: `entity`, `features`, `bounds`, `privacy`. The `sources` of an on-demand
            view and the `members` of a service follow from references in their fields.
        lines: the first and the last line in the file, with the node's own comments; (0, 0) for a new node.
    """

    id: str
    kind: Kind
    type: str = ""
    name: str = ""
    fields: Mapping[str, Field] = field(default_factory=dict)
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lines: tuple[int, int] = NO_LINES

    def with_field(self, name: str, value: Field | None) -> Node:
        """The same node with another field; None removes it."""
        kept = {key: one for key, one in self.fields.items() if key != name or value is not None}
        return replace(self, fields=kept if value is None else {**kept, name: value})

    def with_link(self, name: str, ids: tuple[str, ...]) -> Node:
        """The same node with other ids in a link."""
        return replace(self, links={**self.links, name: ids})


@dataclass(frozen=True)
class Graph:
    """The nodes of a views file, in the order of the file."""

    nodes: tuple[Node, ...] = ()

    @cached_property
    def by_id(self) -> Mapping[str, Node]:
        """The nodes by id."""
        return {node.id: node for node in self.nodes}

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __getitem__(self, node_id: str) -> Node:
        return self.by_id[node_id]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a graph or with a views file.

    Attributes:
        node: its id; empty: the file.
        field: of the node; empty: the whole node.
        message: what is wrong, and the mend.
        line: in the file; 0: unknown.
    """

    node: str
    field: str
    message: str
    line: int = 0


def _same(one: Json, other: Json) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return [*one] == [*other] and all(_same(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)
