"""Which nodes of a graph have a Python name, and which one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from .expressions import is_name
from .graph import Code, Graph, Literal, Node, Problem
from .parts import ViewSource
from .types import iterate_owners

_WORD: Final = re.compile(r"[^\W\d]\w*")
_TEXT_OR_COMMENT: Final = re.compile(r"\"[^\"\r\n]*\"|'[^'\r\n]*'|#[^\r\n]*")
NAMED: Final = ("view", "on_demand", "service")


def names_of(source: ViewSource, graph: Graph, problems: list[Problem]) -> Mapping[str, str]:
    """The Python name of each node that has a statement of its own, but for code.

    A part without a name stands inside its owner. If several owners use it, it gets a name.
    """
    owners = Counter(linked for _, linked in iterate_owners(graph))
    taken = set(_WORD.findall(source.text))
    names: dict[str, str] = {}
    for node in graph:
        if node.kind == "code":
            continue
        old = source.graph.by_id.get(node.id)
        if old is not None and old.name:
            if node.name or node.kind in NAMED or not _is_inlined(source, node, owners[node.id], problems):
                names[node.id] = _renamed(source, node, old, taken, problems)
        elif node.name or node.kind in NAMED or owners[node.id] > 1:
            names[node.id] = _free(node.name or _suggested(node), taken)
            taken.add(names[node.id])
            if node.name and names[node.id] != node.name:
                message = f"{node.name!r} is no name of Python, or the file uses it already; {names[node.id]} is taken instead"
                problems.append(Problem(node.id, "", message))
    return names


def _is_inlined(source: ViewSource, node: Node, owners: int, problems: list[Problem]) -> bool:
    """Whether a named part that has lost its name can stand inside its owner; if not, the reason is a problem."""
    old = source.graph[node.id]
    start, end = next(one.span for one in source.statements if one.node == node.id)
    if owners != 1:
        why = f"{owners or 'no'} views use {old.name}, so it keeps its name; the part of one view alone can stand inside it"
    elif _is_used_elsewhere(source, old):
        why = f"other code of the file uses the name {old.name}; change it in the text"
    elif any(isinstance(value, Code) for value in node.fields.values()):
        why = f"{old.name} uses other names, so it keeps its own; write it into its view as text"
    elif any(one[0].startswith("#") for one in _TEXT_OR_COMMENT.finditer(source.spans.text[start:end])):
        why = f"{old.name} has a comment, so it keeps its name; write it into its view as text"
    else:
        return True
    problems.append(Problem(node.id, "", why))
    return False


def _renamed(source: ViewSource, node: Node, old: Node, taken: set[str], problems: list[Problem]) -> str:
    if node.name in ("", old.name):
        return old.name
    if not is_name(node.name) or node.name in taken:
        why = f"{node.name!r} is no name of Python, or the file uses it already; choose another one"
    elif _is_used_elsewhere(source, old):
        why = f"other code of the file uses the name {old.name}; change it in the text"
    else:
        taken.add(node.name)
        return node.name
    problems.append(Problem(node.id, "", why))
    return old.name


def _is_used_elsewhere(source: ViewSource, node: Node) -> bool:
    return node.id != node.name or _uses(source, node.name) > 1 + _links(source, node.id)


def _uses(source: ViewSource, name: str) -> int:
    return len(re.findall(rf"\b{re.escape(name)}\b", _TEXT_OR_COMMENT.sub("", source.text)))


def _links(source: ViewSource, node_id: str) -> int:
    return sum(linked == node_id for _, linked in iterate_owners(source.graph))


def _suggested(node: Node) -> str:
    if node.kind not in NAMED:
        return node.kind.upper()
    match node.fields.get("name"):
        case Literal(value=str(name)) if is_name(name):
            return name
        case _:
            return "transformation" if node.kind == "on_demand" else node.kind


def _free(wanted: str, taken: set[str]) -> str:
    base = wanted if is_name(wanted) else re.sub(r"\W", "_", wanted).strip("0123456789") or "part"
    base = base if is_name(base) else f"{base}_"
    candidates = (base if i == 1 else f"{base}_{i}" for i in range(1, len(taken) + 3))
    return next(one for one in candidates if one not in taken)
