"""Bodies of `/get-online-features` that no server may answer with 200 or 5xx, and the views that they name."""

from __future__ import annotations

from typing import Any

from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Histogram, Rate
from featurestore.read.messages import MAX_ROWS
from featurestore.server.request import MAX_BODY, MAX_FEATURES
from tests.featurestore.making import a_view

VIEW = a_view(features=[Count("flights"), Rate("late", where="delay >= 15"), Histogram("delay", edges=[0])])
AREA = a_view("area", entity=Entity("city", value="NYC"), windows=[])
KEYS = {"dest": ["ATL"]}
ODD: list[tuple[bytes | dict[str, Any], int, str, str]] = [
    ({"features": ["none:flights"], "entities": KEYS}, 404, "FeatureViewNotFoundException", "it has: area, delays"),
    ({"features": ["delays@v2:flights"], "entities": KEYS}, 404, "FeatureViewNotFoundException", "delays@v1"),
    ({"features": ["delays:none"], "entities": KEYS}, 404, "FeastObjectNotFoundException", "it has: flights, late"),
    ({"feature_service": "s", "entities": KEYS}, 404, "FeatureServiceNotFoundException", "it has: none"),
    ({"feature_service": ["s"], "entities": KEYS}, 422, "FeastError", "must be a string"),
    ({"feature_service": "s", "features": ["delays:flights"], "entities": KEYS}, 422, "FeastError", "not both"),
    ({"features": ["delays:late", "delays:late"], "entities": KEYS}, 422, "FeatureNameCollisionError", "'late'"),
    (
        {"features": ["delays:flights", "area:flights"], "entities": KEYS},
        422,
        "FeatureNameCollisionError",
        "full names",
    ),
    ({"features": ["delays:late"], "entities": KEYS | {"late": [1]}}, 422, "FeatureNameCollisionError", "'late'"),
    ({"features": ["delays"], "entities": KEYS}, 422, "FeastError", "view:feature"),
    ({"features": [":"], "entities": KEYS}, 422, "FeastError", "view:feature"),
    ({"features": [""], "entities": KEYS}, 422, "FeastError", "view:feature"),
    ({"features": [], "entities": KEYS}, 422, "FeastError", "no feature"),
    ({"features": "delays:late", "entities": KEYS}, 422, "FeastError", "`features` must be a list"),
    ({"features": [1], "entities": KEYS}, 422, "FeastError", "`features` must be a list"),
    ({"entities": KEYS}, 422, "FeastError", "`features` must be a list"),
    ({"features": ["delays:late"]}, 422, "FeastError", "join key(s) dest; given: none"),
    ({"features": ["delays:late"], "entities": {}}, 422, "FeastError", "join key"),
    ({"features": ["delays:late"], "entities": {"destination": ["ATL"]}}, 422, "FeastError", "given: destination"),
    ({"features": ["delays:late"], "entities": None}, 422, "FeastError", "`entities` must be an object"),
    ({"features": ["delays:late"], "entities": [KEYS]}, 422, "FeastError", "`entities` must be an object"),
    ({"features": ["delays:late"], "entities": {"dest": "ATL"}}, 422, "FeastError", "`entities` must be an object"),
    ({"features": ["delays:late"], "entities": {"dest": [1]}}, 422, "FeastError", "'dest' is string"),
    ({"features": ["delays:late"], "entities": {"dest": [["ATL"]]}}, 422, "FeastError", "'dest' holds list"),
    ({"features": ["delays:late"], "entities": KEYS | {"x": [{}]}}, 422, "FeastError", "'x' holds dict"),
    ({"features": ["delays:late"], "entities": KEYS | {"x": []}}, 422, "FeastError", "one length, got [0, 1]"),
    ({"features": ["delays:late"], "entities": KEYS, "full_feature_names": "yes"}, 422, "FeastError", "true or false"),
    (b"", 422, "FeastError", "not JSON"),
    (b"{", 422, "FeastError", "not JSON"),
    (b"null", 422, "FeastError", "JSON object"),
    (b"[1]", 422, "FeastError", "JSON object"),
    (b'"x"', 422, "FeastError", "JSON object"),
    (b"NaN", 422, "FeastError", "not JSON"),
    (b'{"features":["delays:late"],"entities":{"dest":[NaN]}}', 422, "FeastError", "not JSON"),
    (b'{"features":["\\ud800"]}', 422, "FeastError", "not JSON"),
    (b"\xff\xfe{}", 422, "FeastError", "not JSON"),
    (b"[" * 100_000, 422, "FeastError", "not JSON"),
    (b'{"a":' * 1_000 + b"1" + b"}" * 1_000, 422, "FeastError", "`features`"),
    ({"features": ["delays:late"], "entities": {"dest": ["ATL"] * (MAX_ROWS + 1)}}, 413, "FeastError", "10,001 rows"),
    ({"features": ["delays:late"], "entities": {"dest": [1] * 10**6}}, 413, "FeastError", "1,000,000 rows"),
    ({"features": ["delays:late"] * (MAX_FEATURES + 1), "entities": KEYS}, 413, "FeastError", "1,001 features"),
    (b'{"entities":{"dest":[' + b"[]," * 250_000 + b"[]]}}", 413, "FeastError", "250,004 lists and objects"),
    (b" " * (MAX_BODY + 1), 413, "FeastError", "8,388,608 bytes"),
]
