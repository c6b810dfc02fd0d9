"""The aggregators' side of a collection, and the collector that makes releases of what they open."""
