"""The files of an aggregator."""
