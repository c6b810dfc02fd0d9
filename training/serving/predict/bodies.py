"""Requests and answers of `POST /predict/NAME`, as JSON: a list for each input, and a list for each feature."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import numpy as np
import orjson

from featurestore.define.decoded import Status
from featurestore.errors import BadRequest, RequestTooLarge
from featurestore.server.json_body import parsed_object
from featurestore.server.refusal import Header
from training.serving.ask import Ask, Keyed, Predicted, Used
from training.serving.intervals.level import Level
from training.serving.request_limits import MAX_CELLS, require_explainable
from training.serving.timeout_header import timeout_of

PREFIX: Final = b"/predict/"
MAX_INPUTS: Final = 10_000
MAX_IDENT: Final = 256
_MAX_URL: Final = 1_024
_KEYS: Final = {"entities", "id"}
_FLAGS: Final = {"true": True, "false": False}
_STATUS_NAMES: Final = np.array([status.name for status in Status], dtype=object)
_SHOWN: Final = 80
GIVEN: Final = "GIVEN"
"""The status of a plain column."""


@dataclass(frozen=True)
class Target:
    """What the URL of a request asks for.

    Attributes:
        version: None: by the weights that are in force.
        explain: whether the answer has the features that were used.
        level: of the interval; None: no interval.
    """

    model: str
    version: int | None
    explain: bool
    level: float | None


@lru_cache(1_024)
def parse_target(url: bytes) -> Target:
    """Parse `/predict/NAME[@vN][?explain=true&interval=0.9]`. Raises BadRequest. InputRefused: no such level."""
    if len(url) > _MAX_URL:
        raise BadRequest(f"the URL has {len(url):,} bytes; at most {_MAX_URL:,}")
    path, _, query = url.partition(b"?")
    name, at, version = unquote(path.removeprefix(PREFIX).decode("latin-1")).partition("@v")
    if at and not (version.isascii() and version.isdecimal() and len(version) <= 9):
        raise BadRequest(f"{name[:_SHOWN]}@v{version[:_SHOWN]}: a version is a number, such as {name[:_SHOWN]}@v2")
    asked = _query(query.decode("latin-1"))
    return Target(name, int(version) if at else None, _explain(asked), _level(asked))


def _query(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=8)
    except ValueError:
        raise BadRequest("the query of the URL cannot be read; write ?explain=true&interval=0.9") from None
    asked = dict(pairs)
    for name in asked:
        if name not in ("explain", "interval"):
            raise BadRequest(f"the query has {name[:_SHOWN]!r}; it may have explain and interval")
    if len(asked) < len(pairs):
        raise BadRequest("the query of the URL has a name twice")
    return asked


def _explain(asked: dict[str, str]) -> bool:
    text = asked.get("explain", "false")
    if text not in _FLAGS:
        raise BadRequest(f"explain={text[:_SHOWN]!r} must be true or false")
    return _FLAGS[text]


def _level(asked: dict[str, str]) -> float | None:
    text = asked.get("interval")
    if text is None:
        return None
    try:
        return Level.of(float(text)).level
    except ValueError:
        raise BadRequest(f"interval={text[:_SHOWN]!r} must be a number, such as 0.9") from None


def parse_predict(target: Target, headers: Iterable[Header], body: bytes) -> Ask:
    """Parse the headers and the body, `{"entities": {"dest": ["ATL"]}, "id": "…"}`.

    Raises:
        BadRequest: not such a body. RequestTooLarge. The types of the values are checked with the model's inputs.
    """
    data = parsed_object(body)
    if "entities" not in data:
        raise BadRequest('the body must be a JSON object, such as {"entities": {"dest": ["ATL"]}}')
    for name in data.keys() - _KEYS:
        raise BadRequest(f"the body has {name[:_SHOWN]!r}; it may have `entities` and `id`")
    entities, ident = data["entities"], data.get("id", "")
    if not isinstance(entities, dict) or set(map(type, entities.values())) - {list}:
        raise BadRequest("`entities` must be an object of lists, a list of values for each input of the model")
    cells = sum(map(len, entities.values()))
    if cells > MAX_CELLS or len(entities) > MAX_INPUTS:
        raise RequestTooLarge(
            f"{cells:,} values of {len(entities):,} inputs; at most {MAX_CELLS:,}. Send fewer rows at once"
        )
    if not isinstance(ident, str) or len(ident) > MAX_IDENT:
        raise BadRequest(f"`id` must be a text of at most {MAX_IDENT} characters")
    if body.count(b":") != len(data) + len(entities):  # a text has a colon, or a name comes twice
        _require_flat(entities)
        _require_unique(body)
    rows = len(next(iter(entities.values()))) if entities else 1
    waits = timeout_of(headers)
    return Ask(target.model, target.version, Keyed(entities), rows, ident, target.explain, target.level, waits)


def _require_flat(entities: Mapping[str, list[Any]]) -> None:
    """Refuse deep values, before a parser sees them that has no limit of its own."""
    for name, values in entities.items():
        if not {list, dict}.isdisjoint(map(type, values)):
            raise BadRequest(f"`entities`: {name[:_SHOWN]!r} takes plain values, not lists or objects")


def _require_unique(body: bytes) -> None:
    def pairs(found: list[tuple[str, Any]]) -> None:
        known = set[str]()
        for name, _ in found:
            if name in known:
                raise BadRequest(f"the body has {name[:_SHOWN]!r} twice")
            known.add(name)

    try:
        json.loads(body, object_pairs_hook=pairs)
    except RecursionError:  # in a part that the other parser has replaced by its namesake
        raise BadRequest("the body is nested too deep, and has a name twice") from None


def render(predicted: Predicted, level: float | None) -> bytes:
    """The body of an answer. Null is a value that is missing, an error that is unknown, or an interval that does not exist.

    Raises:
        RequestTooLarge: the features of all rows are more than `MAX_NUMBERS`.
    """
    made: dict[str, Any] = {
        "model": predicted.model,
        "version": predicted.version,
        "epoch": predicted.epoch,
        "predictions": predicted.values,
    }
    if predicted.interval is not None:
        lo, hi = predicted.interval
        made["interval"] = {"level": level, "lo": lo, "hi": hi}
    if predicted.used is not None:
        made |= _explained(predicted.used)
    return orjson.dumps(made, option=orjson.OPT_SERIALIZE_NUMPY)


def _explained(used: Used) -> dict[str, Any]:
    require_explainable(used)
    values, se = np.ascontiguousarray(used.values.T), np.ascontiguousarray(used.se.T)
    statuses = [*_STATUS_NAMES[used.status.T].tolist()]
    statuses += [[GIVEN] * len(used.values)] * (len(used.names) - len(statuses))
    features = {name: {"values": values[i], "se": se[i], "statuses": statuses[i]} for i, name in enumerate(used.names)}
    releases = [
        {"view": one.view, "version": one.version, "release": one.release or None, "pane_end": one.pane_end}
        for one in used.releases
    ]
    return {"features": features, "releases": releases}
