"""The roles as gRPC services, and their clients."""
