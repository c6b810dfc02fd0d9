"""A store behind a feature server, read over HTTP or gRPC."""
