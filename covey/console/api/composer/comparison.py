"""Two texts, line by line."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Final, Literal

from covey.console.api.form import Form
from deployment.errors import ViewSourceTooLarge
from deployment.view_source.checked_text import MAX_LINES

MOST: Final = 2_000
"""Lines that are matched with each other; the matcher's time grows with their square."""


class DiffLine(Form):
    """A line of a comparison, without its end."""

    kind: Literal["same", "added", "removed"]
    text: str


def diff_of(before: str, after: str) -> tuple[DiffLine, ...]:
    """Every line of both texts, in the order of the second. Of too many different lines, the old ones come before the new ones.

    Raises:
        ViewSourceTooLarge: a text has more than `MAX_LINES` lines.
    """
    old, new = before.splitlines(), after.splitlines()
    if (lines := max(len(old), len(new))) > MAX_LINES:
        raise ViewSourceTooLarge("lines", lines, MAX_LINES)
    first = _common(old, new)
    last = min(_common(old[::-1], new[::-1]), min(len(old), len(new)) - first)
    a, b = old[first : len(old) - last], new[first : len(new) - last]
    middle = [*_of("removed", a), *_of("added", b)] if max(len(a), len(b)) > MOST else _matched(a, b)
    return (*_of("same", old[:first]), *middle, *_of("same", old[len(old) - last :]))


def _common(one: list[str], other: list[str]) -> int:
    """How many lines are the same at the beginning."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _matched(old: list[str], new: list[str]) -> list[DiffLine]:
    lines: list[DiffLine] = []
    for tag, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        if tag == "equal":
            lines += _of("same", old[a:b])
        else:
            lines += [*_of("removed", old[a:b]), *_of("added", new[c:d])]
    return lines


def _of(kind: Literal["same", "added", "removed"], lines: list[str]) -> list[DiffLine]:
    return [DiffLine(kind=kind, text=line) for line in lines]
