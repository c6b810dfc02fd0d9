"""Tables and read-only queries of DuckDB, SQLite and PostgreSQL, read as batches of Arrow."""
