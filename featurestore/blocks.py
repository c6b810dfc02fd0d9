"""Blocks: the latest rows of a view as one immutable file that readers map, and the snapshot of all of them.

    blocks/<view>-v<n>-<seq>.arrow   one record batch of K + 1 rows: the domain's K keys, then the row of every other key
        key      struct of the join keys (null in the last row)
        numbers  FixedSizeList<f64>: values ‖ n ‖ coverage ‖ se, as in a packed row; null is NaN
        status   FixedSizeList<u8>: one `Status` a served feature
    blocks/CURRENT.json              which files count, by view version; `epoch` grows with every change

A block describes itself (`BlockHeader`), so a reader needs neither registry nor definition. Index −1 of a key that is not
there *is* the last row: NaN and NOT_FOUND. The publisher is the only writer (`featurestore.block_writer`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .entities import KeyType
from .errors import BadReference, StoreCorrupt, UnknownView
from .online import OnlineMarker
from .registry import RegisteredView
from .values import served_features
from .wire import definition_hash

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

FORMAT: Final = 2
CURRENT: Final = "CURRENT.json"
HEADER: Final = b"covey"
"""The key of the header in the schema's metadata."""

_PYTHON_TYPES: Final = {"string": str, "int64": int, "bool": bool}


@dataclass(frozen=True)
class BlockColumn:
    """One name that a block serves: a feature, or a companion of one.

    Attributes:
        name: `late_7d`, `late_7d__se`, `late_7d__n`, `late_7d__status` or `coverage_7d`.
        start, width: its place in `numbers`; width 0 for `status`.
        status: index of the feature whose status it shares; None for a coverage, which every row has.
    """

    name: str
    kind: Literal["value", "list", "se", "n", "coverage", "status"]
    start: int
    width: int
    status: int | None


@dataclass(frozen=True)
class BlockHeader:
    """What a block says of itself.

    Attributes:
        seq: the publication that wrote it; 0 before the first one.
        pane_end, released_at: µs, of all rows; None while there are none.
    """

    view: str
    version: int
    definition_hash: str
    seq: int
    pane_end: int | None
    released_at: int | None
    ttl_us: int | None
    constant: bool
    keys: tuple[str, ...]
    key_types: tuple[KeyType, ...]
    columns: tuple[BlockColumn, ...]

    @classmethod
    def of(cls, registered: RegisteredView, marker: OnlineMarker | None) -> Self:
        """The header of a view's block after a publication; None: before its first one."""
        view, rows = registered.view, None if marker is None else marker.rows
        return cls(
            view.name,
            registered.version,
            definition_hash(view).hex(),
            0 if marker is None else marker.seq,
            None if rows is None else rows.pane_end,
            None if rows is None else rows.released_at,
            view.ttl_us,
            view.entity.constant,
            view.entity.keys,
            view.entity.types,
            _columns(registered),
        )

    def to_json(self) -> bytes:
        """JSON, for the schema's metadata."""
        return json.dumps({"format": FORMAT, **asdict(self)}).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The inverse of `to_json`; ValueError, KeyError or TypeError if it is not of this format."""
        data: dict[str, Any] = json.loads(text)
        if data.pop("format") != FORMAT:
            raise ValueError("a block of another format")
        data["keys"], data["key_types"] = tuple(data["keys"]), tuple(data["key_types"])
        data["columns"] = tuple(BlockColumn(**column) for column in data["columns"])
        return cls(**data)

    @property
    def width(self) -> int:
        """Numbers of a row."""
        return sum(column.width for column in self.columns)

    @property
    def features(self) -> int:
        """Statuses of a row."""
        return sum(column.kind == "status" for column in self.columns)


def _columns(registered: RegisteredView) -> tuple[BlockColumn, ...]:
    """Features with their companions in the order of `history`, then coverages; places as in a packed row."""
    view, served = registered.view, served_features(registered.view)
    value_at = 0
    n_at = sum(one.width for one in served)
    coverage_at = n_at + sum(one.has_n for one in served)
    se_at = coverage_at + len(view.trailing)
    columns: list[BlockColumn] = []
    for i, one in enumerate(served):
        columns.append(BlockColumn(one.name, "list" if one.shape == "list" else "value", value_at, one.width, i))
        columns.append(BlockColumn(f"{one.name}__se", "se", se_at + i, 1, i))
        if one.has_n:
            columns.append(BlockColumn(f"{one.name}__n", "n", n_at, 1, i))
            n_at += 1
        columns.append(BlockColumn(f"{one.name}__status", "status", 0, 0, i))
        value_at += one.width
    columns += [
        BlockColumn(f"coverage_{window.name}", "coverage", coverage_at + i, 1, None)
        for i, window in enumerate(view.trailing)
    ]
    return tuple(columns)


@dataclass(frozen=True, eq=False)
class Block:
    """A mapped block.

    Attributes:
        numbers: float64[K + 1, W], shared pages of the file, read-only.
        status: uint8[K + 1, F], likewise.
        index: key (a tuple for a composite one) → row.
        columns: what it serves, by name.
    """

    header: BlockHeader
    numbers: Floats
    status: Bytes
    index: Mapping[Any, int]
    columns: Mapping[str, BlockColumn]

    def places(self, entities: Mapping[str, Sequence[Any]], count: int) -> Ints:
        """int64[count]: the row of each key; −1 for null, for a key outside the domain, and while there are no rows.

        Args:
            entities: columns of join keys, `count` long each; those of a constant entity may be left out.

        Raises:
            BadReference: a join key is missing, or one has another type.
        """
        header = self.header
        missing = [name for name in header.keys if name not in entities]
        if missing and header.constant:
            return np.full(count, 0 if self.index else -1, dtype=np.int64)
        if missing:
            raise BadReference(
                f"view {header.view!r} needs the join key(s) {', '.join(missing)}; "
                f"given: {', '.join(name[:80] for name in list(entities)[:20]) or 'none'}"
            )
        columns = [entities[name] for name in header.keys]
        for name, kind, column in zip(header.keys, header.key_types, columns, strict=True):
            odd = set(map(type, column)) - {_PYTHON_TYPES[kind], NoneType}
            if odd:
                found = ", ".join(sorted(one.__name__ for one in odd))
                raise BadReference(f"join key {name!r} is {kind}, but the request holds {found}")
        wanted = columns[0] if len(columns) == 1 else zip(*columns, strict=True)
        return np.fromiter(map(self.index.get, wanted, repeat(-1)), np.int64, count)


def read_block(path: Path, known: Block | None) -> Block:
    """Map a block; its index is that of `known` where that has the same keys.

    Raises:
        StoreCorrupt: not a block of this format.
    """
    try:
        with pa.memory_map(str(path)) as source:  # the pages stay mapped as long as an array points to them
            batch = pa.ipc.open_file(source).get_batch(0)
        header = BlockHeader.from_json(batch.schema.metadata[HEADER])
        numbers = _matrix(batch.column("numbers"), header.width)
        status = _matrix(batch.column("status"), header.features)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise StoreCorrupt(f"{path} is no block of this version of covey ({_first_line(error)})") from None
    columns = MappingProxyType({one.name: one for one in header.columns})
    if known is not None and (known.header.definition_hash, len(known.index)) == (
        header.definition_hash,
        batch.num_rows - 1,
    ):
        index = known.index
    else:
        index = _index(batch.column("key"))
    return Block(header, numbers, status, index, columns)


def _matrix(column: pa.Array, width: int) -> Any:
    if column.type.list_size != width:
        raise ValueError(f"rows of {column.type.list_size} instead of {width}")
    return column.flatten().to_numpy(zero_copy_only=True).reshape(-1, width)


def _index(key: pa.StructArray) -> Mapping[Any, int]:
    parts = [key.field(i).to_pylist()[:-1] for i in range(key.type.num_fields)]
    keys = parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))
    return MappingProxyType({one: row for row, one in enumerate(keys)})


@dataclass(frozen=True)
class BlockEntry:
    """A line of CURRENT.json: the file of one view version, and what is in it."""

    view: str
    version: int
    file: str
    seq: int
    release_id: str | None
    pane_end: int | None
    released_at: int | None
    bytes: int
    sha256: str


def parse_current(raw: bytes) -> tuple[int, list[BlockEntry]]:
    """(epoch, entries) of CURRENT.json; StoreCorrupt if it is torn or of another format."""
    try:
        data = json.loads(raw)
        if data["format"] != FORMAT:
            raise ValueError("another format")
        entries = [BlockEntry(**entry) for entry in data["views"]]
        for entry in entries:
            texts, numbers = (entry.view, entry.file, entry.sha256), (entry.version, entry.seq, entry.bytes)
            if {*map(type, texts)} != {str} or {*map(type, numbers)} != {int}:
                raise ValueError("a field of another type")
        return int(data["epoch"]), entries
    except (ValueError, KeyError, TypeError) as error:
        raise StoreCorrupt(f"{CURRENT} cannot be read ({_first_line(error)})") from None


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All blocks of one epoch. Immutable: an answer that holds one reference to it is of one epoch.

    Attributes:
        blocks: by `view@v<n>`, and by `view`: its newest version that has a release.
    """

    epoch: int
    blocks: Mapping[str, Block]

    def find(self, name: str) -> Block:
        """The block of `view` or `view@v<n>`; UnknownView names those that there are."""
        block = self.blocks.get(name)
        if block is None:
            raise UnknownView(name[:80], sorted(known for known in self.blocks if ("@" in known) == ("@" in name)))
        return block

    def versions(self) -> list[Block]:
        """Every block once, by view and version."""
        return [self.blocks[name] for name in sorted(self.blocks) if "@" in name]


class Blocks:
    """Keeps a snapshot of a folder of blocks. `refresh` is for one thread at a time; `snapshot` for any.

    Attributes:
        problem: why the last `refresh` kept an older snapshot; None if it did not.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._raw: bytes | None = None
        self._loaded: dict[BlockEntry, Block] = {}
        self._snapshot = Snapshot(0, MappingProxyType({}))
        self.problem: str | None = None
        self.refresh()

    @property
    def snapshot(self) -> Snapshot:
        """The newest snapshot. Take it once for an answer."""
        return self._snapshot

    def refresh(self) -> bool:
        """Look for a new epoch and swap to it: True if there was one. What is torn or missing keeps the last snapshot."""
        try:
            raw = (self._folder / CURRENT).read_bytes()
            if raw == self._raw:
                self.problem = None
                return False
            self._snapshot = self._load(raw)
        except (OSError, StoreCorrupt) as error:
            self.problem = _first_line(error)
            return False
        self._raw, self.problem = raw, None
        return True

    def _load(self, raw: bytes) -> Snapshot:
        epoch, entries = parse_current(raw)
        blocks: dict[str, Block] = {}
        for entry in sorted(entries, key=lambda entry: entry.version):
            name = f"{entry.view}@v{entry.version}"
            if entry not in self._loaded:
                self._loaded[entry] = self._verified(entry, self._snapshot.blocks.get(name))
            blocks[name] = self._loaded[entry]
            if entry.seq or entry.view not in blocks:
                blocks[entry.view] = blocks[name]
        self._loaded = {entry: self._loaded[entry] for entry in entries}
        return Snapshot(epoch, MappingProxyType(blocks))

    def _verified(self, entry: BlockEntry, known: Block | None) -> Block:
        path = self._folder / entry.file
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != entry.sha256:
            raise StoreCorrupt(f"{path} is not the file that {CURRENT} names")
        return read_block(path, known)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
