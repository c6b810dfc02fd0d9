"""The description of `/predict` in the server's OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from featurestore.define.decoded import Status
from featurestore.read.messages import MAX_ROWS
from featurestore.server.openapi import PROBLEM
from featurestore.server.refusal import MEDIA_TYPE

from .bodies import GIVEN, MAX_IDENT

_NUMBERS: Final = {"type": "array", "items": {"type": ["number", "null"]}}
_REQUEST: Final = {
    "type": "object",
    "required": ["entities"],
    "properties": {
        "entities": {
            "type": "object",
            "additionalProperties": {
                "type": "array",
                "items": {"type": ["string", "integer", "number", "boolean", "null"]},
                "maxItems": MAX_ROWS,
            },
            "description": "A list for each join key, each input of an on-demand view, and each plain column of the model, all of "
            "one length. GET /predict has the names and types.",
        },
        "id": {
            "type": "string",
            "maxLength": MAX_IDENT,
            "description": "Draws the version, if several are in force: one id always gets the same version.",
        },
    },
    "additionalProperties": False,
    "example": {"entities": {"dest": ["ATL", "LAX"], "distance": [1400, 900]}},
}
_ANSWER: Final = {
    "type": "object",
    "required": ["model", "version", "epoch", "predictions"],
    "properties": {
        "model": {"type": "string"},
        "version": {"type": "integer", "minimum": 1},
        "epoch": {"type": "integer", "minimum": 0, "description": "The state of the store that all features are from."},
        "predictions": _NUMBERS,
        "interval": {
            "type": "object",
            "required": ["level", "lo", "hi"],
            "properties": {"level": {"type": "number"}, "lo": _NUMBERS, "hi": _NUMBERS},
        },
        "features": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["values", "se", "statuses"],
                "properties": {
                    "values": _NUMBERS,
                    "se": _NUMBERS,
                    "statuses": {"type": "array", "items": {"enum": [*(status.name for status in Status), GIVEN]}},
                },
            },
        },
        "releases": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["view", "version", "release", "pane_end"],
                "properties": {
                    "view": {"type": "string"},
                    "version": {"type": "integer", "minimum": 1},
                    "release": {"type": ["string", "null"]},
                    "pane_end": {"type": ["integer", "null"], "description": "µs since the epoch"},
                },
            },
        },
    },
    "additionalProperties": False,
}
_ENTRY: Final = {
    "type": "object",
    "required": ["model", "ready"],
    "properties": {
        "model": {"type": "string"},
        "ready": {"type": "boolean"},
        "why": {"type": "string", "description": "Why the model is not ready."},
        "version": {"type": "integer", "minimum": 1},
        "inputs": {"type": "object", "additionalProperties": {"enum": ["string", "int64", "bool", "float64"]}},
        "features": {"type": "array", "items": {"type": "string"}},
        "url": {"type": "string"},
        "example": _REQUEST,
    },
    "additionalProperties": False,
}
_WAIT: Final = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}}


def _json(description: str, schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    return _json(description, PROBLEM, MEDIA_TYPE)


_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: _problem("The API key is missing or unknown.")
    | {"headers": {"WWW-Authenticate": {"schema": {"type": "string"}}}},
    403: _problem("A page of another site sent the request."),
    421: _problem("The Host header is not a name of this server."),
    429: _problem("The model has too many requests, or the consumer is over its limit.") | {"headers": _WAIT},
}
LISTED: Final[dict[int | str, dict[str, Any]]] = {
    200: _json(
        "The models, by name.",
        {"type": "object", "required": ["models"], "properties": {"models": {"type": "array", "items": _ENTRY}}},
    ),
    **_REFUSALS,
}
PREDICTED: Final[dict[int | str, dict[str, Any]]] = {
    200: _json("One prediction a row, of one version and one epoch.", _ANSWER),
    404: _problem("No such model or version."),
    405: _problem("Another method than POST."),
    413: _problem("Too many bytes, rows or numbers."),
    422: _problem("The body, an input, the query or the header Timeout is invalid."),
    500: _problem("The server, or a function of an on-demand view, has a defect."),
    503: _problem("The model is not ready or has failed, or the online store is away.") | {"headers": _WAIT},
    504: _problem("The prediction cannot be made in the time that the client waits. It was not computed."),
    **_REFUSALS,
}
PREDICT: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "explain",
            "in": "query",
            "schema": {"type": "boolean"},
            "description": "Whether the answer has the features that were used, and the newest release of each view.",
        },
        {
            "name": "interval",
            "in": "query",
            "schema": {"type": "number", "exclusiveMinimum": 0.5, "maximum": 0.999},
            "description": "The level of an interval of each prediction, such as 0.9.",
        },
        {
            "name": "Timeout",
            "in": "header",
            "schema": {"type": "number", "exclusiveMinimum": 0},
            "description": "How long the client waits, in seconds.",
        },
    ],
    "requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}}},
}
