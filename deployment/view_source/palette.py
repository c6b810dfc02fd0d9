"""What a graph can have: every type of node with its fields, read from the classes that views files call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from base.times import PANES
from featurestore.define.privacy import MECHANISMS, NOISER_CHOICES

from .graph import Json, Kind
from .types import LINKS, PartType, part_types

Editor = Literal[
    "text", "description", "number", "integer", "boolean", "choice", "duration", "durations", "column", "columns",
    "condition", "interval", "numbers", "domain", "key", "texts", "references", "tags", "arguments", "code",
]  # fmt: skip
"""What edits a field. `interval` is two numbers; `key` a join key; `columns` one name or several."""


@dataclass(frozen=True)
class FieldType:
    """A field of a node.

    Attributes:
        required: a part without it is invalid.
        default: the value of a field that is not written; None also where there is none.
        choices: the values of a closed choice, or else none.
    """

    name: str
    editor: Editor
    required: bool
    default: Json
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeType:
    """A type of node; `type` is the Python class, and empty for code."""

    kind: Kind
    type: str
    help: str
    fields: tuple[FieldType, ...]


@dataclass(frozen=True)
class Palette:
    """Every type of node, in the order in which a page offers them."""

    types: tuple[NodeType, ...]


_BY_NAME: Final[Mapping[str, Editor]] = {
    "description": "description",
    "where": "condition",
    "clip": "interval",
    "edges": "numbers",
    "domain": "domain",
    "value": "key",
    "keys": "columns",
    "windows": "durations",
    "half_life": "duration",
    "baseline_half_life": "duration",
    "season": "duration",
    "release_delay": "duration",
    "grace": "duration",
    "ttl": "duration",
    "retention": "duration",
    "tags": "tags",
    "refs": "references",
    "outputs": "texts",
    "time": "column",
}
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "pane": tuple(PANES),
    "mechanism": MECHANISMS,
    "noisers": NOISER_CHOICES,
}
_NEEDED: Final = frozenset({"clip"})
"""Parameters that a class requires, although they have a default in Python."""
_FUNCTION: Final = (
    FieldType(
        "arguments",
        "arguments",
        False,
        None,
        "The stored features and inputs that the function reads, by its annotations.",
    ),
    FieldType(
        "function", "code", True, None, "The function: it gets arrays, and computes each row from that row alone."
    ),
)
_CODE: Final = NodeType(
    "code",
    "",
    "Python that the graph shows as text, such as constants and imports.",
    (FieldType("text", "code", True, None, "Python statements."),),
)


def palette() -> Palette:
    """Every type of node that a views file can have; also the kinds of features that an installation has registered."""
    return _palette_of(tuple(part_types().values()))


@lru_cache(maxsize=4)
def _palette_of(types: tuple[PartType, ...]) -> Palette:
    return Palette((*map(_node_type, types), _CODE))


def _node_type(kind: PartType) -> NodeType:
    doc = inspect.getdoc(kind.make) or ""
    helps = _helps(doc)
    links = LINKS if kind.kind == "view" else {}
    fields = tuple(
        _field(kind, parameter, helps.get(name, "")) for name, parameter in kind.parameters.items() if name not in links
    )
    return NodeType(
        kind.kind, kind.name, _first_paragraph(doc), fields + (_FUNCTION if kind.kind == "on_demand" else ())
    )


def _field(kind: PartType, parameter: inspect.Parameter, help_text: str) -> FieldType:
    name, has_default = parameter.name, parameter.default is not parameter.empty
    default = parameter.default if has_default else None
    choices = _CHOICES.get(name, ())
    return FieldType(
        name=name,
        editor="choice" if choices else _editor(kind, name, str(parameter.annotation), default),
        required=not has_default or name in _NEEDED,
        default=[*default] if isinstance(default, tuple) else {} if name == "tags" else default,
        help=help_text,
        choices=choices,
    )


def _editor(kind: PartType, name: str, annotation: str, default: object) -> Editor:
    if name == "column":
        return "columns" if kind.kind == "entity" else "column"
    if name in _BY_NAME:
        return _BY_NAME[name]
    if isinstance(default, bool):
        return "boolean"
    if re.search(r"\bint\b", annotation) and "float" not in annotation:
        return "integer"
    return "number" if re.search(r"\b(float|Weight)\b", annotation) else "text"


def _first_paragraph(doc: str) -> str:
    return " ".join(doc.split("\n\n")[0].split())


def _helps(doc: str) -> Mapping[str, str]:
    """The texts below `Args:`, by parameter; a class that has none says them of its attributes."""
    _, _, below = doc.partition("Args:\n" if "Args:\n" in doc else "Attributes:\n")
    found: dict[str, str] = {}
    for line in below.split("\n\n")[0].splitlines():
        match = re.match(r" {4}(\w+(?:, \w+)*): (.*)", line)
        if match is not None:
            names = match[1].split(", ")
            found |= dict.fromkeys(names, match[2])
        elif found:
            for name in names:
                found[name] += f" {line.strip()}"
    return found
