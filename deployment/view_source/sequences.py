"""Edits the items between two brackets: what is not edited keeps its line, its comments and its commas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from .layout import INDENT
from .spans import Span

_BEFORE_COMMA: Final = re.compile(r"(?:#[^\r\n]*|[^#,])*")
_END_OF_LINE: Final = re.compile(r"\r\n?|\n")


@dataclass(frozen=True)
class Kept:
    """An item that was there, with its text, which may be new."""

    index: int
    text: str


@dataclass(frozen=True)
class Added:
    """A new item."""

    text: str


Entry: TypeAlias = Kept | Added


@dataclass(frozen=True)
class _Item:
    """An item with what belongs to it.

    Attributes:
        lead: from the end of the line before it, or from the comma: comments above it, and its indentation.
        gap: between it and its comma; rest: after the comma, on the same line, such as a comment.
    """

    lead: str
    text: str
    gap: str
    comma: bool
    rest: str


def edited(text: str, brackets: Span, spans: Sequence[Span], entries: Sequence[Entry], newline: str) -> str:
    """The new text between two brackets.

    Args:
        brackets: from after the opening bracket to before the closing one.
        spans: of the items, without their commas.
        newline: the end of a line of this file.
    """
    if [one.index if isinstance(one, Kept) else -1 for one in entries] == [*range(len(spans))]:
        return _spliced(text, brackets, spans, entries)
    return _joined(*_split(text, brackets, spans), entries, newline)


def _spliced(text: str, brackets: Span, spans: Sequence[Span], entries: Sequence[Entry]) -> str:
    pieces, at = [], brackets[0]
    for (start, end), entry in zip(spans, entries, strict=True):
        pieces += [text[at:start], entry.text]
        at = end
    return "".join([*pieces, text[at : brackets[1]]])


def _split(text: str, brackets: Span, spans: Sequence[Span]) -> tuple[str, list[_Item], str]:
    """What stands after the opening bracket on its line, the items, and what stands before the closing bracket."""
    starts = [*(start for start, _ in spans), brackets[1]]
    opening, lead = _at_end_of_line(text[brackets[0] : starts[0]])
    items: list[_Item] = []
    for (start, end), following in zip(spans, starts[1:], strict=True):
        between = text[end:following]
        before = _BEFORE_COMMA.match(between)
        assert before is not None
        comma = before.end() < len(between)
        gap, rest = (before[0], between[before.end() + 1 :]) if comma else ("", between)
        rest, next_lead = _at_end_of_line(rest)
        items.append(_Item(lead, text[start:end], gap, comma, rest))
        lead = next_lead
    return opening, items, lead


def _at_end_of_line(text: str) -> tuple[str, str]:
    end = _END_OF_LINE.search(text)
    return ("", text) if end is None else (text[: end.start()], text[end.start() :])


def _joined(opening: str, items: list[_Item], closing: str, entries: Sequence[Entry], newline: str) -> str:
    if not entries:
        return opening + newline if "#" in opening else ""
    own_line = next((_line_start(one.lead) for one in reversed(items) if _ends_line(one.lead)), newline + INDENT)
    between = own_line if items and _ends_line(items[-1].lead) else " "
    pieces, in_comment, former = [opening], "#" in opening, None
    for place, entry in enumerate(entries):
        item = items[entry.index] if isinstance(entry, Kept) else _Item("", "", "", False, "")
        old_place = entry.index if isinstance(entry, Kept) else None
        follows = old_place is not None and former == old_place - 1
        lead = item.lead if follows else _lead(item, old_place, place, items[0].lead if items else "", between)
        former = old_place
        comma = place < len(entries) - 1 or (bool(items) and items[-1].comma) or (item.comma and _ends_line(closing))
        tail = f"{item.gap}{',' * comma}{item.rest}"
        pieces += [own_line if in_comment and not _ends_line(lead) else lead, entry.text, tail]
        in_comment = "#" in _END_OF_LINE.split(tail)[-1]
    return "".join(pieces) + (newline if in_comment and not _ends_line(closing) else closing)


def _lead(item: _Item, old_place: int | None, place: int, first: str, between: str) -> str:
    """What stands before an item at its new place.

    Args:
        first: what stood before the first item; between: what stands before a later item that is new.
    """
    if place == 0:
        if old_place == 0 or "#" in item.lead or (_ends_line(first) and _ends_line(item.lead)):
            return item.lead
        return _line_start(first) if _ends_line(first) else first
    if old_place is None or not item.lead or (old_place == 0 and not _ends_line(item.lead)):
        return between
    return item.lead


def _ends_line(text: str) -> bool:
    return _END_OF_LINE.search(text) is not None


def _line_start(lead: str) -> str:
    """The last end of a line in it and the indentation after it."""
    return lead[[*_END_OF_LINE.finditer(lead)][-1].start() :]
