"""Which values of a list stay when it becomes another one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final

from .graph import Json

_MOST_PAIRS: Final = 1_000_000
"""The most pairs of elements that are compared; the time for equal ones grows faster than their number."""


def differences(before: Sequence[Json], after: Sequence[Json]) -> Iterator[tuple[str, int, int, int, int]]:
    """How one list becomes another, as `difflib` says it; what is long between equal ends is replaced by place."""
    was, new = _keys(before), _keys(after)
    least = min(len(was), len(new))
    head = next((i for i in range(least) if was[i] != new[i]), least)
    tail = next((i for i in range(least - head) if was[-1 - i] != new[-1 - i]), least - head)
    was_end, new_end = len(was) - tail, len(new) - tail
    yield "equal", 0, head, 0, head
    if (was_end - head) * (new_end - head) > _MOST_PAIRS:
        yield "replace", head, was_end, head, new_end
    else:
        between = SequenceMatcher(None, was[head:was_end], new[head:new_end], autojunk=False)
        for tag, i, i_end, j, j_end in between.get_opcodes():
            yield tag, i + head, i_end + head, j + head, j_end + head
    yield "equal", was_end, len(was), new_end, len(new)


def _keys(values: Sequence[Json]) -> list[str]:
    """Texts that are equal if values are, as `Literal` compares them."""
    return [json.dumps(_plain(value)) for value in values]


def _plain(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
