"""Entities: what a feature describes, with a public, declared domain of join keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast

import numpy as np

from base.plain import is_text, plain, plain_tuple

KeyType = Literal["string", "int64", "bool"]
ColumnType = Literal["string", "int64", "bool", "float64"]
"""The type of a join key or of another input of a request."""
KeyValue = str | int | bool
Key = tuple[KeyValue, ...]

MAX_KEYS: Final = 1_000_000
MAX_KEY_CHARACTERS: Final = 1_000


@dataclass(frozen=True, init=False)
class Entity:
    """The join keys of a view.

    `Entity("dest", domain=AIRPORTS)` has one key column. `Entity(["a", "b"], domain=product(A, B))` is composite.
    `Entity("area", value="NYC")` is constant: every event belongs to its one key, and reads need no key.

    Args:
        keys: name(s) of the join keys, as reads spell them.
        domain: all possible join keys: values (tuples for a composite entity), or the path of a `.parquet` or `.csv` file
            with the key columns, or of a text file with one string a line. It is public. Its order does not matter,
            because it is sorted. A relative path starts at the working directory; for a file beside VIEWS.py, write
            `Path(__file__).with_name("dests.csv")`.
        column: name(s) of the source columns; default: the keys' own names.
        value: the key of a constant entity.
    """

    keys: tuple[str, ...]
    columns: tuple[str, ...]
    types: tuple[KeyType, ...]
    domain: tuple[Key, ...] = field(repr=False)
    constant: bool

    def __init__(
        self,
        keys: str | Sequence[str],
        domain: Iterable[KeyValue | tuple[KeyValue, ...]] | str | Path | None = None,
        column: str | Sequence[str] | None = None,
        value: KeyValue | tuple[KeyValue, ...] | None = None,
    ) -> None:
        names = _names(keys)
        if not names or len(set(names)) != len(names):
            raise ValueError(f"an entity needs one or more distinct names of keys, in valid Unicode, got {keys!r}")
        constant = value is not None
        if constant == (domain is not None):
            raise ValueError(f"entity {names}: give either domain= or value=")
        if constant and column is not None:
            raise ValueError(f"entity {names}: a constant entity (value=) reads no column; leave out column=")
        columns = names if column is None else _names(column)
        if len(columns) != len(names):
            raise ValueError(
                f"entity {names}: column= must name {len(names)} source column(s), in valid Unicode, got {column!r}"
            )
        raw: Iterable[object] = [value] if constant else _read_domain(domain, columns, names)
        rows = tuple(_as_key(item, names) for item in raw)
        if not rows:
            raise ValueError(f"entity {names}: the domain is empty; give at least one key")
        if len(rows) > MAX_KEYS:
            raise ValueError(f"entity {names}: the domain has {len(rows):,} keys, but at most {MAX_KEYS:,} are allowed")
        types = tuple(_type_of([row[i] for row in rows], name) for i, name in enumerate(names))
        if len(set(rows)) != len(rows):
            seen: set[Key] = set()
            twice = next(row for row in rows if row in seen or seen.add(row))  # type: ignore[func-returns-value]
            raise ValueError(f"entity {names}: {twice} is in the domain twice; each key must be there once")
        for name, given in (
            ("keys", names),
            ("columns", () if constant else columns),
            ("types", types),
            ("domain", tuple(sorted(rows))),
            ("constant", constant),
        ):
            object.__setattr__(self, name, given)


def _names(given: object) -> tuple[str, ...]:
    """One name or several; () if anything else is given."""
    names = (plain(given),) if isinstance(given, str) else plain_tuple(given)
    if isinstance(names, tuple) and all(is_text(name) and name for name in names):
        return names
    return ()


def _read_domain(domain: object, columns: tuple[str, ...], names: tuple[str, ...]) -> Iterable[object]:
    if isinstance(domain, str | Path):
        return _read_domain_file(Path(domain), columns, names)
    if isinstance(domain, Iterable):
        return domain
    raise ValueError(f"entity {names}: domain= must be values or a file, got {type(domain).__name__}")


def _read_domain_file(path: Path, columns: tuple[str, ...], names: tuple[str, ...]) -> Iterable[object]:
    if not path.is_file():
        raise ValueError(f"entity {names}: no domain file {path}; a relative path starts at the working directory")
    if path.suffix not in (".parquet", ".csv"):
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    import pyarrow.csv
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path) if path.suffix == ".parquet" else pyarrow.csv.read_csv(path)
    wanted = columns if set(columns) <= set(table.column_names) else names
    if not set(wanted) <= set(table.column_names):
        raise ValueError(f"entity {names}: {path} has no column(s) {', '.join(names)}; it has {table.column_names}")
    return list(zip(*(table.column(name).to_pylist() for name in wanted), strict=True))


def _as_key(item: object, names: tuple[str, ...]) -> Key:
    row = cast("Key", plain_tuple(item) if isinstance(item, tuple | list | np.ndarray) else (plain(item),))
    if len(row) != len(names):
        raise ValueError(f"entity {names}: {item!r} in the domain has {len(row)} part(s), the entity {len(names)}")
    for part in row:
        if type(part) not in (str, int, bool):
            raise ValueError(f"entity {names}: {part!r} in the domain is {type(part).__name__}; use str, int or bool")
        if isinstance(part, str):
            if len(part) > MAX_KEY_CHARACTERS or not is_text(part):
                raise ValueError(
                    f"entity {names}: the key {part[:40]!r} has over {MAX_KEY_CHARACTERS:,} characters, or is not valid Unicode"
                )
        elif not -(2**63) <= part < 2**63:
            raise ValueError(f"entity {names}: the key {part} does not fit into int64")
    return row


def _type_of(values: list[KeyValue], name: str) -> KeyType:
    types = {type(value) for value in values}
    if len(types) != 1:
        found = ", ".join(sorted(t.__name__ for t in types))
        raise ValueError(f"entity key {name!r}: the domain mixes {found}; use one type")
    names: dict[type, KeyType] = {str: "string", int: "int64", bool: "bool"}
    return names[types.pop()]
