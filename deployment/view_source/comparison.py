"""Compares the graph that was to be written with the graph of the written text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .graph import Code, Field, Graph, Literal, Node, Problem
from .parameters import FUNCTION_FIELDS, is_default
from .types import LINKS, PartType, part_types


def compared(wanted: Graph, names: Mapping[str, str], found: Graph) -> tuple[dict[str, str], list[Problem]]:
    """The id in the found graph for each wanted node, and what the text does not say as it was wanted.

    Code is no part of the comparison: statements that are code run together when what stood between them goes.

    Args:
        names: the Python names of the wanted nodes that have one.
    """
    return _Comparison(wanted, names, found).run()


class _Comparison:
    def __init__(self, wanted: Graph, names: Mapping[str, str], found: Graph) -> None:
        self.wanted, self.names, self.found = wanted, names, found
        self.types: Mapping[str, PartType] = part_types()
        self.ids: dict[str, str] = {}
        self.problems: list[Problem] = []

    def run(self) -> tuple[dict[str, str], list[Problem]]:
        by_name: dict[tuple[str, str], list[Node]] = {}
        for node in self.found:
            if node.name:
                by_name.setdefault((node.name, node.type), []).append(node)
        for node in self.wanted:
            if node.id in self.names:
                candidates = by_name.get((self.names[node.id], node.type))
                if candidates:
                    self.ids[node.id] = candidates.pop(0).id
                else:
                    self.problems.append(Problem(node.id, "", "the file cannot have this part as it is"))
        for node in self.wanted:
            if node.id in self.ids and node.id in self.names:
                self._compare(node, self.found[self.ids[node.id]])
        self.ids |= dict(self._code_ids())
        return self.ids, self.problems

    def _compare(self, node: Node, found: Node) -> None:
        if self._said(node) != self._said(found):
            differing = sorted(
                name
                for name in {**node.fields, **found.fields}
                if self._said(node).get(name) != self._said(found).get(name)
            )
            self.problems.append(Problem(node.id, differing[0], f"the file cannot say {differing[0]} as it is here"))
        if node.kind != "view":
            return
        for name in LINKS:
            wanted, there = node.links.get(name, ()), found.links.get(name, ())
            if len(wanted) != len(there):
                self.problems.append(Problem(node.id, name, f"the file cannot join {name} as it is here"))
                continue
            for one, other in zip(wanted, there, strict=True):
                if one in self.names:
                    if self.ids.get(one) != other:
                        self.problems.append(Problem(node.id, name, f"the file cannot join {self.names[one]} here"))
                else:
                    self.ids[one] = other
                    if (
                        self.wanted[one].kind != self.found[other].kind
                        or self.wanted[one].type != self.found[other].type
                    ):
                        self.problems.append(Problem(one, "", "the file cannot have this part as it is"))
                    else:
                        self._compare(self.wanted[one], self.found[other])

    def _said(self, node: Node) -> dict[str, Field]:
        """The fields that are not as by default, without what follows from a function's text."""
        kind = self.types.get(node.type)
        return {
            name: Code(_with_line_feeds(value.text)) if isinstance(value, Code) else value
            for name, value in node.fields.items()
            if kind is None
            or (not is_default(kind, name, value) and not (kind.kind == "on_demand" and name in FUNCTION_FIELDS))
        }

    def _code_ids(self) -> Iterator[tuple[str, str]]:
        linked = {*self.ids}
        texts = [(node.id, _text(node)) for node in self.found if node.kind == "code" and "." not in node.id]
        for node in self.wanted:
            if node.kind == "code" and node.id not in linked:
                for found, text in texts:
                    if _text(node) and _text(node) in text:
                        yield node.id, found
                        break


def _text(node: Node) -> str:
    match node.fields.get("text"):
        case Code(text) | Literal(value=str(text)):
            return _with_line_feeds(text)
        case _:
            return ""


def _with_line_feeds(text: str) -> str:
    return text.strip().replace("\r\n", "\n")
