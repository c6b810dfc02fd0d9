"""A locked DuckDB: no files, no network, no extensions, no settings. It sees registered Arrow tables only.

DuckDB spills data that does not fit into memory to a private folder, which is deleted afterwards; not to `.tmp` of the working
directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import duckdb


@contextmanager
def locked_duckdb() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB that reaches only the Arrow tables registered on it (DESIGN §2.2)."""
    with TemporaryDirectory(prefix="covey-events-") as spill:  # mode 0700
        yield from _locked(spill)


def _locked(spill: str) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET temp_directory = ?", [spill])
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET autoload_known_extensions = false")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    except (RuntimeError, duckdb.InterruptException) as error:
        if "interrupt" in str(error).lower():  # DuckDB's way to pass on Ctrl-C and SIGTERM
            raise KeyboardInterrupt from None
        raise
    finally:
        connection.close()
