"""Completes `/docs` and `/openapi.json`: the routes outside FastAPI, API keys, and the form of errors."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from featurestore.read.messages import MAX_ROWS

from .probes import HEALTHZ, READYZ
from .refusal import MEDIA_TYPE
from .request import MAX_FEATURES

ROUTE: Final = "/get-online-features"
METRICS: Final = "/metrics"

_SCALAR: Final = {"type": ["string", "integer", "number", "boolean", "null"]}
_COLUMN: Final = {
    "type": "object",
    "required": ["values", "statuses", "event_timestamps"],
    "properties": {
        "values": {"type": "array"},
        "statuses": {
            "type": "array",
            "items": {"enum": ["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"]},
        },
        "event_timestamps": {"type": "array", "items": {"type": "string", "format": "date-time"}},
    },
}
_REQUEST: Final = {
    "type": "object",
    "required": ["features"],
    "properties": {
        "features": {
            "type": "array",
            "items": {"type": "string", "pattern": "^[a-z][a-z0-9_]*(@v[0-9]+)?:[a-z][a-z0-9_]*$"},
            "minItems": 1,
            "maxItems": MAX_FEATURES,
            "description": "`view:feature`, `view:feature__se`, `…__lo`, `…__hi`, `…__n`, `…__status`, `view:coverage_7d`; "
            "`view@v1:feature` pins a version.",
        },
        "entities": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": _SCALAR, "maxItems": MAX_ROWS},
            "description": "A list of values for each join key, all of one length. Views of a constant entity need none.",
        },
        "full_feature_names": {"type": "boolean", "default": False, "description": "Names are `view__feature`."},
        "include_feature_view_version_metadata": {"type": "boolean", "default": False},
    },
    "example": {"features": ["dest_delay:late_7d", "dest_delay:late_7d__se"], "entities": {"dest": ["ATL", "LAX"]}},
}
_RESPONSE: Final = {
    "type": "object",
    "required": ["metadata", "results"],
    "properties": {
        "metadata": {
            "type": "object",
            "required": ["feature_names"],
            "properties": {
                "feature_names": {"type": "array", "items": {"type": "string"}},
                "feature_view_metadata": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name", "version"],
                        "properties": {"name": {"type": "string"}, "version": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
        "results": {"type": "array", "items": _COLUMN},
    },
}
_ERROR: Final = {
    "type": "string",
    "description": "JSON with `module`, `class` and `message`, as Feast's clients read it.",
}


PROBLEM: Final = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "error": {"type": "string", "description": "The name of the error, if it has one."},
    },
    "additionalProperties": False,
}
_TIME: Final = {"type": ["integer", "null"], "description": "µs since the epoch"}
_HEALTH: Final = {
    "type": "object",
    "required": ["status", "problem", "epoch", "views"],
    "properties": {
        "status": {"enum": ["ok", "stale"]},
        "problem": {"type": ["string", "null"]},
        "epoch": {"type": "integer", "minimum": 0},
        "views": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["view", "version", "keys", "pane_end", "released_at"],
                "properties": {
                    "view": {"type": "string"},
                    "version": {"type": "integer", "minimum": 1},
                    "keys": {"type": "integer", "minimum": 0},
                    "pane_end": _TIME,
                    "released_at": _TIME,
                },
            },
        },
    },
}
_SECURITY: Final[list[dict[str, list[str]]]] = [{}, {"bearer": []}, {"api_key": []}]
_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, if the server requires one."},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same."},
}
_WAIT: Final = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}}
_WHO: Final = {"WWW-Authenticate": {"schema": {"type": "string"}}}
_REFUSALS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("403", "A page of another site sent the request.", {}),
    ("421", "The Host header is not a name of this server.", {}),
    ("401", "The API key is missing or unknown.", {"headers": _WHO}),
    ("429", "Over the consumer's limit of rows or requests.", {"headers": _WAIT}),
)


def _json(description: str, schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _refusals(schema: dict[str, Any], kind: str, *of: str) -> dict[str, Any]:
    """The answers to refused requests with these statuses, or with any status if none is given."""
    return {
        status: _json(says, schema, kind) | headers for status, says, headers in _REFUSALS if not of or status in of
    }


_READ: Final = {
    "summary": "The newest released values of some keys (Feast's wire format)",
    "operationId": "get_online_features",
    "security": _SECURITY,
    "requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}}},
    "responses": {
        "200": _json("Columns: the join keys as given, then the features in the requested order.", _RESPONSE),
        "404": _json("No such view, version or feature.", _ERROR),
        "405": _json("Another method than POST.", _ERROR),
        "413": _json("Too many bytes, rows, features or numbers.", _ERROR),
        "422": _json("The body, a reference or a join key is invalid.", _ERROR),
        "500": _json("The server has a defect.", _ERROR),
        "503": _json("The online store, which holds a view of the request, is away.", _ERROR) | {"headers": _WAIT},
        **_refusals(_ERROR, "application/json"),
    },
}
_COUNTED: Final = {
    "summary": "The server's metrics, as Prometheus text",
    "operationId": "metrics",
    "security": _SECURITY,
    "responses": {
        "200": {
            "description": "Metrics of all workers together.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        "405": _json("Another method than GET.", PROBLEM, MEDIA_TYPE),
        **_refusals(PROBLEM, MEDIA_TYPE),
    },
}
_GET_ONLY: Final = {
    "405": _json("Another method than GET.", PROBLEM, MEDIA_TYPE),
    **_refusals(PROBLEM, MEDIA_TYPE, "403", "421"),
}
_HEALTH_ANSWERS: Final = {"200": _json("The served releases.", _HEALTH), **_GET_ONLY}
_PROBE: Final = {
    "type": "object",
    "required": ["ready", "role"],
    "properties": {"ready": {"type": "boolean"}, "role": {"type": "string"}, "waits_for": {"type": "string"}},
}
_PROBE_ANSWERS: Final = {
    HEALTHZ: {"200": _json("The process answers.", {"type": "object"}), **_GET_ONLY},
    READYZ: {
        "200": _json("The newest releases are served.", _PROBE),
        "503": _json("The server waits for what the answer names.", _PROBE),
        **_GET_ONLY,
    },
}


def describe(app: FastAPI, more: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Complete the app's OpenAPI document, which describes the server with its guard; `more`: paths that FastAPI does not see."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            for path, answers in ({"/health": _HEALTH_ANSWERS} | _PROBE_ANSWERS).items():
                schema["paths"][path]["get"]["responses"] = answers
            schema["paths"] |= {ROUTE: {"post": _READ}, METRICS: {"get": _COUNTED}, **more}
            schema.setdefault("components", {})["securitySchemes"] = _SCHEMES
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it
