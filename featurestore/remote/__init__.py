"""A remote store, read through its feature server over HTTP or gRPC."""
