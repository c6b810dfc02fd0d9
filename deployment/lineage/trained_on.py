"""What a registered model was trained on, from its lineage, which another program may have written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from featurestore.errors import StoreCorrupt
from featurestore.registry.models import RegisteredModel

MOST_VIEWS: Final = 1_000
_VIEW: Final = re.compile(r"[a-z][a-z0-9_]{0,127}")
_SERVICE: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_ID: Final = re.compile(r"[0-9a-f]{32}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_T = TypeVar("_T")


@dataclass(frozen=True)
class TrainedView:
    """One view that a model reads.

    Attributes:
        releases: the ids of the releases that it saw, in hexadecimal; empty if the lineage does not list them.
    """

    name: str
    version: int
    releases: frozenset[str]


@dataclass(frozen=True)
class TrainedOn:
    """The inputs of a model.

    Attributes:
        service: the feature service whose features it reads; None: it names features.
        labels_sha256: of its labels; None: it was trained elsewhere.
        label_rows: None: as above.
    """

    service: str | None
    views: tuple[TrainedView, ...]
    labels_sha256: str | None
    label_rows: int | None

    @classmethod
    def of(cls, model: RegisteredModel) -> TrainedOn:
        """Read a model's lineage. Raises StoreCorrupt: it does not say which views the model reads."""
        try:
            views = tuple(_views(_typed(model.lineage["views"], list)))
            labels = _typed(model.lineage.get("labels") or {}, dict)
            digest, rows = labels.get("sha256"), labels.get("rows")
            return cls(
                _matching(_SERVICE, model.lineage.get("service")),
                views,
                _matching(_SHA256, digest),
                None if rows is None else _typed(rows, int),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreCorrupt(
                f"the lineage of model {model} does not say which views it reads ({type(error).__name__}: {str(error)[:80]})"
            ) from None


def _views(given: list[Any]) -> Iterator[TrainedView]:
    if len(given) > MOST_VIEWS:
        raise ValueError(f"{len(given):,} views")
    for one in given:
        entry: Mapping[str, Any] = _typed(one, dict)
        name = _matching(_VIEW, _typed(entry["name"], str))
        releases = frozenset(_typed(release, str) for release in _typed(entry.get("releases", []), list))
        if name is None or not all(_ID.fullmatch(release) for release in releases):
            raise ValueError("not the name of a view, or the id of a release")
        yield TrainedView(name, _typed(entry["version"], int), releases)


def _matching(pattern: re.Pattern[str], text: object) -> str | None:
    if text is None:
        return None
    if pattern.fullmatch(_typed(text, str)) is None:
        raise ValueError("a text that is none of this field")
    return str(text)


def _typed(given: object, kind: type[_T]) -> _T:
    if not isinstance(given, kind) or isinstance(given, bool):
        raise TypeError(f"{type(given).__name__} instead of {kind.__name__}")
    return given
