"""Vectors on the wire: the messages of `features.proto`, for gRPC and HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from featurestore.define.decoded import value_is_there
from featurestore.errors import BadReference, BadRequest, RemoteFailed, RequestTooLarge

from . import features_pb2 as pb
from .request import Entities
from .vectors import Vectors

MAX_REQUEST: Final = 8 * 2**20
"""The most bytes of a request."""
MAX_ROWS: Final = 10_000
"""The most rows of a request. Its answer takes about 20 ms on the event loop for ten features. A join reads more rows."""
MAX_NAMES: Final = 1_000
"""The most references of a request, and the most join keys and inputs."""
MAX_NUMBERS: Final = 4_000_000
"""The most values of an answer, 68 MB; half as many with intervals."""
MAX_REPLY: Final = 2**27

_KINDS: Final[Mapping[type, str]] = {str: "strings", int: "ints", bool: "bools", float: "doubles"}
_EMPTY: Final[Mapping[str, Any]] = {"strings": "", "ints": 0, "bools": False, "doubles": 0.0}


def request_of(refs: Sequence[str], entities: Entities, *, intervals: bool = False) -> pb.GetFeaturesRequest:
    """The message of a read. Raises BadReference: a key has another type."""
    return pb.GetFeaturesRequest(
        features=refs,
        entities={name: _values(name, values) for name, values in entities.items()},
        intervals=intervals,
    )


def _values(name: str, values: Sequence[Any]) -> pb.Values:
    kinds = set(map(type, values)) - {type(None)}
    if len(kinds) > 1 or kinds - set(_KINDS):
        raise BadReference(f"the key {name!r} holds {', '.join(sorted(one.__name__ for one in kinds))}")
    kind = _KINDS[kinds.pop()] if kinds else "strings"
    null = [i for i, value in enumerate(values) if value is None]
    filled = [_EMPTY[kind] if value is None else value for value in values] if null else values
    message = pb.Values(null=null)
    try:
        getattr(message, kind).values.extend(filled)
    except ValueError as error:
        raise BadReference(f"the key {name!r}: {error}") from None
    getattr(message, kind).SetInParent()
    return message


def parse_request(message: pb.GetFeaturesRequest) -> tuple[tuple[str, ...], str, dict[str, list[Any]]]:
    """Parse a message to (references, feature service, join keys and inputs); one of the first two is empty.

    Raises:
        BadRequest: references and service are both given or both missing, lists differ in length, or a null is not in its
            list. RequestTooLarge.
    """
    refs, service = tuple(message.features), message.feature_service
    if bool(refs) == bool(service):
        raise BadRequest("send `features` or a `feature_service`")
    if max(len(refs), len(message.entities)) > MAX_NAMES:
        raise RequestTooLarge(f"more than {MAX_NAMES:,} features or entities in one request")
    entities = {name: _list(name, values) for name, values in message.entities.items()}
    lengths = set(map(len, entities.values()))
    if len(lengths) > 1:
        raise BadRequest(f"the lists of `entities` must have one length, got {sorted(lengths)[:10]}")
    if lengths and max(lengths) > MAX_ROWS:
        raise RequestTooLarge(f"{max(lengths):,} rows; at most {MAX_ROWS:,} in one request (a join reads millions)")
    return refs, service, entities


def _list(name: str, message: pb.Values) -> list[Any]:
    kind = message.WhichOneof("kind")
    if kind is None:
        raise BadRequest(f"`entities`: {name[:80]!r} has no values")
    values: list[Any] = list(getattr(message, kind).values)
    if len(message.null) > len(values):
        raise BadRequest(f"`entities`: {name[:80]!r} has more nulls than values")
    for at in message.null:
        if at >= len(values):
            raise BadRequest(f"`entities`: {name[:80]!r} has no value {at} that could be null")
        values[at] = None
    return values


def require_small(rows: int, width: int) -> None:
    """Raise RequestTooLarge if an answer would have more than `MAX_NUMBERS` values."""
    if rows * width > MAX_NUMBERS:
        raise RequestTooLarge(f"{rows * width:,} values; at most {MAX_NUMBERS:,} in one request: request fewer rows")


def reply_of(vectors: Vectors) -> pb.GetFeaturesReply:
    """The message of an answer."""
    low, high = (None, None) if vectors.intervals is None else (end.tobytes() for end in vectors.intervals)
    return pb.GetFeaturesReply(
        names=vectors.names,
        rows=len(vectors.values),
        values=vectors.values.tobytes(),
        se=vectors.se.tobytes(),
        status=vectors.status.tobytes(),
        epoch=vectors.epoch,
        lo=low,
        hi=high,
    )


def vectors_of(message: pb.GetFeaturesReply) -> Vectors:
    """The inverse of `reply_of`. Raises RemoteFailed: the sizes do not match."""
    shape = (message.rows, len(message.names))
    count = shape[0] * shape[1]
    if (len(message.values), len(message.se), len(message.status)) != (8 * count, 8 * count, count):
        raise RemoteFailed("the sizes in the server's answer do not match its content")
    status = np.frombuffer(message.status, np.uint8).reshape(shape)
    intervals = None
    if message.HasField("lo") or message.HasField("hi"):
        if (len(message.lo), len(message.hi)) != (8 * count, 8 * count):
            raise RemoteFailed("the sizes of the intervals in the server's answer do not match its content")
        intervals = (np.frombuffer(message.lo, "<f8").reshape(shape), np.frombuffer(message.hi, "<f8").reshape(shape))
    return Vectors(
        tuple(message.names),
        np.frombuffer(message.values, "<f8").reshape(shape),
        value_is_there(status),
        np.frombuffer(message.se, "<f8").reshape(shape),
        status,
        message.epoch,
        intervals,
    )
