"""Data sets of joined features: caches, order, loaders, tables and shrinkage."""
