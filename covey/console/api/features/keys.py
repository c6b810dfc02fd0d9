"""Join keys as text: what the address of a page holds, and what a user searches for."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import OrderedDict
from threading import Lock
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity, Key, KeyValue
from featurestore.errors import UnknownKey

_KEPT: Final = 8


def key_text(key: Key) -> str:
    """A join key as text: its value, or a JSON list of its values."""
    return part_text(key[0]) if len(key) == 1 else json.dumps(list(key), ensure_ascii=False)


def part_text(part: KeyValue) -> str:
    """A value of a join key as text."""
    return str(part).lower() if isinstance(part, bool) else str(part)


def place_of(view: FeatureView, text: str) -> int:
    """The place of a key in the sorted domain. Raises UnknownKey."""
    key = _parsed(view.entity, text)
    place = -1 if key is None else bisect_left(view.entity.domain, key)
    if key is None or place == len(view.entity.domain) or view.entity.domain[place] != key:
        raise UnknownKey(view.name, text[:80])
    return place


def _parsed(entity: Entity, text: str) -> Key | None:
    """The key that a text stands for, with the types of the domain; None: no key has this form."""
    if len(entity.keys) == 1:
        return _typed_text(text, entity.types[0])
    try:
        parts: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parts, list) or len(parts) != len(entity.types):
        return None
    types = {"string": str, "int64": int, "bool": bool}
    if any(type(part) is not types[kind] for part, kind in zip(parts, entity.types, strict=True)):
        return None
    return tuple(parts)


def _typed_text(text: str, kind: str) -> Key | None:
    match kind:
        case "int64":
            try:
                return (int(text),)
            except ValueError:
                return None
        case "bool":
            return {"true": (True,), "false": (False,)}.get(text)
        case _:
            return (text,)


class KeySearch:
    """Finds keys by their text. It keeps the texts of a few domains; a domain may have a million keys."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[FeatureView, pa.Array]] = OrderedDict()
        self._lock = Lock()

    def texts(self, view: FeatureView) -> pa.Array:
        """The texts of all keys, in the order of the domain."""
        with self._lock:
            kept = self._kept.get(id(view))
            if kept is None:
                kept = view, pa.array([key_text(key) for key in view.entity.domain], pa.string())
                self._kept[id(view)] = kept
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(id(view))
            return kept[1]

    def find(self, view: FeatureView, text: str, most: int) -> tuple[list[str], bool]:
        """Some keys that begin with a text, then some that contain it, whatever their case; and whether there are more."""
        texts = self.texts(view)
        if text == "":
            return texts.slice(0, most).to_pylist(), len(texts) > most
        begins = pc.starts_with(texts, text, ignore_case=True)
        found = texts.filter(begins)
        if len(found) < most:
            contains = pc.and_not(pc.match_substring(texts, text, ignore_case=True), begins)
            found = pa.concat_arrays([found, texts.filter(contains)])
        return found.slice(0, most).to_pylist(), len(found) > most
