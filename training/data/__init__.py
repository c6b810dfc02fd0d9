"""Data sets of joined features: caches, order, loaders, tables and tools that know the noise."""
