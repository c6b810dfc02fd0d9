"""The finish by multi-party computation, and its provider of triples."""
