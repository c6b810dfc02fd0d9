"""The lowest layer: files, locks, SQLite, configuration, times and errors for all other packages."""
