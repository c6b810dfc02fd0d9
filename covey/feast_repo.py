"""Writes a Feast repository that reads a covey store: feature_store.yaml, and the definitions of its views and services.

Companions (`late__se`, `late__lo`, `late__hi`, `late__n`, `late__status`, `coverage_7d`) are ordinary fields, so Feast can read
them. The views have no source: Feast's own join takes the newest row by one time column, which differs from Covey's rule (a later
release of an older pane would replace a newer one). Training data come from `covey join`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deployment.errors import UsageError
from featurestore.define.entities import KeyType
from featurestore.define.services import FeatureService
from featurestore.online.blocks import open_blocks
from featurestore.online.view_rows import ViewColumn, ViewHeader
from featurestore.store import Store

YAML: Final = "feature_store.yaml"
DEFINITIONS: Final = "covey_views.py"
FIRST_LINE: Final = '"""The views of a covey store. `covey views --feast` writes this file and overwrites it.'

_TYPES: Final[Mapping[KeyType, str]] = {"string": "String", "int64": "Int64", "bool": "Bool"}
_CONFIG: Final = """\
project: covey
provider: local
registry: registry.db
online_store:
  type: covey.feast.CoveyOnlineStore
  path: {path}
entity_key_serialization_version: 3
"""
_HEAD: Final = f"""\
{FIRST_LINE}

They have no source, and nothing is materialized: Feast reads the newest releases from the store itself. A point-in-time
join of the history is `covey join`.
\"\"\"

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field
from feast.types import Array, Bool, Float64, Int64, String
from feast.value_type import ValueType
"""


def write_repo(directory: Path, out: Path) -> list[Path]:
    """Write the definitions of a store's views, and a feature_store.yaml if there is none; returns the written paths.

    Raises:
        UsageError: the folder has a file at the definitions' path that Covey did not write. StoreNotFound, StoreCorrupt.
    """
    with Store.open(directory) as store:
        headers = [open_blocks(directory).snapshot.find(view.name).header for view in store.views()]
        services = store.services()
    definitions, settings = out / DEFINITIONS, out / YAML
    if definitions.exists() and not definitions.read_text(encoding="utf-8").startswith(FIRST_LINE):
        raise UsageError(f"{definitions} was not written by `covey views --feast`; name another folder")
    out.mkdir(parents=True, exist_ok=True)
    definitions.write_text(_definitions(headers, services), encoding="utf-8")
    if settings.exists():
        return [definitions]
    settings.write_text(_CONFIG.format(path=json.dumps(str(directory.resolve()), ensure_ascii=False)), encoding="utf-8")
    return [settings, definitions]


@dataclass(frozen=True)
class _Key:
    """A Feast entity, which has one join key. Keys of two views may have the same name and different types."""

    name: str
    kind: KeyType


def _definitions(headers: Sequence[ViewHeader], services: Sequence[FeatureService]) -> str:
    keys = {
        _Key(name, kind): f"key_{name}" if re.fullmatch("[A-Za-z0-9_]+", name) else ""
        for header in headers
        if header.constant is None
        for name, kind in zip(header.keys, header.key_types, strict=True)
    }
    for i, (key, variable) in enumerate(keys.items()):
        if not variable or list(keys.values()).count(variable) > 1:
            keys[key] = f"key{i}"
    parts = [_HEAD, "\n".join(_entity(key, variable, keys) for key, variable in keys.items())]
    parts += [_view(header, keys) for header in headers]
    known = {header.view: header.version for header in headers}
    parts += [_service(service, known) for service in services]
    return "\n".join(part for part in parts if part)


def _entity(key: _Key, variable: str, keys: Mapping[_Key, str]) -> str:
    same = [one for one in keys if one.name == key.name]
    name = key.name if len(same) == 1 else f"{key.name}_{key.kind}"
    kind = f"ValueType.{key.kind.upper()}"
    return f"{variable} = Entity(name={_text(name)}, join_keys=[{_text(key.name)}], value_type={kind})"


def _view(header: ViewHeader, keys: Mapping[_Key, str]) -> str:
    own = [] if header.constant is not None else list(zip(header.keys, header.key_types, strict=True))
    lines = [
        "",
        f"view_{header.view} = FeatureView(",
        f"    name={_text(header.view)},",
        f"    entities=[{', '.join(keys[_Key(name, kind)] for name, kind in own)}],",
    ]
    if header.ttl_us is not None:
        lines.append(f"    ttl=timedelta(microseconds={header.ttl_us}),")
    lines.append("    schema=[")
    lines += [f"        Field(name={_text(name)}, dtype={_TYPES[kind]})," for name, kind in own]
    lines += [f"        Field(name={_text(column.name)}, dtype={_type(column)})," for column in header.columns]
    return "\n".join([*lines, "    ],", ")", ""])


def _type(column: ViewColumn) -> str:
    if column.kind == "status":
        return "String"
    return "Array(Float64)" if column.is_list else "Float64"


def _service(service: FeatureService, known: Mapping[str, int]) -> str:
    """A Feast service, which groups features by view. Feast can serve neither on-demand features nor another version of a view.

    Args:
        known: the views, with the versions that their names serve.
    """
    by_view: dict[str, list[str]] = {}
    left_out: list[str] = []
    others: list[str] = []
    for ref in service.refs:
        view, _, name = ref.partition(":")
        view, _, version = view.partition("@v")
        if view not in known:
            left_out.append(ref)
        elif version and int(version) != known[view]:
            others.append(ref)
        else:
            by_view.setdefault(view, []).append(name)
    lines = [""]
    if others:
        lines.append(
            f"# {service.name}, without {', '.join(others)}: Feast reads the version that a name serves; read the others "
            "from `covey serve`"
        )
    if left_out:
        lines.append(
            f"# {service.name}, without its on-demand features, which a VIEWS.py computes: {', '.join(left_out)}"
        )
    if by_view:
        lines.append(f"service_{service.name} = FeatureService(")
        lines.append(f"    name={_text(service.name)},")
        lines.append("    features=[")
        lines += [f"        view_{view}[[{', '.join(map(_text, names))}]]," for view, names in by_view.items()]
        lines += ["    ],", ")"]
    return "\n".join([*lines, ""])


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=True)
