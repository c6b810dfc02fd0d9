"""The OpenAPI description of the protocol's HTTP routes."""

from __future__ import annotations

from typing import Any, Final

from .infer_request import OUTPUTS
from .tensors import DATATYPE_NAMES, MAX_TENSORS

_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_PARAMETERS: Final = {"type": "object"}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "properties": properties}


def _list(of: Any) -> dict[str, Any]:
    return {"type": "array", "items": of}


_ERROR: Final = _object("error", error=_TEXT)
_DATA: Final = {
    "type": "array",
    "items": {"type": ["number", "string", "boolean", "null", "array"]},
    "description": "Row by row, flat or nested. null: a missing number of FP16, FP32 or FP64.",
}
_TENSOR: Final = _object("name datatype shape", name=_TEXT, datatype=_TEXT, shape=_list({"type": "integer"}))
_INFER: Final = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string", "description": "The answer repeats it, and the weights draw a version by it."},
        "parameters": {
            "type": "object",
            "properties": {
                "timeout": {**_COUNT, "description": "How long the client waits, µs."},
                "priority": {**_COUNT, "description": "Accepted; the settings of a model say its priority."},
                "interval": {
                    "type": "number",
                    "exclusiveMinimum": 0.5,
                    "maximum": 0.999,
                    "description": "The level of `lo` and `hi`.",
                },
                "explain": {"type": "boolean", "description": "Name the releases that were used."},
                "binary_data_output": {"type": "boolean", "description": "Send all outputs as raw bytes."},
            },
        },
        "inputs": {
            "type": "array",
            "maxItems": MAX_TENSORS,
            "items": _object(
                "name shape datatype",
                name=_TEXT,
                shape={"type": "array", "items": _COUNT, "minItems": 1, "maxItems": 2},
                datatype={"enum": list(DATATYPE_NAMES)},
                parameters=_PARAMETERS,
                data=_DATA,
            ),
        },
        "outputs": {
            "type": "array",
            "maxItems": MAX_TENSORS,
            "items": _object("name", name={"enum": list(OUTPUTS)}, parameters=_PARAMETERS),
        },
    },
    "example": {"inputs": [{"name": "dest", "shape": [1], "datatype": "BYTES", "data": ["ATL"]}]},
}
_INFERRED: Final = _object(
    "model_name model_version outputs",
    model_name=_TEXT,
    model_version=_TEXT,
    id=_TEXT,
    parameters=_object("epoch", epoch=_COUNT, releases={"type": "string", "description": "JSON."}),
    outputs=_list(
        _object(
            "name shape datatype",
            name={"enum": list(OUTPUTS)},
            shape=_list(_COUNT),
            datatype=_TEXT,
            parameters=_PARAMETERS,
            data=_DATA,
        )
    ),
)
_METADATA: Final = _object(
    "name versions platform inputs outputs",
    name=_TEXT,
    versions=_list(_TEXT),
    platform=_TEXT,
    inputs=_list(_TENSOR),
    outputs=_list(_TENSOR),
)
_CONFIG: Final = _object(
    "name platform max_batch_size input output dynamic_batching parameters",
    name=_TEXT,
    platform=_TEXT,
    max_batch_size=_COUNT,
    input=_list(_object("name data_type dims", name=_TEXT, data_type=_TEXT, dims=_list({"type": "integer"}))),
    output=_list(_object("name data_type dims", name=_TEXT, data_type=_TEXT, dims=_list({"type": "integer"}))),
    dynamic_batching=_PARAMETERS,
    parameters=_PARAMETERS,
)
_DURATION: Final = _object("count ns", count=_COUNT, ns=_COUNT)
_LATENCIES: Final = _object(
    "le stages",
    le=_list({"type": "number", "description": "The upper end of a bucket, s. One more bucket has no upper end."}),
    stages={
        "type": "object",
        "additionalProperties": _object("counts s", counts=_list(_COUNT), s={"type": "number"}),
    },
)
_STATISTICS: Final = _object(
    "model_stats",
    model_stats=_list(
        _object(
            "name version last_inference inference_count execution_count inference_stats batch_stats latencies",
            name=_TEXT,
            version=_TEXT,
            last_inference=_COUNT,
            inference_count=_COUNT,
            execution_count=_COUNT,
            inference_stats={"type": "object", "additionalProperties": _DURATION},
            batch_stats=_list(_object("batch_size", batch_size=_COUNT)),
            latencies=_LATENCIES,
        )
    ),
)
_INDEX: Final = _list(
    _object(
        "name state reason",
        name=_TEXT,
        version=_TEXT,
        state={"enum": ["READY", "LOADING", "UNAVAILABLE"]},
        reason=_TEXT,
    )
)
_SECURITY: Final[list[dict[str, list[str]]]] = [{}, {"bearer": []}, {"api_key": []}]
_REFUSED: Final = {
    "400": "The request is wrong; `error` says where.",
    "401": "The API key is missing or unknown.",
    "403": "A page of another site sent the request.",
    "404": "No such model, version or route.",
    "405": "Another method.",
    "413": "Too many bytes or rows.",
    "421": "The Host header is not a name of this server.",
    "429": "The model has too many requests, or the consumer is over its limit; see Retry-After.",
    "500": "The server, or a function of an on-demand view, has a defect.",
    "501": "Not supported.",
    "503": "The model, or the store behind it, does not answer now, or the server has too many connections; see Retry-After.",
    "504": "The prediction cannot be made in the time that the client waits; it was not computed.",
}
_COMMON: Final = ("401", "403", "405", "421", "429", "500", "503")
_JSON_LENGTH: Final = "Inference-Header-Content-Length"


def _header(name: str, kind: str, description: str, **bounds: Any) -> dict[str, Any]:
    schema = {"type": kind, **bounds}
    return {"name": name, "in": "header", "schema": schema, "description": description}


_HEADERS: Final = [
    _header("Timeout", "number", "How long the client waits, in seconds.", exclusiveMinimum=0),
    _header(_JSON_LENGTH, "integer", "How many bytes of the body are JSON; raw bytes of inputs follow.", minimum=0),
]


def _json(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _operation(ident: str, summary: str, schema: Any, *statuses: str, **more: Any) -> dict[str, Any]:
    return {
        "operationId": ident,
        "summary": summary,
        "tags": ["Open Inference Protocol"],
        "security": _SECURITY,
        "responses": {
            "200": _json(summary, schema),
            **{status: _json(_REFUSED[status], _ERROR) for status in sorted({*_COMMON, *statuses})},
        },
        **more,
    }


def _of_model(place: str, ident: str, named: list[dict[str, Any]]) -> dict[str, Any]:
    wrong = ("400", "404")
    infer = _operation(
        f"infer{ident}",
        "Predictions",
        _INFERRED,
        *(*wrong, "413", "504"),
        parameters=_HEADERS,
        requestBody={"required": True, "content": {"application/json": {"schema": _INFER}}},
    )
    infer["responses"]["200"]["content"]["application/octet-stream"] = {
        "schema": {"type": "string", "format": "binary", "description": "The JSON, then raw bytes of outputs."}
    }
    infer["responses"]["200"]["headers"] = {
        _JSON_LENGTH: {"schema": _COUNT, "description": "How many bytes are JSON, if raw bytes follow."}
    }
    gets = {
        "": _operation(f"metadata{ident}", "The inputs and outputs of a model", _METADATA, *wrong),
        "/ready": _operation(
            f"ready{ident}", "The model answers", _object("name ready", name=_TEXT, ready={"const": True}), *wrong
        ),
        "/stats": _operation(f"stats{ident}", "What a model has done", _STATISTICS, *wrong),
        "/config": _operation(f"config{ident}", "The configuration of a model", _CONFIG, *wrong),
    }
    paths = {f"{place}{end}": {"get": get, "parameters": named} for end, get in gets.items()}
    return paths | {f"{place}/infer": {"post": infer, "parameters": named}}


def _named(name: str, example: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
        "example": example,
    }


_NAME, _VERSION = _named("name", "late"), _named("version", "2")
_LIVE: Final = {"live": {"const": True}}
PATHS: Final[dict[str, Any]] = {
    "/v2": {
        "get": _operation(
            "server_metadata",
            "The server",
            _object("name version extensions", name=_TEXT, version=_TEXT, extensions=_list(_TEXT)),
        )
    },
    "/v2/health/live": {"get": _operation("live", "The server answers", _object("live", **_LIVE))},
    "/v2/health/ready": {
        "get": _operation(
            "ready",
            "All models that the server was asked for answer",
            _object("live ready", **_LIVE, ready={"const": True}),
        )
    },
    "/v2/models/stats": {"get": _operation("all_stats", "What all models have done", _STATISTICS)},
    **_of_model("/v2/models/{name}", "", [_NAME]),
    **_of_model("/v2/models/{name}/versions/{version}", "_version", [_NAME, _VERSION]),
    "/v2/repository/index": {
        "post": _operation(
            "index",
            "The state of each version of each model",
            _INDEX,
            "400",
            "413",
            requestBody={
                "content": {
                    "application/json": {"schema": {"type": "object", "properties": {"ready": {"type": "boolean"}}}}
                }
            },
        )
    },
    **{
        f"/v2/repository/models/{{name}}/{change}": {
            "parameters": [_NAME],
            "post": _operation(change, f"Refused: clients do not {change} models", _PARAMETERS, "501", "404"),
        }
        for change in ("load", "unload")
    },
}
"""The paths of the document."""
