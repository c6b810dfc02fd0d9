"""The aggregators of a collection, and the collector, which makes releases of the opened values."""
