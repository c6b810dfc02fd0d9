"""The statements of a file with the lines between them, while statements come, go and change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_END_OF_LINE = re.compile(r"\r\n?|\n")
_EMPTY_LINES = re.compile(r"(?:[ \t\f]*(?:\r\n?|\n))*")


@dataclass(eq=False)
class Block:
    """A statement, by the id of its node, with the lines before it that are not its own.

    Attributes:
        blanks: the number of empty lines that a new statement has around it; None: it was there.
    """

    node: str
    gap: str
    text: str
    blanks: int | None = None


@dataclass(eq=False)
class Document:
    """The statements of a file in their order, and what stands after the last one."""

    blocks: list[Block]
    end: str
    newline: str

    def place_of(self, node: str) -> int:
        """The place of a statement; after the last one if it is not there."""
        return next((i for i, block in enumerate(self.blocks) if block.node == node), len(self.blocks))

    def places(self) -> dict[str, int]:
        """The places of all statements."""
        return {block.node: i for i, block in enumerate(self.blocks)}

    def remove(self, node: str) -> None:
        """Remove a statement; comments that are not its own stay."""
        place = self.place_of(node)
        gap = self.blocks.pop(place).gap
        if place < len(self.blocks):
            self.blocks[place].gap = _joined(gap, self.blocks[place].gap, is_first=place == 0)
        elif gap.strip():
            self.end = gap.rstrip(" \t\r\n") + self.newline + self.end

    def move(self, node: str, place: int) -> None:
        """Move a statement up to a smaller place."""
        block = self.blocks[self.place_of(node)]
        self.remove(node)
        self.insert(place, Block(node, "", block.text, 1))

    def insert(self, place: int, block: Block) -> None:
        """Put a new statement at a place, below the lines that stand there."""
        if place < len(self.blocks):
            block.gap, self.blocks[place].gap = self.blocks[place].gap, ""
            self.blocks[place].blanks = max(self.blocks[place].blanks or 0, block.blanks or 0)
        self.blocks.insert(place, block)

    def text(self) -> str:
        """The text of the file."""
        pieces: list[str] = []
        for i, block in enumerate(self.blocks):
            gap = block.gap
            if i and block.blanks is not None:
                wanted = max(block.blanks, self.blocks[i - 1].blanks or 0)
                missing = wanted - len(_END_OF_LINE.findall(_blank_start(gap)))
                gap = self.newline * max(0, missing) + gap
            if pieces and not pieces[-1].endswith(("\n", "\r")):
                pieces.append(self.newline)
            pieces += [gap, block.text]
        return "".join([*pieces, self.end])


def document_of(text: str, spans: Sequence[tuple[str, tuple[int, int]]], newline: str) -> Document:
    """The statements of a text, from the ids and spans of their nodes."""
    blocks, at = [], 0
    for node, (start, end) in spans:
        blocks.append(Block(node, text[at:start], text[start:end]))
        at = end
    return Document(blocks, text[at:], newline)


def _joined(gap: str, following: str, *, is_first: bool) -> str:
    """What stands between two statements when the one between them goes: the longer one of two runs of empty lines."""
    ending = gap[len(gap.rstrip(" \t\r\n")) :]
    if gap.strip():
        ending = ending[len(ending) - len(ending.split("\n", 1)[-1]) :]  # the first end is the comment's
    starting = _blank_start(following)
    if not gap and is_first:
        return following[len(starting) :]
    kept = max(ending, starting, key=lambda blank: len(_END_OF_LINE.findall(blank)))
    return gap[: len(gap) - len(ending)] + kept + following[len(starting) :]


def _blank_start(gap: str) -> str:
    """The empty lines with which the lines before a statement begin."""
    match = _EMPTY_LINES.match(gap)
    return "" if match is None else match[0]
