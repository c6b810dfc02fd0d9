"""Read `model.pt2` as data: the graph as JSON, the weights as arrays. Nothing is run, evaluated or unpickled.

`torch.export.load` is unsafe for untrusted files: it unpickles sample inputs and constants, evaluates symbolic sizes as Python,
imports classes that a tree names, and calls functions that a node names. This module parses the file instead, and refuses
every member that `covey train` does not write.
"""

from __future__ import annotations

import io
import json
import math
import pickletools
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.errors import ArchiveRefused

MAX_BYTES: Final = 256 * 2**20
MAX_JSON: Final = 4 * 2**20
SCHEMA: Final = 8
"""Supported major version of torch's graph schema."""

_GRAPH: Final = "models/model.json"
_WEIGHTS: Final = "data/weights/"
_WEIGHTS_CONFIG: Final = f"{_WEIGHTS}model_weights_config.json"
_CONSTANTS_CONFIG: Final = "data/constants/model_constants_config.json"
_SAMPLE: Final = "data/sample_inputs/model.pt"
_FIXED: Final[Mapping[str, bytes]] = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little"}
_NEEDED: Final = frozenset({_GRAPH, _WEIGHTS_CONFIG, _CONSTANTS_CONFIG, _SAMPLE, *_FIXED})
_UNREAD: Final = frozenset({".data/version", ".data/serialization_id"})
_WEIGHT: Final = re.compile(r"weight_[0-9]{1,4}")
_TENSORS: Final = re.compile(
    r"archive/(data\.pkl|data/[0-9]{1,4}|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id)"
)
_FLOAT: Final = 7  # torch's ScalarType of float32
_GLOBALS: Final = frozenset(
    {"torch._utils _rebuild_tensor_v2", "torch FloatStorage", "torch BoolStorage", "collections OrderedDict"}
)
FOREIGN_GLOBALS: Final = _GLOBALS | {
    f"torch {name}Storage" for name in ("Double", "Half", "BFloat16", "Byte", "Char", "Short", "Int", "Long")
}
"""What the sample inputs of a program that `covey train` did not make may name."""
_OPCODES: Final = frozenset(
    ("PROTO", "GLOBAL", "BINPUT", "BINGET", "MARK", "BINUNICODE", "BININT", "BININT1", "BININT2", "BINPERSID", "TUPLE",
     "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE", "EMPTY_DICT", "NEWFALSE", "NEWTRUE", "NONE", "REDUCE", "STOP",
     "LONG_BINPUT", "LONG_BINGET", "LONG1", "SETITEM", "SETITEMS")
)  # fmt: skip
"""The content of the pickle of some tensors. torch accepts all of it under `weights_only`."""


@dataclass(frozen=True, eq=False)
class Archive:
    """A parsed archive.

    Attributes:
        graph: the content of `models/model.json`; the caller checks it.
        weights: float32 arrays by name.
    """

    graph: Mapping[str, Any]
    weights: Mapping[str, npt.NDArray[np.float32]]


def read_archive(data: bytes) -> Archive:
    """Parse the bytes of a `model.pt2`. Raises ArchiveRefused."""
    members = read_members(data, MAX_BYTES)
    root = min(members, default="").partition("/")[0] + "/"  # the name of the file that torch.export.save wrote
    named = {name.removeprefix(root): content for name, content in members.items() if name.startswith(root)}
    files = {name.removeprefix(_WEIGHTS) for name in named if name.startswith(_WEIGHTS)}
    known = _NEEDED | _UNREAD | {f"{_WEIGHTS}{file}" for file in files if _WEIGHT.fullmatch(file)}
    for name in members:
        if name.removeprefix(root) not in known or not name.startswith(root):
            raise ArchiveRefused(f"it holds {name[:80]!r}, which no model of covey train has")
    for name in sorted(_NEEDED - named.keys()):
        raise ArchiveRefused(f"it has no {name!r}")
    for name, content in _FIXED.items():
        if named[name] != content:
            raise ArchiveRefused(f"its {name} is {named[name][:20]!r}, not {content!r}")
    require_tensors(named[_SAMPLE])
    if read_json(named, _CONSTANTS_CONFIG) != {"config": {}}:
        raise ArchiveRefused("it holds constants besides its weights, which no model of covey train has")
    graph = read_json(named, _GRAPH)
    version = graph.get("schema_version")
    if not isinstance(version, dict) or version.get("major") != SCHEMA:
        raise ArchiveRefused(f"its graph has schema version {str(version)[:80]}, but only {SCHEMA} is supported")
    return Archive(graph, _weights(named))


def read_members(data: bytes, limit: int) -> dict[str, bytes]:
    """Read the members of a zip file without compression, by name."""
    if len(data) > limit:
        raise ArchiveRefused(f"it has {len(data):,} bytes; the limit is {limit:,}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found: dict[str, bytes] = {}
            for one in archive.infolist():
                if one.compress_type != zipfile.ZIP_STORED or one.filename in found:
                    raise ArchiveRefused(f"its member {one.filename[:80]!r} is compressed or occurs twice")
                found[one.filename] = archive.read(one)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise ArchiveRefused(f"it is no whole zip file ({error})") from None
    return found


def read_json(named: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """Read a member that is a JSON object."""
    if len(named[name]) > MAX_JSON:
        raise ArchiveRefused(f"{name!r} has {len(named[name]):,} bytes; the limit is {MAX_JSON:,}")
    try:
        read = json.loads(named[name])
    except (ValueError, RecursionError):
        raise ArchiveRefused(f"{name!r} is not JSON") from None
    if not isinstance(read, dict):
        raise ArchiveRefused(f"{name!r} is no object")
    return read


def require_tensors(data: bytes, names: frozenset[str] = _GLOBALS) -> None:
    """Check that the sample inputs are tensors. They are not used here, but others may load the file with torch.

    Args:
        names: what their pickle may name.
    """
    members = read_members(data, MAX_BYTES)
    for name in members:
        if not _TENSORS.fullmatch(name):
            raise ArchiveRefused(f"its sample inputs hold {name[:80]!r}, which tensors do not have")
    try:
        for opcode, argument, _ in pickletools.genops(members.get("archive/data.pkl", b"")):
            if opcode.name == "GLOBAL" and argument not in names:
                raise ArchiveRefused(
                    f"its sample inputs are a pickle that names {str(argument)[:80]!r}: loading runs it"
                )
            if opcode.name not in _OPCODES:
                raise ArchiveRefused(
                    f"its sample inputs are a pickle with the operation {opcode.name}, not plain tensors"
                )
    except ArchiveRefused:
        raise
    except ValueError as error:
        raise ArchiveRefused(f"its sample inputs are no pickle ({error})") from None


def _weights(named: Mapping[str, bytes]) -> dict[str, npt.NDArray[np.float32]]:
    """Read the tensors of the weights' configuration: float32, contiguous, each a whole member."""
    config = read_json(named, _WEIGHTS_CONFIG).get("config")
    if not isinstance(config, dict):
        raise ArchiveRefused(f"{_WEIGHTS_CONFIG!r} names no weights")
    found: dict[str, npt.NDArray[np.float32]] = {}
    for name, entry in config.items():
        try:
            meta, content = entry["tensor_meta"], named[f"{_WEIGHTS}{entry['path_name']}"]
            shape, strides = ([int(size["as_int"]) for size in meta[key]] for key in ("sizes", "strides"))
            plain = entry["use_pickle"] is False and meta["dtype"] == _FLOAT and meta["storage_offset"] == {"as_int": 0}
        except (KeyError, TypeError, ValueError):
            raise ArchiveRefused(f"weight {name[:80]!r} is not described as a tensor") from None
        if not plain:
            raise ArchiveRefused(f"weight {name[:80]!r} is a pickle, or no plain float32 tensor")
        due = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
        if min(shape, default=1) < 1 or strides != due or math.prod(shape) * 4 != len(content):
            raise ArchiveRefused(f"weight {name[:80]!r} has {len(content):,} bytes, which do not fit its shape {shape}")
        found[name] = np.frombuffer(content, "<f4").reshape(shape).copy()
    return found
