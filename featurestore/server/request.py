"""The body of `/get-online-features`, parsed once into a valid type."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any, Final, NamedTuple

from featurestore.errors import BadReference, BadRequest, RequestTooLarge
from featurestore.read.messages import MAX_ROWS

from .json_body import parsed_object

MAX_BODY: Final = 8 * 2**20
"""The most bytes of a request: 10,000 rows with long composite keys fit."""
MAX_FEATURES: Final = 1_000

_SCALARS: Final = {str, int, float, bool, NoneType}
_SHOWN: Final = 80


class OnlineRequest(NamedTuple):
    """A read of features.

    Attributes:
        features: `view:feature` or `view@v1:feature`, in the order of the answer; none if a service is given.
        service: the feature service whose references are read.
        entities: columns of join keys as given, each `rows` long.
        rows: the number of rows; 1 if no entities are given (constant entities).
        versions: whether the answer names the versions of its views.
    """

    features: tuple[str, ...]
    service: str | None
    entities: Mapping[str, list[Any]]
    rows: int
    full_names: bool
    versions: bool


def parse_request(body: bytes) -> OnlineRequest:
    """Parse a body. Unknown fields are ignored, because newer clients send more.

    Raises:
        BadRequest: the body is not JSON, or a field has a wrong type. RequestTooLarge. BadReference: there is no feature.
    """
    data = parsed_object(body)
    service = _service(data)
    features = _features(data) if service is None else ()
    entities, rows = _entities(data.get("entities", {}))
    return OnlineRequest(
        features,
        service,
        entities,
        rows,
        _flag(data, "full_feature_names"),
        _flag(data, "include_feature_view_version_metadata"),
    )


def _service(data: dict[str, Any]) -> str | None:
    service = data.get("feature_service")
    if service is None:
        return None
    if not isinstance(service, str):
        raise BadRequest("`feature_service` must be a string")
    if data.get("features"):
        raise BadRequest("send `features` or a `feature_service`, not both")
    return service


def _features(data: dict[str, Any]) -> tuple[str, ...]:
    features = data.get("features")
    if not isinstance(features, list) or set(map(type, features)) - {str}:
        raise BadRequest("`features` must be a list of strings, each view:feature")
    if not features:
        raise BadReference("the request names no feature; write one as view:feature")
    if len(features) > MAX_FEATURES:
        raise RequestTooLarge(f"{len(features):,} features; at most {MAX_FEATURES:,} in one request")
    return tuple(features)


def _entities(entities: Any) -> tuple[Mapping[str, list[Any]], int]:
    if not isinstance(entities, dict) or set(map(type, entities.values())) - {list}:
        raise BadRequest("`entities` must be an object of lists, a list of values for each join key")
    if not entities:
        return {}, 1
    lengths = set(map(len, entities.values()))
    if len(lengths) != 1:
        raise BadRequest(f"the lists of `entities` must have one length, got {sorted(lengths)[:10]}")
    (rows,) = lengths
    if rows > MAX_ROWS:
        raise RequestTooLarge(f"{rows:,} rows; at most {MAX_ROWS:,} in one request (a join reads millions)")
    for name, values in entities.items():
        odd = set(map(type, values)) - _SCALARS
        if odd:
            raise BadRequest(f"`entities`: {name[:_SHOWN]!r} holds {', '.join(sorted(t.__name__ for t in odd))}")
    return entities, rows


def _flag(data: dict[str, Any], name: str) -> bool:
    value = data.get(name, False)
    if not isinstance(value, bool):
        raise BadRequest(f"`{name}` must be true or false")
    return value
