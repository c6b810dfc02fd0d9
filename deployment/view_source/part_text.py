"""The text of a node's call: a new one, or an edit of the one in the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import libcst as cst

from .expressions import is_name, why_no_expression, why_no_json
from .graph import Code, Field, Graph, Json, Literal, Node, Problem
from .layout import INDENT, WIDTH, Group, Layout, value_layout, written
from .parameters import FUNCTION_FIELDS, is_default, place_of
from .parts import Argument, Part, ViewSource
from .sequences import Added, Entry, Kept, edited
from .spans import Span
from .types import LINKS, PartType
from .value_lists import differences

_UNPACKED: Final = re.compile(r"\*{1,2}[0-9]*")


@dataclass(eq=False)
class PartTexts:
    """Writes the calls of a graph's nodes.

    Attributes:
        names: the Python names of the nodes that have one.
        spelling: how the file spells a class.
        problems: what could not be written, and was left as it was.
    """

    source: ViewSource
    graph: Graph
    types: Mapping[str, PartType]
    names: Mapping[str, str]
    spelling: Callable[[PartType], str]
    problems: list[Problem] = field(default_factory=list)

    def call_text(self, node_id: str, indent: str = "", column: int = 0) -> str:
        """The text of a node's call, or of an element that is code."""
        node, part = self.graph[node_id], self.source.parts.get(node_id)
        if node.kind == "code":
            return self._element_text(node, part)
        if part is None or part.call is None or part.type is None or part.type.name != node.type:
            return written(self._new_layout(node), indent, column)
        return self._edited_call(node, part, part.call)

    def reference(self, node_id: str, indent: str, column: int) -> str:
        """The text of a node where its owner uses it."""
        return self.names.get(node_id) or self.call_text(node_id, indent, column)

    def _new_layout(self, node: Node) -> Group:
        kind = self.types[node.type]
        items: list[tuple[str, Layout]] = []
        may_be_positional = kind.kind != "bounds"
        for name in sorted({*node.fields, *node.links}, key=lambda one: place_of(kind, one)):
            layout = self._value_layout(node, name, kind)
            if layout is None:
                continue
            parameter = kind.parameters.get(name)
            may_be_positional = (
                may_be_positional
                and parameter is not None
                and parameter.default is parameter.empty
                and kind.positional[len(items) : len(items) + 1] == (name,)
            )
            items.append(("" if may_be_positional or name.startswith("*") else f"{name}=", layout))
        return Group(f"{self.spelling(kind)}(", tuple(items), ")", is_open=kind.kind == "view")

    def _value_layout(self, node: Node, name: str, kind: PartType) -> Layout | None:
        """The layout of an argument of a new call; None if it has none."""
        if node.links.get(name) and name in LINKS and kind.kind == "view":
            if name != "features":
                return self._part_layout(node.links[name][0])
            return Group("[", tuple(("", self._part_layout(one)) for one in node.links[name]), "]")
        value = node.fields.get(name)
        if value is None or not self._is_writable(node, name, kind):
            return None
        match value:
            case Code(text):
                return f"{name.rstrip('0123456789')}{text.strip()}" if name.startswith("*") else text.strip()
            case Literal(given):
                if is_default(kind, name, value):
                    return None
                return value_layout(given, "()" if name == "clip" else "[]")

    def _part_layout(self, node_id: str) -> Layout:
        if node_id in self.names:
            return self.names[node_id]
        if node_id in self.source.parts or self.graph[node_id].kind == "code":
            return self.call_text(node_id)
        return self._new_layout(self.graph[node_id])

    def _is_writable(self, node: Node, name: str, kind: PartType) -> bool:
        if name in FUNCTION_FIELDS and kind.kind == "on_demand":
            return False
        value = node.fields[name]
        if not is_name(name) and not _UNPACKED.fullmatch(name):
            self.problems.append(Problem(node.id, name, f"{name!r} is no name of a parameter; remove it"))
            return False
        why = why_no_expression(value.text) if isinstance(value, Code) else why_no_json(value.value)
        if why is not None:
            self.problems.append(Problem(node.id, name, why))
            return False
        return True

    def _element_text(self, node: Node, part: Part | None) -> str:
        value = node.fields.get("text")
        old = self.source.graph.by_id.get(node.id)
        if part is not None and old is not None and old.fields.get("text") == value:
            return self.source.spans.text[part.span[0] : part.span[1]]
        text = value.text.strip() if isinstance(value, Code) else ""
        why = why_no_expression(text.removeprefix("*"))
        if why is None:
            return text
        self.problems.append(Problem(node.id, "text", why))
        return "*()" if part is None else self.source.spans.text[part.span[0] : part.span[1]]

    def _edited_call(self, node: Node, part: Part, call: cst.Call) -> str:
        """The text of a call in which only what differs is new."""
        kind = self.types[node.type]
        old = self.source.graph[node.id]
        wanted = [name for name in {**old.fields, **old.links, **node.fields, **node.links} if self._has(node, name)]
        entries: list[Entry] = []
        places: list[int] = []
        dropped_positional = False
        for i, argument in enumerate(part.arguments):
            name = argument.field
            if name not in wanted:
                dropped_positional = dropped_positional or argument.node.keyword is None
                continue
            text = self._argument_text(old, node, argument)
            named = argument.node.keyword is not None or argument.node.star
            entries.append(Kept(i, f"{name}={text}" if dropped_positional and not named else text))
            places.append(place_of(kind, name) if named else -1)
        written_before = {one.field for one in part.arguments}
        for name in sorted(set(wanted) - written_before, key=lambda one: place_of(kind, one)):
            indent = self._indent_of(part)
            layout = self._value_layout(node, name, kind)
            if layout is not None:
                place = place_of(kind, name)
                after = max((i for i, one in enumerate(places) if one < place), default=-1) + 1
                before = "" if name.startswith("*") else f"{name}="
                entries.insert(after, Added(before + written(layout, indent, len(indent) + len(before), 1)))
                places.insert(after, place)
        spans = self.source.spans
        text = edited(
            spans.text,
            (spans.whole(call.whitespace_before_args)[0], part.span[1] - 1),
            [spans.inner(one.node) for one in part.arguments],
            entries,
            spans.module.default_newline,
        )
        opening = spans.text[part.span[0] : spans.whole(call.whitespace_before_args)[0]]
        return opening + self._fitted(part.span, len(opening), text, entries) + ")"

    def _has(self, node: Node, name: str) -> bool:
        """Whether a node has a parameter, as a field or as a link."""
        if name in FUNCTION_FIELDS and node.kind == "on_demand":
            return False
        if node.kind == "view" and name in LINKS and node.links.get(name):
            return True
        if node.kind == "view" and name == "features" and name in node.links:
            return name not in node.fields  # an empty list
        return name in node.fields

    def _indent_of(self, part: Part) -> str:
        """The indentation of the lines on which the arguments of a call begin."""
        return self._indent_at(self.source.spans.inner(part.arguments[-1].node)[0] if part.arguments else part.span[0])

    def _argument_text(self, old: Node, node: Node, argument: Argument) -> str:
        spans = self.source.spans
        start, end = spans.inner(argument.node)
        value_start, value_end = spans.whole(argument.node.value)
        value = self._argument_value(old, node, argument)
        return spans.text[start:value_start] + value + spans.text[value_end:end]

    def _argument_value(self, old: Node, node: Node, argument: Argument) -> str:
        """The text of the value of an argument that stays."""
        spans, name, value = self.source.spans, argument.field, argument.node.value
        indent = self._indent_of(self.source.parts[node.id])
        if node.kind == "view" and name in LINKS and (node.links.get(name) or name not in node.fields):
            if name != "features":
                linked = node.links[name][0]
                if old.links.get(name) == (linked,) and linked in self.names and isinstance(value, cst.Name):
                    return spans.code(value) if value.value == self.names[linked] else self.names[linked]
                if old.links.get(name) == (linked,) and linked not in self.names:
                    start, end = spans.inner(value)
                    whole = spans.whole(value)
                    return spans.text[whole[0] : start] + self.call_text(linked) + spans.text[end : whole[1]]
                return self.reference(linked, indent, len(indent) + len(name) + 1)
            return self._features_text(node, argument, indent)
        was, given = old.fields.get(name), node.fields[name]
        if was == given or not self._is_writable(node, name, self.types[node.type]):
            return spans.code(value)
        return self._field_text(given, was, name, value, indent)

    def _field_text(self, given: Field, was: Field | None, name: str, value: cst.BaseExpression, indent: str) -> str:
        match given, value:
            case Code(text), _:
                return text.strip()
            case Literal(list() | tuple() as new), cst.List() | cst.Tuple() if isinstance(was, Literal):
                return self._list_text(value, was.value, new, indent)
            case Literal(new), _:
                brackets = "()" if name == "clip" or isinstance(value, cst.Tuple) else "[]"
                return written(value_layout(new, brackets), indent, len(indent) + len(name) + 1, 1)
            case _:
                raise AssertionError

    def _list_text(self, value: cst.List | cst.Tuple, was: Sequence[Json], new: Sequence[Json], indent: str) -> str:
        """A list of values in which equal elements keep their text."""
        spans = self.source.spans
        elements = [spans.inner(one) for one in value.elements]
        texts = [written(value_layout(one, "()"), indent, len(indent)) for one in new]
        entries: list[Entry] = []
        for tag, i, i_end, j, j_end in differences(was, new):
            if tag == "equal":
                entries += [Kept(k, spans.text[slice(*elements[k])]) for k in range(i, i_end)]
            else:
                both = min(i_end - i, j_end - j)
                entries += [Kept(i + k, texts[j + k]) for k in range(both)]
                entries += [Added(text) for text in texts[j + both : j_end]]
        return self._bracketed(value, elements, entries)

    def _features_text(self, node: Node, argument: Argument, indent: str) -> str:
        ids = node.links.get("features", ())
        value = argument.node.value
        if argument.elements is None or not isinstance(value, cst.List | cst.Tuple):
            return written(
                Group("[", tuple(("", self._part_layout(one)) for one in ids), "]"), indent, len(indent) + 9, 1
            )
        spans = self.source.spans
        places: dict[str, list[int]] = {}
        for i, (element_id, _) in enumerate(argument.elements):
            places.setdefault(element_id, []).append(i)
        item_indent = self._item_indent(argument.elements, indent)
        entries: list[Entry] = []
        for one in ids:
            here = places.get(one)
            if not here:
                entries.append(Added(self.reference(one, item_indent, len(item_indent))))
                continue
            i = here.pop(0)
            element = argument.elements[i][1]
            start, end = spans.inner(element)
            inner = spans.inner(element.value)
            if one in self.names:
                same = isinstance(element.value, cst.Name) and element.value.value == self.names[one]
                entries.append(Kept(i, spans.text[start:end] if same else self.names[one]))
            elif self.graph[one].kind == "code":
                entries.append(Kept(i, self.call_text(one)))
            else:
                entries.append(Kept(i, spans.text[start : inner[0]] + self.call_text(one) + spans.text[inner[1] : end]))
        return self._bracketed(value, [spans.inner(element) for _, element in argument.elements], entries)

    def _item_indent(self, elements: Sequence[tuple[str, cst.BaseElement]], indent: str) -> str:
        return self._indent_at(self.source.spans.inner(elements[-1][1])[0]) if elements else indent

    def _indent_at(self, at: int) -> str:
        """The indentation of the line on which a character stands."""
        line = self.source.spans.text[self._line_start(at) : at]
        return line[: len(line) - len(line.lstrip())]

    def _line_start(self, at: int) -> int:
        text = self.source.spans.text
        return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1

    def _bracketed(self, value: cst.List | cst.Tuple, elements: Sequence[Span], entries: Sequence[Entry]) -> str:
        """The text of a list or tuple with these elements."""
        spans = self.source.spans
        whole = spans.whole(value)
        if isinstance(value, cst.List):
            start, end = spans.inner(value)
            brackets = (start + 1, end - 1)
        else:
            brackets = (spans.whole(value.lpar[-1])[0] + 1, spans.whole(value.rpar[0])[1] - 1)
        inside = edited(spans.text, brackets, elements, entries, spans.module.default_newline)
        if isinstance(value, cst.Tuple) and len(entries) == 1 and "," not in inside.removeprefix(entries[0].text):
            inside = f"{entries[0].text},"
        opening = spans.text[whole[0] : brackets[0]]
        return opening + self._fitted(whole, len(opening), inside, entries) + spans.text[brackets[1] : whole[1]]

    def _fitted(self, span: Span, opening: int, inside: str, entries: Sequence[Entry]) -> str:
        """What stands between two brackets; items have their own lines if new ones have made one line too long."""
        text = self.source.spans.text
        begin = self._line_start(span[0])
        if {"\n", "\r"} & {*text[span[0] : span[1]], *inside} or {*map(type, entries)} <= {Kept}:
            return inside
        before = len(re.split(r"[\r\n]", text[begin:], maxsplit=1)[0])
        after = before + opening + len(inside) + 1 - (span[1] - span[0])
        if before > WIDTH or after <= WIDTH:
            return inside
        newline, indent = self.source.spans.module.default_newline, self._indent_at(span[0])
        return "".join(f"{newline}{indent}{INDENT}{entry.text}," for entry in entries) + newline + indent
