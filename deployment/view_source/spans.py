"""Where each node of a syntax tree stands in its text, in characters."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import libcst as cst
from libcst._nodes.internal import CodegenState

Span = tuple[int, int]
_END_OF_LINE: Final = re.compile(r"\r\n?|\n")


@dataclass
class _Recorder(CodegenState):
    """Writes the tree out again and notes where each node begins and ends.

    libcst's own providers do the same, but copy the tree first and give either bytes or lines.
    """

    position: int = 0
    inner: dict[int, Span] = field(default_factory=dict)
    whole: dict[int, Span] = field(default_factory=dict)
    begun: list[int] = field(default_factory=list)

    def add_indent_tokens(self) -> None:
        super().add_indent_tokens()
        self.position += sum(map(len, self.indent_tokens))

    def add_token(self, value: str) -> None:
        super().add_token(value)
        self.position += len(value)

    def before_codegen(self, node: cst.CSTNode) -> None:
        self.begun.append(self.position)

    def after_codegen(self, node: cst.CSTNode) -> None:
        self.whole[id(node)] = (self.begun.pop(), self.position)

    @contextmanager
    def record_syntactic_position(
        self, node: cst.CSTNode, *, start_node: cst.CSTNode | None = None, end_node: cst.CSTNode | None = None
    ) -> Iterator[None]:
        start = self.position
        yield
        first = start if start_node is None else self.inner.get(id(start_node), self.whole[id(start_node)])[0]
        last = self.position if end_node is None else self.inner.get(id(end_node), self.whole[id(end_node)])[1]
        self.inner[id(node)] = (first, last)


@dataclass(frozen=True, eq=False)
class Spans:
    """The spans of the nodes of a module, which it keeps alive: nodes are found by identity."""

    module: cst.Module
    text: str
    _recorder: _Recorder

    @classmethod
    def of(cls, module: cst.Module) -> Spans:
        """The spans of a module in its own text."""
        recorder = _Recorder(default_indent=module.default_indent, default_newline=module.default_newline)
        module._codegen(recorder)
        return cls(module, "".join(recorder.tokens), recorder)

    @classmethod
    def of_nothing(cls, text: str) -> Spans:
        """A text in which no node has a place."""
        return cls(cst.Module([]), text, _Recorder(default_indent="", default_newline="\n"))

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in _END_OF_LINE.finditer(self.text))]

    def inner(self, node: cst.CSTNode) -> Span:
        """Without parentheses around an expression, and without a comma after an element."""
        return self._recorder.inner.get(id(node), self._recorder.whole[id(node)])

    def whole(self, node: cst.CSTNode) -> Span:
        """With everything that belongs to the node."""
        return self._recorder.whole[id(node)]

    def code(self, node: cst.CSTNode) -> str:
        """The text of an expression, with its parentheses."""
        start, end = self.whole(node)
        return self.text[start:end]

    def lines(self, span: Span) -> tuple[int, int]:
        """The first and the last line of a span, from 1."""
        starts = self._line_starts
        return bisect_right(starts, span[0]), bisect_right(starts, max(span[0], span[1] - 1))
