"""Benchmarks: one file a figure; each measures ours and the peer in the same run."""
