"""DuckDB behind locked doors: no files, no network, no extensions, no settings. What it computes on is registered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb


@contextmanager
def locked_duckdb() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB that cannot reach anything but the Arrow tables registered on it (DESIGN §2.2)."""
    connection = duckdb.connect(":memory:")
    try:
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
