"""What `/docs` and `/openapi.json` say about the route that FastAPI never sees."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from .request import MAX_FEATURES, MAX_ROWS

ROUTE: Final = "/get-online-features"

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
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": MAX_FEATURES,
            "description": "`view:feature`, `view:feature__se`, `…__n`, `…__status`, `view:coverage_7d`; "
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
            "properties": {"feature_names": {"type": "array", "items": {"type": "string"}}},
        },
        "results": {"type": "array", "items": _COLUMN},
    },
}
_ERROR: Final = {
    "type": "string",
    "description": "JSON with `module`, `class` and `message`, as Feast's clients read it.",
}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_OPERATION: Final = {
    "summary": "The newest released values of some keys (Feast's wire format)",
    "operationId": "get_online_features",
    "requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}}},
    "responses": {
        "200": _json("Columns: the join keys as given, then the features in the order asked for.", _RESPONSE),
        "404": _json("No such view, version or feature.", _ERROR),
        "413": _json("Too many bytes, rows, features or numbers.", _ERROR),
        "422": _json("A body, reference or join key that cannot be read.", _ERROR),
    },
}


def describe(app: FastAPI) -> None:
    """Add the route to the app's OpenAPI document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            schema["paths"][ROUTE] = {"post": _OPERATION}
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it
